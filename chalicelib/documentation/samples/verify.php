<?php

const TOLERANCE_SECONDS = 300;
const SECRET_PREFIX = 'whsec_';

/** webhook-signature. Its entries stand for one secret each: one that fits is enough. */
function isSignedWebhook(
    string $requestBody,
    string $webhookId,
    string $webhookTimestamp,
    string $webhookSignature,
    string $webhookSecret
): bool {
    if (!str_starts_with($webhookSecret, SECRET_PREFIX)
        || !preg_match('/^[0-9]{1,12}$/D', $webhookTimestamp)
        || abs(time() - (int) $webhookTimestamp) > TOLERANCE_SECONDS) {
        return false;
    }
    $key = base64_decode(substr($webhookSecret, strlen(SECRET_PREFIX)));
    $content = "$webhookId.$webhookTimestamp.$requestBody";
    $expected = 'v1,' . base64_encode(hash_hmac('sha256', $content, $key, true));
    $isValid = false;
    foreach (explode(' ', $webhookSignature) as $signature) {
        $isValid = hash_equals($expected, $signature) || $isValid;
    }
    return $isValid;
}

/** X-Signature-256. Call it again with X-Signature-256-Next where that header is there. */
function isSignedBody(string $requestBody, string $headerSignature, string $webhookSecret): bool
{
    $signature = hash_hmac('sha256', $requestBody, $webhookSecret);
    $isValid = hash_equals($signature, $headerSignature);
    return $isValid && str_starts_with($webhookSecret, SECRET_PREFIX);
}
