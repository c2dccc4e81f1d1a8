<?php
require $argv[1];
foreach (file('php://stdin', FILE_IGNORE_NEW_LINES) as $line) {
    [$scheme, $body, $id, $timestamp, $signature, $secret] = array_map('base64_decode', explode("\t", $line));
    $isValid = $scheme === 'webhook'
        ? isSignedWebhook($body, $id, $timestamp, $signature, $secret)
        : isSignedBody($body, $signature, $secret);
    echo $isValid ? "accepted\n" : "refused\n";
}
