package webhooks

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"strings"
	"time"
)

const (
	tolerance    = 300 * time.Second
	secretPrefix = "whsec_"
)

// IsSignedWebhook checks webhook-signature. Its entries stand for one secret each: one that fits is enough.
func IsSignedWebhook(body []byte, webhookID, timestamp, signatures, secret string) bool {
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil || !strings.HasPrefix(secret, secretPrefix) {
		return false
	}
	age := time.Since(time.Unix(seconds, 0))
	if age > tolerance || age < -tolerance {
		return false
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, secretPrefix))
	if err != nil {
		return false
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(webhookID + "." + timestamp + "."))
	mac.Write(body)
	expected := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	valid := false
	for _, one := range strings.Split(signatures, " ") {
		valid = hmac.Equal([]byte(expected), []byte(one)) || valid
	}
	return valid
}

// IsSignedBody checks X-Signature-256. Call it again with X-Signature-256-Next where that header is there.
func IsSignedBody(body []byte, signature, secret string) bool {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	expected := hex.EncodeToString(mac.Sum(nil))
	return strings.HasPrefix(secret, secretPrefix) && hmac.Equal([]byte(expected), []byte(signature))
}
