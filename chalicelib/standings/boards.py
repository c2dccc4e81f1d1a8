"""Which leaderboards there are: by period and scope."""

import zlib
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from chalicelib.institutions.service import PUBLIC_INSTITUTION
from chalicelib.learning.service import PERIODS, Span, span_of

PLATFORM = "platform"
KEPT = timedelta(days=60)


@dataclass(frozen=True)
class Board:
    """A leaderboard: a list in `shards`, a tree of counters in `parts`; learners share them by their ids.

    A key takes so many writes a second, and a counter even fewer, as transactions that meet there hold each
    other up. Most answers of the platform may be of the public institution, so its boards are as wide.
    """

    span: Span
    scope: str

    @property
    def name(self) -> str:
        start = f"{self.span.period}:{self.span.first}" if self.span.first else self.span.period
        return f"{start}@{self.scope}"

    @classmethod
    def named(cls, name: str) -> "Board":
        """The board of this name."""
        start, _, scope = name.partition("@")
        period, _, first = start.partition(":")
        kind = next(one for one in PERIODS if one == period)
        return cls(span_of(kind, date.fromisoformat(first) if first else date.min), scope)

    @property
    def expires_at(self) -> datetime | None:
        """From then on it counts as gone."""
        return self.span.closes_at and self.span.closes_at + KEPT

    @property
    def _is_wide(self) -> bool:
        return self.scope == PLATFORM or self.scope.startswith(PUBLIC_INSTITUTION)

    @property
    def shards(self) -> range:
        return range(8 if self._is_wide else 1)

    @property
    def parts(self) -> range:
        return range(32 if self._is_wide else 4)

    def shard_of(self, learner_id: str) -> int:
        return zlib.crc32(learner_id.encode()) % len(self.shards)

    def part_of(self, learner_id: str) -> int:
        return zlib.crc32(learner_id.encode()) % len(self.parts)

    def is_gone(self, now: datetime) -> bool:
        return self.expires_at is not None and self.expires_at <= now


def course_scope(institution_id: str, course_id: str) -> str:
    """A course's board is among the members of one institution."""
    return f"{institution_id}/{course_id}"
