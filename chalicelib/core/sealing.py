"""Secrets at rest: encrypted by KMS, bound to the record that holds them.

The encryption context (institution, kind, record id) is part of what KMS checks, so a sealed
secret copied to another record does not open. Every secret that we hold is under 4 KiB, KMS's limit.
"""

import time
from functools import cache

from chalicelib.core import aws
from chalicelib.core.settings import settings

_KEPT_SECONDS = 300.0
_KEPT_AT_MOST = 1000
_LONGEST = 4096
_opened: dict[tuple[bytes, str, str, str], tuple[float, str]] = {}


def seal(secret: str, *, institution_id: str, kind: str, record_id: str) -> bytes:
    """`secret` (at most 4 KiB as UTF-8, or `ValueError`), encrypted for this record alone."""
    if len(secret.encode()) > _LONGEST:
        raise ValueError("KMS encrypts at most 4096 bytes")
    answer = aws.kms().encrypt(
        KeyId=settings().secrets_key,
        Plaintext=secret.encode(),
        EncryptionContext={"institution_id": institution_id, "kind": kind, "record_id": record_id},
    )
    return answer["CiphertextBlob"]


def unseal(sealed: bytes, *, institution_id: str, kind: str, record_id: str) -> str:
    """The secret again; kept in this container's memory for five minutes."""
    place = (sealed, institution_id, kind, record_id)
    kept = _opened.get(place)
    if kept and kept[0] > time.monotonic():
        return kept[1]
    answer = aws.kms().decrypt(
        CiphertextBlob=sealed,
        EncryptionContext={"institution_id": institution_id, "kind": kind, "record_id": record_id},
    )
    secret = answer["Plaintext"].decode()
    if len(_opened) >= _KEPT_AT_MOST:
        _opened.clear()
    _opened[place] = (time.monotonic() + _KEPT_SECONDS, secret)
    return secret


@cache
def signing_key(purpose: str) -> bytes:
    """A key for signatures that only our own code checks: 32 bytes, the same in every container.

    KMS derives it from a key that never leaves it; asked for once per container.
    """
    answer = aws.kms().generate_mac(
        KeyId=settings().signing_key, Message=purpose.encode(), MacAlgorithm="HMAC_SHA_256"
    )
    return answer["Mac"]
