"""Weeks and months, as leaderboards count them: by the local day of an answer.

A week is the ISO week of that day, a month its calendar month. Both close at noon (UTC) of the second day
after, so that a day that ends late in Honolulu counts. An answer counts by when it was recorded: what comes
later earns XP, but no place.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal

Period = Literal["week", "month", "all"]
PERIODS: tuple[Period, ...] = ("week", "month", "all")


@dataclass(frozen=True)
class Span:
    """A period that holds a certain day. `all` has no bounds."""

    period: Period
    first: date | None
    last: date | None

    @property
    def closes_at(self) -> datetime | None:
        """What is recorded from then on does not count."""
        if self.last is None:
            return None
        return datetime.combine(self.last + timedelta(days=2), time(12), UTC)

    def holds(self, day: date) -> bool:
        return self.first is None or self.last is None or self.first <= day <= self.last


def span_of(period: Period, day: date) -> Span:
    """The period that this local day belongs to."""
    if period == "week":
        monday = day - timedelta(days=day.weekday())
        return Span(period, monday, monday + timedelta(days=6))
    if period == "month":
        following = (day.replace(day=28) + timedelta(days=4)).replace(day=1)
        return Span(period, day.replace(day=1), following - timedelta(days=1))
    return Span(period, None, None)


def counts(period: Period, day: date, recorded_at: datetime) -> bool:
    """Whether an answer of this local day was recorded in time."""
    closes_at = span_of(period, day).closes_at
    return closes_at is None or recorded_at < closes_at
