"""Types that requests and responses of every slice share, with their limits."""

import re
import unicodedata
from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainValidator, WithJsonSchema

from chalicelib.core.ids import ID_PATTERN

Id = Annotated[str, Field(pattern=ID_PATTERN, max_length=30, examples=["crs_01KAXG7Y0000000000000000A1"])]
Time = Annotated[str, Field(max_length=30, description="RFC 3339, UTC", examples=["2026-11-25T12:00:00Z"])]
_RFC3339 = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})")


def _instant(value: object) -> datetime:
    if isinstance(value, datetime):
        return value
    if not isinstance(value, str) or not _RFC3339.fullmatch(value):
        raise ValueError("must be a time such as 2026-11-25T12:00:00Z, with its offset from UTC (RFC 3339)")
    return datetime.fromisoformat(value)


Instant = Annotated[
    datetime,
    PlainValidator(_instant),
    WithJsonSchema({"type": "string", "format": "date-time", "maxLength": 35}),
]
"""A time as clients send it: RFC 3339 alone, since an epoch number may mean seconds or milliseconds."""

Line = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$")]
"""Text without line breaks and other control characters."""


def _email(value: str) -> str:
    address = unicodedata.normalize("NFC", value)
    if any(unicodedata.category(character) in ("Cc", "Cf", "Cn", "Co", "Cs") for character in address):
        raise ValueError("contains a character that cannot be seen")
    return address


Email = Annotated[
    str,
    Field(
        pattern=r"^[^@\s\x00-\x1f]{1,64}@[^@\s\x00-\x1f]{1,189}$",
        max_length=254,
        examples=["ana@example.org"],
    ),
    AfterValidator(_email),
]
"""An address, in NFC. What cannot be seen in it is refused: two accounts must not look the same."""

EventType = Annotated[
    str, Field(max_length=60, pattern=r"^[a-z_]+(\.[a-z_]+)+$", examples=["lesson.completed"])
]


class Body(BaseModel):
    """A request body: nothing in it that nobody declared."""

    model_config = ConfigDict(extra="forbid", frozen=True)
