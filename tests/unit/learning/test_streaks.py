"""Days of activity in any order, with freezes, against a day-by-day oracle."""

from datetime import date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.learning import streaks
from chalicelib.learning.streaks import Run, Streak

TODAY = date(2026, 11, 25)
UTC = ZoneInfo("UTC")
DAY = timedelta(days=1)
days = st.lists(st.integers(-90, 0).map(lambda back: TODAY + timedelta(days=back)), max_size=80)


def runs_of(active: list[date]) -> list[Run]:
    runs: list[Run] = []
    for day in active:
        runs = streaks.with_day(runs, day)
    return runs


def oracle(active: set[date], today: date) -> tuple[int, int, int]:
    """Current, longest, freezes: one day after the other, as one would count on a calendar."""
    current = longest = used = seen = 0
    freezes = 0
    missed: list[date] = []
    day = min(active, default=today)
    while day <= today:
        if day in active:
            if missed:
                if len(missed) <= freezes:
                    freezes -= len(missed)
                    used += len(missed)
                else:
                    current = 0
                missed = []
            seen += 1
            if seen % 7 == 0:
                freezes = min(2, freezes + 1)
            current += 1
            longest = max(longest, current)
        elif day < today:
            missed.append(day)
        day += DAY
    if missed:
        if len(missed) <= freezes:
            freezes -= len(missed)
        else:
            current = 0
    return current, longest, freezes


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe"])
@pytest.mark.parametrize(
    "first", [date(2028, 2, 27), date(2026, 3, 6), date(2026, 3, 27), date(2026, 10, 23)]
)
@pytest.mark.parametrize("clock", [(0, 5), (2, 30), (23, 55)])
def test_a_streak_runs_over_a_leap_day_and_the_changes_of_the_clock(
    zone: str, first: date, clock: tuple[int, int]
) -> None:
    runs: list[Run] = []
    for back in range(5):
        local = datetime(first.year, first.month, first.day, *clock, tzinfo=ZoneInfo(zone)) + timedelta(back)
        runs = streaks.with_day(runs, local.astimezone(UTC).astimezone(ZoneInfo(zone)).date())
    assert streaks.evaluate(runs, first + timedelta(days=4), ZoneInfo(zone)).current == 5


@settings(max_examples=300)
@given(days)
def test_any_order_gives_what_a_calendar_gives(active: list[date]) -> None:
    runs = runs_of(active)
    found = streaks.evaluate(runs, TODAY, UTC)
    assert (found.current, found.longest, found.freezes) == oracle(set(active), TODAY)
    assert runs == sorted(runs)
    assert sum((last - first).days + 1 for first, last in runs) == len(set(active))
    for before, after in pairwise(runs):
        assert after[0] - before[1] > DAY


@settings(max_examples=200)
@given(
    st.sampled_from(["Europe/Berlin", "America/Santiago", "Pacific/Auckland", "Asia/Kolkata", "UTC"]),
    st.dates(date(2020, 1, 1), date(2026, 11, 25)),
    st.integers(1, 40),
)
def test_daily_activity_is_one_streak_in_every_zone(zone: str, first: date, length: int) -> None:
    """Over changes to and from daylight saving time and leap days."""
    active = [first + timedelta(days=n) for n in range(length)]
    assert streaks.evaluate(runs_of(active), active[-1], ZoneInfo(zone)).current == length


@given(days)
def test_runs_survive_being_stored(active: list[date]) -> None:
    runs = runs_of(active)
    assert streaks.from_numbers(streaks.to_numbers(runs)) == runs


def test_yesterday_keeps_a_streak_alive_and_the_day_before_does_not() -> None:
    runs = [(TODAY - 5 * DAY, TODAY - DAY)]
    assert streaks.evaluate(runs, TODAY, UTC) == Streak(5, 5, TODAY - DAY, 0, at_risk=True, frozen=())
    assert streaks.evaluate(runs, TODAY + DAY, UTC).current == 0


def test_a_week_earns_a_freeze_that_bridges_a_day() -> None:
    week = (TODAY - 9 * DAY, TODAY - 3 * DAY)
    missed_one = streaks.evaluate([week], TODAY - DAY, UTC)
    assert (missed_one.current, missed_one.freezes, missed_one.frozen) == (7, 0, (TODAY - 2 * DAY,))
    assert streaks.evaluate([week], TODAY, UTC).current == 0


def test_a_late_answer_gives_a_freeze_back() -> None:
    week = (TODAY - 8 * DAY, TODAY - 2 * DAY)
    runs = streaks.with_day([week], TODAY)
    assert streaks.evaluate(runs, TODAY, UTC).freezes == 0
    later = streaks.evaluate(streaks.with_day(runs, TODAY - DAY), TODAY, UTC)
    assert (later.current, later.freezes) == (9, 1)


@pytest.mark.parametrize(("zone", "streak"), [("Pacific/Apia", 2), ("Pacific/Auckland", 1)])
def test_a_date_that_a_zone_never_had_is_no_gap(zone: str, streak: int) -> None:
    """Samoa went from 29 to 31 December 2011."""
    runs = runs_of([date(2011, 12, 29), date(2011, 12, 31)])
    assert streaks.evaluate(runs, date(2011, 12, 31), ZoneInfo(zone)).current == streak
