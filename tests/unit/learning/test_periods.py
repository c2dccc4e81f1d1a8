"""Which days belong to which period, and until when an answer counts in it."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.learning.periods import PERIODS, counts, span_of

DAY = date(2026, 11, 25)
days = st.dates(date(2000, 1, 1), date(2199, 12, 31))


@given(days)
def test_a_period_holds_its_day_and_is_the_same_for_all_its_days(day: date) -> None:
    for period in PERIODS:
        span = span_of(period, day)
        assert span.holds(day)
        if span.first and span.last:
            assert not span.holds(span.first - timedelta(days=1))
            assert not span.holds(span.last + timedelta(days=1))
            assert span_of(period, span.first) == span_of(period, span.last) == span


def test_a_week_closes_on_tuesday_at_noon() -> None:
    week = span_of("week", DAY)
    assert (week.first, week.last) == (date(2026, 11, 23), date(2026, 11, 29))
    assert week.closes_at == datetime(2026, 12, 1, 12, tzinfo=UTC)
    assert week.closes_at.weekday() == 1


@pytest.mark.parametrize(
    ("day", "first", "last"),
    [
        (date(2024, 2, 10), date(2024, 2, 1), date(2024, 2, 29)),
        (date(2026, 12, 31), date(2026, 12, 1), date(2026, 12, 31)),
    ],
)
def test_a_month_has_its_days(day: date, first: date, last: date) -> None:
    assert (span_of("month", day).first, span_of("month", day).last) == (first, last)


def test_all_time_never_closes() -> None:
    assert span_of("all", DAY).closes_at is None


@pytest.mark.parametrize(
    ("late", "kept"), [(timedelta(seconds=-1), {"week", "month", "all"}), (timedelta(0), {"month", "all"})]
)
def test_an_answer_counts_by_when_it_was_recorded(late: timedelta, kept: set[str]) -> None:
    recorded_at = datetime(2026, 11, 24, 12, tzinfo=UTC) + late
    assert {period for period in PERIODS if counts(period, date(2026, 11, 22), recorded_at)} == kept
