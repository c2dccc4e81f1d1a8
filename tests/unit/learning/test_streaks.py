"""Days of activity in any order, against a day-by-day oracle."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.learning import streaks

TODAY = date(2026, 11, 25)
days = st.lists(st.integers(-60, 0).map(lambda back: TODAY + timedelta(days=back)), max_size=60)


def oracle(active: set[date], today: date) -> int:
    day = today if today in active else today - timedelta(days=1)
    length = 0
    while day in active:
        length += 1
        day -= timedelta(days=1)
    return length


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe"])
@pytest.mark.parametrize(
    "first", [date(2028, 2, 27), date(2026, 3, 6), date(2026, 3, 27), date(2026, 10, 23)]
)
@pytest.mark.parametrize("clock", [(0, 5), (2, 30), (23, 55)])
def test_a_streak_runs_over_a_leap_day_and_the_changes_of_the_clock(
    zone: str, first: date, clock: tuple[int, int]
) -> None:
    runs: list[streaks.Run] = []
    for back in range(5):
        local = datetime(first.year, first.month, first.day, *clock, tzinfo=ZoneInfo(zone)) + timedelta(back)
        runs = streaks.with_day(runs, local.astimezone(UTC).astimezone(ZoneInfo(zone)).date())
    assert streaks.current(runs, first + timedelta(days=4)) == 5


@given(days)
def test_any_order_gives_the_streak_of_the_set(active: list[date]) -> None:
    runs: list[streaks.Run] = []
    for day in active:
        runs = streaks.with_day(runs, day)
    assert streaks.current(runs, TODAY) == oracle(set(active), TODAY)
    assert runs == sorted(runs)
    assert sum((last - first).days + 1 for first, last in runs) == len(set(active))
    for before, after in pairwise(runs):
        assert after[0] - before[1] > timedelta(days=1)


@given(days)
def test_runs_survive_being_stored(active: list[date]) -> None:
    runs: list[streaks.Run] = []
    for day in active:
        runs = streaks.with_day(runs, day)
    assert streaks.from_text(streaks.to_text(runs)) == runs


def test_yesterday_keeps_a_streak_alive_and_the_day_before_does_not() -> None:
    runs = [(TODAY - timedelta(days=5), TODAY - timedelta(days=1))]
    assert streaks.current(runs, TODAY) == 5
    assert streaks.current(runs, TODAY + timedelta(days=1)) == 0
