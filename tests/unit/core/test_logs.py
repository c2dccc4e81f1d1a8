"""The line of a request: an access log and metrics in one."""

import io
import json
import time
from typing import Any

import pytest

from chalicelib.core.logs import log_request

FACTS: dict[str, Any] = {
    "request_id": "req-1",
    "method": "GET",
    "route": "/api/courses/{course}",
    "duration_ms": 12.3,
    "token_id": "tok_1",
    "institution_id": "ins_1",
}


def line(written: io.StringIO, status: int) -> dict[str, Any]:
    log_request(**FACTS, status=status)
    (text,) = written.getvalue().splitlines()
    found: dict[str, Any] = json.loads(text)
    return found


@pytest.mark.parametrize(
    ("status", "client_errors", "server_errors"),
    [(200, 0, 0), (302, 0, 0), (304, 0, 0), (401, 1, 0), (429, 1, 0), (500, 0, 1), (503, 0, 1)],
)
def test_it_tells_who_called_what_and_counts_it(
    written: io.StringIO, status: int, client_errors: int, server_errors: int
) -> None:
    told = line(written, status)
    assert {name: told[name] for name in FACTS} == FACTS
    assert (told["message"], told["status"], told["requests"]) == ("http.request", status, 1)
    assert (told["client_errors"], told["server_errors"]) == (client_errors, server_errors)


def test_cloudwatch_can_read_its_metrics_and_none_is_by_tenant(written: io.StringIO) -> None:
    """The embedded metric format: what is named must stand at the top, dimensions as text."""
    told = line(written, 200)
    assert abs(told["_aws"]["Timestamp"] - time.time() * 1000) < 10_000
    (directive,) = told["_aws"]["CloudWatchMetrics"]
    dimensions = {name for names in directive["Dimensions"] for name in names}
    assert dimensions == {"stage", "method", "route"}
    assert all(isinstance(told[name], str) for name in dimensions)
    assert all(isinstance(told[metric["Name"]], int | float) for metric in directive["Metrics"])


@pytest.mark.usefixtures("written")
def test_it_costs_less_than_a_tenth_of_a_millisecond() -> None:
    def cost(times: int) -> float:
        began = time.process_time()
        for _ in range(times):
            log_request(**FACTS, status=200)
        return (time.process_time() - began) / times

    assert min(cost(200) for _ in range(5)) < 0.0001
