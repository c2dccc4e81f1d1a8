"""Ids: a prefix that tells the kind, and a ULID that sorts by time (`whk_01J…`).

https://github.com/ulid/spec
"""

import re
from datetime import datetime

from ulid import ULID

_ULID = "[0-9A-HJKMNP-TV-Z]{26}"
_ID = re.compile(f"[a-z]{{3}}_{_ULID}")


def pattern_of(prefix: str) -> str:
    """What ids of a kind match, as a JSON schema says it."""
    return f"^{prefix}_{_ULID}$"


def new_id(prefix: str, moment: datetime) -> str:
    """A new id of the kind `prefix` (three letters), sorted by `moment`."""
    return f"{prefix}_{ULID.from_datetime(moment)}"


def is_id(text: str, prefix: str) -> bool:
    """Whether `text` has the shape of an id of this kind."""
    return text.startswith(f"{prefix}_") and _ID.fullmatch(text) is not None


def moment_of(identifier: str) -> datetime:
    """When the id was made, to the millisecond, in UTC."""
    return ULID.from_str(identifier.partition("_")[2]).datetime
