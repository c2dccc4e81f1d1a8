"""What auditors read of a delivery."""

import io
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from chalicelib.core.events import Event, new_event
from chalicelib.core.outbound import Durations, Outcome
from chalicelib.webhooks import delivering, delivery_log, models
from chalicelib.webhooks.delivery_log import ATTEMPT, ATTEMPT_FIELDS, CLOSED, CLOSED_FIELDS
from chalicelib.webhooks.events import WebhookPing
from chalicelib.webhooks.models import DeliveryItem

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
WEBHOOK = "whk_01KAXG7Y0000000000000000AA"
URL = "https://user:hunter2@hooks.example.org:8443/in/4711?key=hunter2"
OF_THE_LOGGER = {"level", "message", "location", "timestamp", "service"}


def of(trigger: str) -> tuple[DeliveryItem, Event]:
    event = new_event(WebhookPing(webhook_id=WEBHOOK), institution_id="ins_1", now=NOW, request_id="req-1")
    delivery = models.pending(
        webhook_id=WEBHOOK,
        delivery_id="dlv_1",
        institution_id="ins_1",
        event_id=event.id,
        event_type=event.type,
        trigger=trigger,
        request_id="req-1",
        now=NOW,
        resend_of="dlv_0",
    )
    return delivery, event


def attempt(
    written: io.StringIO, trigger: str = "event", status: int = 500, number: int = 1, **facts: Any
) -> Any:
    delivery, event = of(trigger)
    outcome = Outcome(Durations(12, 1, 2, 3, 4), 10, status_code=status, **facts)
    verdict = delivering.judge(outcome, number, (60,), 0, NOW)
    delivering._log(delivery, URL, event, NOW, outcome, verdict, NOW if verdict.retry_in else None)
    return json.loads(written.getvalue().splitlines()[-1])


def test_the_line_of_an_attempt_has_the_fields_that_are_documented(written: io.StringIO) -> None:
    reached: dict[str, Any] = {"resolved_address": "192.0.2.1", "tls_version": "TLSv1.3"}
    line = attempt(written, **reached)
    refused = attempt(written, number=2, refused_address="10.0.0.1")
    assert line["message"] == ATTEMPT
    assert {*line, *refused} - OF_THE_LOGGER - {"_aws"} == set(ATTEMPT_FIELDS)
    assert line["sent_at"] == "2026-11-25T12:00:00Z"
    assert datetime.fromisoformat(line["timestamp"]).tzinfo is not None
    assert (line["url_host"], line["url_port"]) == ("hooks.example.org", 8443)


def test_the_line_of_an_end_without_an_attempt_likewise(written: io.StringIO) -> None:
    delivery_log.closed(of("event")[0], "failed", "expired")
    line = json.loads(written.getvalue())
    assert line["message"] == CLOSED
    assert set(line) - OF_THE_LOGGER == set(CLOSED_FIELDS)


def test_neither_query_nor_credentials_nor_path_of_a_url_is_logged(written: io.StringIO) -> None:
    attempt(written)
    assert "hunter2" not in written.getvalue()
    assert "4711" not in written.getvalue()


def test_cloudwatch_reads_metrics_from_the_line_and_none_is_by_tenant(written: io.StringIO) -> None:
    line = attempt(written)
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    assert directive["Dimensions"] == [["stage"]]
    assert isinstance(line["stage"], str)
    assert all(isinstance(line[metric["Name"]], int | float) for metric in directive["Metrics"])


@pytest.mark.parametrize(
    ("status", "number", "delivered", "exhausted"),
    [(200, 1, 1, 0), (500, 1, 0, 0), (500, 2, 0, 1), (410, 1, 0, 0)],
)
def test_an_attempt_counts_as_what_it_was(
    written: io.StringIO, status: int, number: int, delivered: int, exhausted: int
) -> None:
    line = attempt(written, status=status, number=number)
    assert (line["attempts"], line["delivered"], line["exhausted"]) == (1, delivered, exhausted)


def test_a_test_is_no_delivery_that_counts(written: io.StringIO) -> None:
    assert not {"_aws", "attempts", "delivered", "exhausted"} & set(attempt(written, trigger="test"))
