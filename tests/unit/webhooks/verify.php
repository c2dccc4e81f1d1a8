<?php
// A receiver's check, exactly as the API reference page shows it.
// php verify.php SECRET SIGNATURE < body: prints "valid" or "invalid".
[, $webhookSecret, $headerSignature] = $argv;
$requestBody = file_get_contents('php://stdin');

$signature = hash_hmac('sha256', $requestBody, $webhookSecret);
$isValid = hash_equals($signature, $headerSignature);

echo $isValid ? 'valid' : 'invalid';
