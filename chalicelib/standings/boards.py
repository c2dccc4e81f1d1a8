"""Which leaderboards there are: by period and scope.

A week is the ISO week of an answer's local day, a month its calendar month. Both stay open until noon (UTC)
of the second day after, so that a day that ends late in Honolulu counts; what is recorded later earns XP,
but no place.
"""

import zlib
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal

Period = Literal["week", "month", "all"]
PERIODS: tuple[Period, ...] = ("week", "month", "all")
PLATFORM = "platform"
KEPT = timedelta(days=60)
_PLATFORM_SHARDS = 8


@dataclass(frozen=True)
class Span:
    """A period that holds a certain day. `all` has no bounds."""

    period: Period
    first: date | None
    last: date | None

    @property
    def name(self) -> str:
        return f"{self.period}:{self.first}" if self.first else self.period

    @property
    def closes_at(self) -> datetime | None:
        """From then on nothing is added."""
        if self.last is None:
            return None
        return datetime.combine(self.last + timedelta(days=2), time(12), UTC)

    def holds(self, day: date) -> bool:
        return self.first is None or self.last is None or self.first <= day <= self.last


@dataclass(frozen=True)
class Board:
    """A leaderboard: `shards` parts of it, each a tree and a list, share its learners by their ids.

    One part is enough for an institution; the platform's answers would all meet at the same few counters.
    """

    span: Span
    scope: str

    @property
    def name(self) -> str:
        return f"{self.span.name}@{self.scope}"

    @classmethod
    def named(cls, name: str) -> "Board":
        """The board of this name."""
        span, _, scope = name.partition("@")
        period, _, first = span.partition(":")
        kind = next(one for one in PERIODS if one == period)
        return cls(span_of(kind, date.fromisoformat(first) if first else date.min), scope)

    @property
    def shards(self) -> range:
        return range(_PLATFORM_SHARDS if self.scope == PLATFORM else 1)

    def shard_of(self, learner_id: str) -> int:
        return zlib.crc32(learner_id.encode()) % len(self.shards)


def span_of(period: Period, day: date) -> Span:
    """The period that this local day belongs to."""
    if period == "week":
        monday = day - timedelta(days=day.weekday())
        return Span(period, monday, monday + timedelta(days=6))
    if period == "month":
        following = (day.replace(day=28) + timedelta(days=4)).replace(day=1)
        return Span(period, day.replace(day=1), following - timedelta(days=1))
    return Span(period, None, None)


def course_scope(institution_id: str, course_id: str) -> str:
    """A course's board is among the members of one institution."""
    return f"{institution_id}/{course_id}"
