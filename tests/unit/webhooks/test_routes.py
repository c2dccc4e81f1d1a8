"""The time of a delivery, as its id holds it."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from chalicelib.core.errors import Invalid
from chalicelib.core.ids import new_id
from chalicelib.webhooks.routes import _between
from chalicelib.webhooks.schemas import DeliveryQuery

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)


def query(begin: datetime | None = None, end: datetime | None = None) -> DeliveryQuery:
    return DeliveryQuery.model_validate({"from": begin, "to": end})


@pytest.mark.parametrize(("offset", "inside"), [(-1, False), (0, True), (59, True), (60, False)])
def test_from_is_part_of_the_span_and_to_is_not(offset: int, inside: bool) -> None:
    low, high = _between(query(NOON, NOON + timedelta(seconds=60)), NOON)
    made = new_id("dlv", NOON + timedelta(seconds=offset))
    assert (low <= made <= high) is inside


def test_a_span_without_ends_holds_every_delivery() -> None:
    low, high = _between(query(), NOON)
    assert low < new_id("dlv", NOON) < high


@pytest.mark.parametrize("hours", [-14, 0, 14])
def test_the_ends_of_the_calendar_break_nothing(hours: int) -> None:
    zone = timezone(timedelta(hours=hours))
    low, high = _between(query(datetime.min.replace(tzinfo=zone), datetime.max.replace(tzinfo=zone)), NOON)
    assert low < new_id("dlv", NOON) < high


def test_a_span_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(Invalid) as refused:
        _between(query(NOON, NOON), NOON)
    assert list(refused.value.fields) == ["to"]
