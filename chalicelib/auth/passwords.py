"""Passwords: hashed with Argon2id; those that anyone would guess first are refused.

ASVS 5.0 V6.2: eight characters or more, any composition, none of the 3,000 most common (Django's list,
`common-passwords.txt`, most common first), none made of what is known of the account.
"""

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from chalicelib.core.errors import Invalid

if TYPE_CHECKING:
    from argon2 import PasswordHasher

LEAST = 8
_COMMON = Path(__file__).with_name("common-passwords.txt")
_PADDING = re.compile(r"^[\W\d_]+|[\W\d_]+$")
_FEW = 4


class WeakPassword(Invalid):
    def __init__(self, why: str) -> None:
        super().__init__({"password": [f"{why}; choose one that nobody would guess"]})


def refuse_weak(password: str, *, email: str, name: str) -> None:
    """Raises `WeakPassword` for one that is common, or the account's own words with digits around."""
    folded = password.casefold()
    if folded in _common():
        raise WeakPassword("is one of the most common passwords")
    if len(set(folded)) < _FEW:
        raise WeakPassword("repeats the same few characters")
    local, _, domain = email.casefold().partition("@")
    known = {local, domain, *re.split(r"[\W_]+", f"{local} {domain} {name.casefold()}"), "talktiko"}
    known |= {f"{local}@{domain}", name.casefold()}
    if {folded, _PADDING.sub("", folded) or folded} & known:
        raise WeakPassword("is made of the address, the name or the product")


def hashed(password: str) -> str:
    return _hasher().hash(password)


def matches(password_hash: str | None, password: str) -> bool:
    """Whether it is the password. Without a hash it takes the same time, and it is not."""
    from argon2.exceptions import VerificationError

    decoy = _decoy()  # made once per container, whichever path comes first
    try:
        return _hasher().verify(password_hash or decoy, password) and password_hash is not None
    except VerificationError:
        return False


@cache
def _common() -> frozenset[str]:
    return frozenset(_COMMON.read_text().split())


@cache
def _hasher() -> "PasswordHasher":
    """Argon2id, imported only where passwords are: its native part costs a cold start."""
    from argon2 import PasswordHasher

    return PasswordHasher()


@cache
def _decoy() -> str:
    """A hash that stands in for an unknown user's."""
    return _hasher().hash("nobody's password")
