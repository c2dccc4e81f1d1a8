"""Who asked for which event, and one delivery for it."""

from datetime import UTC, datetime

import pytest

from chalicelib.core.ids import is_id, moment_of, new_id
from chalicelib.webhooks.service import delivery_id, wants

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("subscriptions", "wanted"),
    [
        (["*"], True),
        (["lesson.*"], True),
        (["lesson.completed"], True),
        (["course.*", "lesson.completed"], True),
        (["course.*"], False),
        (["lesson.started"], False),
        (["lesson"], False),
        ([], False),
    ],
)
def test_subscriptions(subscriptions: list[str], wanted: bool) -> None:
    assert wants(subscriptions, "lesson.completed") is wanted


def test_an_event_makes_one_delivery_for_a_webhook_sorted_by_its_time() -> None:
    event, one, other = new_id("evt", NOW), new_id("whk", NOW), new_id("whk", NOW)
    made = delivery_id(event, one)
    assert is_id(made, "dlv")
    assert made == delivery_id(event, one)
    assert made != delivery_id(event, other)
    assert moment_of(made) == moment_of(event)
