"""Days of activity, in the learner's own calendar, and the streak that they make.

A day is the local date of an answer in the zone that the learner had then. Days form a set, kept as
runs `[first, last]`, so the order in which answers arrive changes nothing, freezes included: what was
earned and spent is worked out from the days each time.

Every seventh day of activity earns a freeze; two may be held. A gap of one or two days is bridged by as
many freezes, if they were earned before it; a longer gap ends the streak.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

Run = tuple[date, date]
DAYS_PER_FREEZE = 7
FREEZES_AT_MOST = 2
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Streak:
    """Days of activity in a row. `frozen` days do not count, they only bridge."""

    current: int
    longest: int
    last_day: date | None
    freezes: int
    at_risk: bool
    frozen: tuple[date, ...]


def with_day(runs: Sequence[Run], day: date) -> list[Run]:
    """The runs, in order and apart from each other, with `day` among them."""
    first = last = day
    apart = []
    for run in runs:
        if run[1] < first - _DAY or run[0] > last + _DAY:
            apart.append(run)
        else:
            first, last = min(first, run[0]), max(last, run[1])
    return sorted([*apart, (first, last)])


def evaluate(runs: Sequence[Run], today: date, zone: ZoneInfo) -> Streak:
    """The streak as it stands on `today`: a day without activity so far only puts it at risk."""
    walk = _Walk(lambda day: exists(day, zone))
    runs = [(first, min(last, today)) for first, last in runs if first <= today]
    for run, following in pairwise([*runs, None]):
        assert run is not None  # noqa: S101 (only the last of the pairs ends with None)
        walk.active((run[1] - run[0]).days + 1)
        if following is not None:
            walk.gap(run[1], following[0])
    if not runs:
        return Streak(0, 0, None, 0, at_risk=False, frozen=())
    last = runs[-1][1]
    if last < today:
        walk.gap(last, today)
    return Streak(
        current=walk.length,
        longest=walk.longest,
        last_day=last,
        freezes=walk.freezes,
        at_risk=last < today and walk.length > 0,
        frozen=tuple(walk.frozen),
    )


def longest(runs: Sequence[Run], zone: ZoneInfo) -> int:
    """Of all days: whoever flew west may have one that is still to come where they are now."""
    return evaluate(runs, runs[-1][1], zone).longest if runs else 0


class _Walk:
    """The days from the first to the last, one run and one gap after the other."""

    def __init__(self, exists: Callable[[date], bool]) -> None:
        self._exists = exists
        self._days = 0
        self.length = self.longest = self.freezes = 0
        self.frozen: list[date] = []

    def active(self, days: int) -> None:
        earned = (self._days + days) // DAYS_PER_FREEZE - self._days // DAYS_PER_FREEZE
        self._days += days
        self.freezes = min(FREEZES_AT_MOST, self.freezes + earned)
        self.length += days
        self.longest = max(self.longest, self.length)

    def gap(self, last: date, following: date) -> None:
        missed = self._missed(last, following)
        if missed is not None and len(missed) <= self.freezes:
            self.freezes -= len(missed)
            self.frozen += missed
        else:
            self.length = 0

    def _missed(self, last: date, following: date) -> list[date] | None:
        """The days between that were there to be used; None where they are too many for any freezes."""
        between = (following - last).days - 1
        if between > FREEZES_AT_MOST + 1:  # one more: a day that the zone skipped
            return None
        return [day for day in (last + _DAY * n for n in range(1, between + 1)) if self._exists(day)]


def exists(day: date, zone: ZoneInfo) -> bool:
    """Whether the zone ever had this date: Apia went from 29 to 31 December 2011."""
    noon = datetime.combine(day, time(12), zone)
    return noon.astimezone(UTC).astimezone(zone).date() == day


def to_numbers(runs: Sequence[Run]) -> list[list[int]]:
    """As stored: the first day's ordinal and the number of days."""
    return [[first.toordinal(), (last - first).days + 1] for first, last in runs]


def from_numbers(stored: Sequence[Sequence[int]]) -> list[Run]:
    return [(date.fromordinal(first), date.fromordinal(first + days - 1)) for first, days in stored]
