"""Places, rate, holds and the circuit of an endpoint, as values."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.webhooks import flow
from chalicelib.webhooks.flow import AT_ONCE, Health, Result, Wait, enter, free, leave

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


def entered(health: Health, token: str, now: datetime = NOON, per_minute: int | None = None) -> Health:
    found = enter(health, token, now, per_minute)
    assert isinstance(found, Health), found
    return found


def after(results: str, now: datetime = NOON, health: Health | None = None) -> Health:
    """An endpoint that made these of its requests, one by one: + success, - failure, t throttled."""
    health = health or Health()
    named: dict[str, Result] = {"+": "success", "-": "failure", "t": "throttled"}
    for n, result in enumerate(results):
        health = leave(entered(health, f"{n}", now), f"{n}", named[result], now)
    return health


def why(health: Health, now: datetime, per_minute: int | None = None) -> str | None:
    found = enter(health, "x", now, per_minute)
    return found.reason if isinstance(found, Wait) else None


def test_five_are_under_way_and_the_sixth_waits() -> None:
    health = Health()
    for n in range(AT_ONCE):
        health = entered(health, f"{n}")
    assert why(health, NOON) == "places"
    assert free(health, NOON, None) == 0
    health = leave(health, "3", "success", NOON)
    assert free(health, NOON, None) == 1
    entered(health, "5")


def test_a_place_of_a_dead_worker_is_lost() -> None:
    health = Health()
    for n in range(AT_ONCE):
        health = entered(health, f"{n}")
    assert why(health, NOON + seconds(44)) == "places"
    assert why(health, NOON + seconds(45)) is None


@pytest.mark.parametrize(
    ("results", "circuit"),
    [
        ("----", "closed"),
        ("-----", "open"),
        ("----+----", "closed"),
        ("--+--+--+-", "open"),  # 7 of 10
        ("--+--+--++", "closed"),
        ("--+--+", "closed"),  # too few to tell
        ("tttttttttttt", "closed"),
        ("--tt---", "open"),
    ],
)
def test_the_circuit_opens_on_failures(results: str, circuit: str) -> None:
    assert flow.circuit(after(results), NOON) == circuit


def test_old_failures_are_forgotten() -> None:
    health = after("--+--+--")
    assert flow.circuit(after("+-", NOON + seconds(301), health), NOON + seconds(301)) == "closed"
    assert flow.circuit(after("+-", NOON + seconds(299), health), NOON + seconds(299)) == "open"


def test_an_open_circuit_lets_one_probe_after_a_minute() -> None:
    health = after("-----")
    assert why(health, NOON + seconds(59)) == "open"
    at = NOON + seconds(60)
    assert flow.circuit(health, at) == "half_open"
    assert free(health, at, None) == 1
    health = entered(health, "probe", at)
    assert why(health, at) == "open"
    assert free(health, at, None) == 0
    assert why(health, at + seconds(45)) is None, "the probe's worker died: another one probes"


def test_a_probe_that_succeeds_closes_it_and_places_come_back_one_by_one() -> None:
    at = NOON + seconds(60)
    health = leave(entered(after("-----"), "probe", at), "probe", "success", at)
    assert flow.circuit(health, at) == "closed"
    allowed = []
    for n in range(6):
        allowed.append(free(health, at, None))
        health = leave(entered(health, f"{n}", at), f"{n}", "success", at)
    assert allowed == [1, 2, 3, 4, 5, 5]


def test_a_probe_that_fails_doubles_the_wait_up_to_an_hour() -> None:
    health, at, waits = after("-----"), NOON, []
    for _ in range(9):
        assert health.open_until is not None
        waits.append((health.open_until - at).total_seconds() / 60)
        at = health.open_until
        health = leave(entered(health, "probe", at), "probe", "failure", at)
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_what_was_sent_before_the_circuit_opened_decides_nothing() -> None:
    health = entered(Health(), "early")
    health = after("-----", health=health)
    for result in ("success", "failure"):
        found = leave(health, "early", result, NOON)
        assert (found.open_until, found.openings) == (health.open_until, 1)


def test_a_rate_is_kept_by_the_minute() -> None:
    health = Health()
    for n in range(3):
        health = leave(entered(health, f"{n}", NOON, 3), f"{n}", "success", NOON)
    found = enter(health, "x", NOON + seconds(20), 3)
    assert found == Wait("rate", NOON + seconds(60))
    assert free(health, NOON + seconds(20), 3) == 0
    assert free(health, NOON + seconds(60), 3) == 3
    assert why(health, NOON + seconds(20)) is None, "where no rate is asked for, none is kept"


def test_a_hold_holds_everyone_and_the_longest_counts() -> None:
    health = leave(entered(Health(), "a"), "a", "throttled", NOON, NOON + seconds(300))
    health = leave(entered(health, "b", NOON + seconds(301)), "b", "throttled", NOON, NOON + seconds(10))
    assert why(health, NOON + seconds(299)) == "held"
    assert flow.next_look(health, NOON) == NOON + seconds(300)
    assert why(health, NOON + seconds(300)) is None


def test_a_request_that_was_not_made_tells_nothing() -> None:
    health = after("----")
    found = leave(entered(health, "x"), "x", None, NOON)
    assert found.in_a_row == 4
    assert found.places == {}


@pytest.mark.parametrize(
    ("hours", "failures", "failing"), [(119, 50, False), (120, 19, False), (120, 20, True), (500, 3, False)]
)
def test_a_long_run_of_failures_is_failing(hours: int, failures: int, failing: bool) -> None:
    health = Health(failing_since=NOON - timedelta(hours=hours), failures=failures)
    assert flow.is_failing(health, NOON) is failing


def test_nineteen_failures_a_success_and_nineteen_failures_are_sporadic() -> None:
    health, at = Health(), NOON
    for result in "-" * 19 + "+" + "-" * 19:
        at += timedelta(hours=10)
        health = after(result, at, health)
        assert not flow.is_failing(health, at)
    assert health.failures == 19


@given(st.lists(st.tuples(st.sampled_from(["enter", "+", "-", "t", "none", "wait"]), st.integers(0, 400))))
def test_whatever_happens_places_are_bounded_and_an_endpoint_can_be_tried_again(
    steps: list[tuple[str, int]],
) -> None:
    named: dict[str, Result | None] = {"+": "success", "-": "failure", "t": "throttled", "none": None}
    health, now, held = Health(), NOON, []
    for n, (what, number) in enumerate(steps):
        if what == "wait":
            now += seconds(number)
        elif what == "enter":
            found = enter(health, f"{n}", now, None)
            if isinstance(found, Wait):
                assert found.until > now
                assert free(health, now, None) == 0
            else:
                health = found
                held.append(f"{n}")
        elif held:
            health = leave(health, held.pop(number % len(held)), named[what], now)
        assert len(health.places) <= AT_ONCE + 1
        assert Health.model_validate_json(health.model_dump_json(exclude_defaults=True)) == health
    assert free(health, now + timedelta(hours=2), None) >= 1
