"""Types that requests and responses of every slice share, with their limits and examples.

The OpenAPI document is made of what they say: a field of such a type needs no limit of its own.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from chalicelib.core.ids import pattern_of


def _id(example: str) -> Any:
    """An id of the kind that `example` is of."""
    return Field(pattern=pattern_of(example[:3]), max_length=30, examples=[example])


InstitutionId = Annotated[str, _id("ins_01M896JG49XWCBYB6WK952SWA0")]
UserId = Annotated[str, _id("usr_01M89831TS432CF1XMWCEJZ05X")]
TokenId = Annotated[str, _id("tok_01M89851RJ0DD3YRST4CHN5KN0")]
MemberId = Annotated[str, _id("mem_01M897CD85HT5GMEJ146S6JR41")]
CourseId = Annotated[str, _id("crs_01M896D2R678F603XZBCWC8TR7")]
LessonId = Annotated[str, _id("lsn_01M896B4G7TD0HK1DBS629DWG0")]
TrainingId = Annotated[str, _id("trn_01M897VG3ZNJR445DF0QQX8Y8R")]
ItemId = Annotated[str, _id("itm_01M895G01K9KEFCACRY5T3662G")]
AttemptId = Annotated[str, _id("att_01M895Q3PGSGTZJB48EY4HDD14")]
EventId = Annotated[str, _id("evt_01M895V1SSTWF32BJQ85Q8WN82")]
WebhookId = Annotated[str, _id("whk_01M898ET6E1YPK214Y4KM844WQ")]
DeliveryId = Annotated[str, _id("dlv_01M897PXYS28NP5Y4T1Z0RR045")]
DataRequestId = Annotated[str, _id("dtr_01M8951R2Y5W8Q3T6Z0K4H7N9B")]
RecoveryId = Annotated[str, _id("rcv_01M898T0WJ4B9V7C2Q6XH3N5KD")]
ExportId = Annotated[str, _id("exp_01M89546FF7GTNRXWX51K5Y1E7")]

Time = Annotated[
    str,
    Field(
        max_length=30,
        description="RFC 3339, UTC",
        examples=["2026-11-25T12:00:00Z"],
        json_schema_extra={"format": "date-time"},
    ),
]

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII)


def _parsed(value: object) -> object:
    """RFC 3339 and nothing else: pydantic would also take seconds since 1970, and times without seconds."""
    if isinstance(value, datetime):
        return value
    try:
        if isinstance(value, str) and _RFC3339.fullmatch(value.upper()):
            return datetime.fromisoformat(value.upper())
    except ValueError:
        pass
    raise ValueError("write the time as in 2026-11-25T12:00:00Z")


Moment = Annotated[
    AwareDatetime,
    Field(json_schema_extra={"maxLength": 35}, examples=["2026-11-25T12:00:00Z"]),
    BeforeValidator(_parsed),
]
"""A time that a client sends, in any zone."""

Count = Annotated[int, Field(ge=0, le=2_000_000_000, examples=[3])]
Size = Annotated[int, Field(ge=0, le=10**15, description="Bytes", examples=[231_480])]
Percent = Annotated[int, Field(ge=0, le=100, examples=[37])]
Milliseconds = Annotated[int, Field(ge=0, le=2_000_000_000, examples=[184])]
Version = Annotated[int, Field(ge=1, le=1_000_000, examples=[1])]
HttpStatus = Annotated[int, Field(ge=100, le=999, examples=[200])]

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


Held = Iterator[tuple[str, Iterable[Mapping[str, object]]]]
"""What a slice holds of a person: tables by name, each read before the next."""


class Schema(BaseModel):
    """What every schema stands on: it is built at its first use, since a container uses few of them."""

    model_config = ConfigDict(defer_build=True)


class Body(Schema):
    """A request body: nothing in it that nobody declared."""

    model_config = ConfigDict(extra="forbid", frozen=True)
