"""Types that requests and responses of every slice share, with their limits."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from chalicelib.core.ids import ID_PATTERN

Id = Annotated[str, Field(pattern=ID_PATTERN, max_length=30, examples=["crs_01KAXG7Y0000000000000000A1"])]
Time = Annotated[str, Field(max_length=30, description="RFC 3339, UTC", examples=["2026-11-25T12:00:00Z"])]
EventType = Annotated[
    str, Field(max_length=60, pattern=r"^[a-z_]+(\.[a-z_]+)+$", examples=["lesson.completed"])
]


class Schema(BaseModel):
    """What every schema stands on: it is built at its first use, since a container uses few of them."""

    model_config = ConfigDict(defer_build=True)


class Body(Schema):
    """A request body: nothing in it that nobody declared."""

    model_config = ConfigDict(extra="forbid", frozen=True)
