"""Days of activity, in the learner's own calendar, and the streak that they make.

A day is the local date of an answer in the zone that the learner had then. Days form a set, kept as
runs `[first, last]`, so the order in which answers arrive changes nothing.
"""

from collections.abc import Sequence
from datetime import date, timedelta

Run = tuple[date, date]
_DAY = timedelta(days=1)


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


def current(runs: Sequence[Run], today: date) -> int:
    """Days of the run that reaches today or yesterday: today without activity does not break it yet."""
    for first, last in runs:
        if first <= today and last >= today - _DAY:
            return (min(last, today) - first).days + 1
    return 0


def to_text(runs: Sequence[Run]) -> list[list[str]]:
    return [[first.isoformat(), last.isoformat()] for first, last in runs]


def from_text(stored: Sequence[Sequence[str]]) -> list[Run]:
    return [(date.fromisoformat(first), date.fromisoformat(last)) for first, last in stored]
