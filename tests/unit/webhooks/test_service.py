"""Who asked for which event, and one delivery for it."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from chalicelib.core.errors import Invalid
from chalicelib.core.ids import is_id, moment_of, new_id
from chalicelib.core.settings import settings
from chalicelib.webhooks.recovery import ids_between, recovered_id
from chalicelib.webhooks.service import check_url, delivery_id, own_hosts, wants

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


@pytest.fixture
def production(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("STAGE", "prod")
    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.mark.usefixtures("production")
def test_our_own_api_is_nobodys_webhook_by_whatever_name_it_was_called() -> None:
    called = "https://a1b2.execute-api.eu-central-1.amazonaws.com/live"
    assert own_hosts(called) == ["a1b2.execute-api.eu-central-1.amazonaws.com"]
    with pytest.raises(Invalid) as refused:
        check_url(f"{called}/api/integrations/webhooks", called)
    assert list(refused.value.fields) == ["url"]


def test_a_job_makes_one_delivery_of_an_old_one_sorted_by_the_jobs_time() -> None:
    job, old = new_id("rcv", NOW + timedelta(days=1)), new_id("dlv", NOW)
    made = recovered_id(job, old)
    assert is_id(made, "dlv")
    assert made == recovered_id(job, old)
    assert made != recovered_id(new_id("rcv", NOW), old)
    low, high = ids_between(None, NOW + timedelta(days=1))
    assert not low <= made <= high, "a job does not find what it makes itself"
