"""How a webhook request is signed: one secret, two schemes, an overlap when the secret changes.

* `X-Signature-256` is the lower-case hex HMAC-SHA256 of the body, keyed with the UTF-8 bytes of the whole
  secret as displayed. This is what the reference page's PHP checks:
  `hash_hmac('sha256', $requestBody, $webhookSecret)`.
* `webhook-id`, `webhook-timestamp` and `webhook-signature` are those of Standard Webhooks: `v1,` and the
  base64 HMAC-SHA256 of `id.timestamp.body`, keyed with the decoded part of the secret, so that its libraries
  verify it.

Everything is signed over the very bytes that are sent. Time and randomness are arguments.
"""

import hashlib
import hmac
from base64 import b64decode, b64encode
from collections.abc import Sequence
from datetime import datetime

from chalicelib.core.errors import Invalid

PREFIX = "whsec_"
SECRET_BYTES = 32
"""Of a secret that we make."""

MIN_BYTES, MAX_BYTES = 24, 64
"""Of a secret that a customer brings (Standard Webhooks, "Signature scheme")."""


class InvalidSecret(Invalid):
    """Not a webhook secret. The text never repeats what was given."""

    def __init__(self) -> None:
        text = f"must be {PREFIX} followed by the base64 of {MIN_BYTES} to {MAX_BYTES} random bytes"
        super().__init__({"secret": [text]})


def new_secret(random_bytes: bytes) -> str:
    """A secret as it is displayed, from 32 bytes of a cryptographic source such as `secrets.token_bytes`."""
    if len(random_bytes) != SECRET_BYTES:
        raise ValueError(f"a secret takes {SECRET_BYTES} random bytes")
    return PREFIX + b64encode(random_bytes).decode()


def key_of(secret: str) -> bytes:
    """The decoded part of a displayed secret.

    Raises:
        InvalidSecret: Wrong prefix, not canonical base64 with padding, or not 24 to 64 bytes.
    """
    encoded = secret.removeprefix(PREFIX)
    try:
        key = b64decode(encoded.encode("ascii"), validate=True)
    except ValueError:
        raise InvalidSecret from None
    is_canonical = secret == PREFIX + b64encode(key).decode()
    if not is_canonical or not MIN_BYTES <= len(key) <= MAX_BYTES:
        raise InvalidSecret
    return key


def hint_of(secret: str) -> str:
    """The last four characters, by which an owner can tell secrets apart."""
    return secret[-4:]


def body_signature(secret: str, body: bytes) -> str:
    """The value of `X-Signature-256`."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def standard_signature(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """One entry of `webhook-signature`. `timestamp` is in seconds since 1970.

    Raises:
        InvalidSecret: See `key_of`.
        ValueError: A full stop in the id would let two messages share a signature.
    """
    if "." in message_id:
        raise ValueError("the id of a signed message contains no full stop")
    content = f"{message_id}.{timestamp}.".encode() + body
    digest = hmac.new(key_of(secret), content, hashlib.sha256).digest()
    return f"v1,{b64encode(digest).decode()}"


def signature_headers(
    body: bytes, *, message_id: str, sent_at: datetime, secrets: Sequence[str]
) -> dict[str, str]:
    """The headers that sign one attempt.

    Args:
        body: The frozen bytes, as sent.
        message_id: The event's id: the same for all attempts and resends.
        sent_at: The time of this attempt, with its time zone.
        secrets: Those in force, oldest first. In an overlap the oldest signs `X-Signature-256`, so that no
            receiver sees a bad signature, the newest `X-Signature-256-Next`; `webhook-signature` lists all,
            newest first, since receivers accept any entry.

    Raises:
        InvalidSecret: See `key_of`.
        ValueError: `sent_at` has no time zone, or the id contains a full stop.
    """
    if sent_at.tzinfo is None:
        raise ValueError("the time of an attempt needs its time zone")
    timestamp = int(sent_at.timestamp())
    oldest, newest = secrets[0], secrets[-1]
    headers = {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(
            standard_signature(one, message_id, timestamp, body) for one in reversed(secrets)
        ),
        "X-Signature-256": body_signature(oldest, body),
    }
    if newest != oldest:
        headers["X-Signature-256-Next"] = body_signature(newest, body)
    return headers
