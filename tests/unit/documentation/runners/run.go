package main

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"os"
	"strings"

	"receiver/webhooks"
)

func main() {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var texts []string
		for _, field := range strings.Split(lines.Text(), "\t") {
			text, err := base64.StdEncoding.DecodeString(field)
			if err != nil {
				panic(err)
			}
			texts = append(texts, string(text))
		}
		scheme, body, id, timestamp, signature, secret := texts[0], []byte(texts[1]), texts[2], texts[3], texts[4], texts[5]
		valid := webhooks.IsSignedBody(body, signature, secret)
		if scheme == "webhook" {
			valid = webhooks.IsSignedWebhook(body, id, timestamp, signature, secret)
		}
		fmt.Println(map[bool]string{true: "accepted", false: "refused"}[valid])
	}
}
