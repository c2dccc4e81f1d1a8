"""What an answer of a receiver means for its delivery."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chalicelib.core.outbound import Durations, Outcome
from chalicelib.webhooks.delivering import JITTER, judge, retry_after

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
SCHEDULE = (60, 300, 1500)


def outcome(status: int | None = None, error: Any = None, **headers: str) -> Outcome:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Outcome(Durations(1), 10, status_code=status, error_class=error, headers=named)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_2xx_is_success(status: int) -> None:
    assert judge(outcome(status), 1, SCHEDULE, 0, NOW).status == "delivered"


def test_a_2xx_whose_body_broke_off_was_taken() -> None:
    assert judge(outcome(200, "timeout"), 1, SCHEDULE, 0, NOW).status == "delivered"


@pytest.mark.parametrize("status", [301, 302, 400, 401, 404, 429, 500, 503])
def test_other_answers_are_retried(status: int) -> None:
    assert judge(outcome(status), 1, SCHEDULE, 0, NOW).retry_in == 60


@pytest.mark.parametrize("error", ["dns", "connect", "tls", "timeout", "protocol"])
def test_no_answer_is_retried(error: str) -> None:
    assert judge(outcome(None, error), 2, SCHEDULE, 0, NOW).retry_in == 300


@pytest.mark.parametrize("error", ["blocked_address", "invalid_url", "invalid_header"])
def test_what_can_never_be_sent_is_not(error: str) -> None:
    verdict = judge(outcome(None, error), 1, SCHEDULE, 0, NOW)
    assert (verdict.status, verdict.reason) == ("failed", "blocked")


def test_gone_ends_it() -> None:
    assert judge(outcome(410), 1, SCHEDULE, 0, NOW).reason == "gone"


def test_a_fourth_failure_is_the_last() -> None:
    assert judge(outcome(500), 3, SCHEDULE, 0, NOW).retry_in == 1500
    verdict = judge(outcome(500), 4, SCHEDULE, 0, NOW)
    assert (verdict.status, verdict.reason, verdict.retry_in) == ("failed", "exhausted", None)


@given(st.floats(-JITTER, JITTER), st.integers(1, 3))
def test_jitter_stays_within_a_fifth(jitter: float, attempt: int) -> None:
    wait = judge(outcome(500), attempt, SCHEDULE, jitter, NOW).retry_in
    assert wait is not None
    assert 0.8 * SCHEDULE[attempt - 1] - 1e-6 <= wait <= 1.2 * SCHEDULE[attempt - 1] + 1e-6


@pytest.mark.parametrize(
    ("header", "wait"),
    [
        ("120", 120),
        ("30", 60),
        ("86400", 3600),
        ("-5", 60),
        ("soon", 60),
        ("", 60),
        ("1e9", 60),
        ("9" * 400, 3600),
    ],
)
def test_retry_after_makes_the_wait_longer_by_an_hour_at_most(header: str, wait: int) -> None:
    for status in (429, 503):
        assert judge(outcome(status, retry_after=header), 1, SCHEDULE, 0, NOW).retry_in == wait
    assert judge(outcome(500, retry_after=header), 1, SCHEDULE, 0, NOW).retry_in == 60


def test_retry_after_may_be_a_date() -> None:
    later = NOW + timedelta(seconds=200)
    assert retry_after(later.strftime("%a, %d %b %Y %H:%M:%S GMT"), NOW) == 200
    assert retry_after((NOW - timedelta(days=1)).strftime("%a, %d %b %Y %H:%M:%S GMT"), NOW) == 0


dates = st.builds(
    "{}, {} {} {} {}:00:00 {}{}".format,
    st.sampled_from(["Mon", "Tue", "xx"]),
    st.integers(-1, 40),
    st.sampled_from(["Jan", "Feb", "Foo"]),
    st.integers(-1, 10**12),
    st.integers(-1, 30),
    st.sampled_from(["+", "-", "GMT"]),
    st.integers(0, 10**30),
)


@given(st.text() | dates)
@example("Mon, 01 Jan 2026 00:00:00 +99999999999999999999")
def test_no_header_of_a_receiver_breaks_us(header: str) -> None:
    assert retry_after(header, NOW) >= 0
