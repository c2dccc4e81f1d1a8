"""Ids: a prefix that tells the kind, and a ULID that sorts by time (`whk_01J…`).

https://github.com/ulid/spec
"""

import re
from datetime import datetime

from ulid import ULID

ID_PATTERN = r"^[a-z]{3}_[0-9A-HJKMNP-TV-Z]{26}$"
_ID = re.compile(ID_PATTERN)


def new_id(prefix: str, moment: datetime) -> str:
    """A new id of the kind `prefix` (three letters), sorted by `moment`."""
    return f"{prefix}_{ULID.from_datetime(moment)}"


def is_id(text: str, prefix: str) -> bool:
    """Whether `text` has the shape of an id of this kind."""
    return text.startswith(f"{prefix}_") and _ID.fullmatch(text) is not None


def moment_of(identifier: str) -> datetime:
    """When the id was made, to the millisecond, in UTC."""
    return ULID.from_str(identifier.partition("_")[2]).datetime
