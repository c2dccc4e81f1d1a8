"""A board is found by its name, and gone two months after it closed."""

from datetime import UTC, date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from chalicelib.learning.periods import PERIODS, Period, span_of
from chalicelib.standings.boards import PLATFORM, Board

days = st.dates(date(2000, 1, 1), date(2199, 12, 31))


@given(days, st.sampled_from(PERIODS), st.sampled_from([PLATFORM, "ins_1", "ins_1/crs_1"]))
def test_a_board_is_found_by_its_name(day: date, period: Period, scope: str) -> None:
    board = Board(span_of(period, day), scope)
    assert Board.named(board.name) == board


def test_a_board_is_kept_for_two_months_and_all_time_for_ever() -> None:
    closed = datetime(2026, 12, 1, 12, tzinfo=UTC)
    week = Board(span_of("week", date(2026, 11, 25)), PLATFORM)
    assert not week.is_gone(closed + timedelta(days=60, seconds=-1))
    assert week.is_gone(closed + timedelta(days=60))
    assert not Board(span_of("all", date(2026, 11, 25)), PLATFORM).is_gone(closed + timedelta(days=9999))
