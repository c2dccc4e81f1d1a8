import hashlib
import hmac
import re
import time
from base64 import b64decode, b64encode

TOLERANCE_SECONDS = 300
PREFIX = "whsec_"


def is_signed_webhook(body: bytes, webhook_id: str, timestamp: str, signatures: str, secret: str) -> bool:
    """webhook-signature. Its entries stand for one secret each: one that fits is enough."""
    if not secret.startswith(PREFIX) or not re.fullmatch("[0-9]{1,12}", timestamp):
        return False
    if abs(time.time() - int(timestamp)) > TOLERANCE_SECONDS:
        return False
    key = b64decode(secret.removeprefix(PREFIX))
    content = f"{webhook_id}.{timestamp}.".encode() + body
    expected = b"v1," + b64encode(hmac.digest(key, content, hashlib.sha256))
    matches = [hmac.compare_digest(expected, one.encode()) for one in signatures.split(" ")]
    return any(matches)


def is_signed_body(body: bytes, signature: str, secret: str) -> bool:
    """X-Signature-256. Call it again with X-Signature-256-Next where that header is there."""
    expected = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return secret.startswith(PREFIX) and hmac.compare_digest(expected.encode(), signature.encode())
