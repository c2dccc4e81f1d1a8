"""Rate limits: exact whatever threads and clocks do, true about when to come back, and cheap to keep."""

import secrets
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.store.conftest import System, refused
from tests.store.examples import scene

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
ADDRESS = "192.0.2.1"


def a_token(limit: int, **changed: Any) -> str:
    """A token that nobody holds, with this limit."""
    from chalicelib.core.ids import new_id
    from chalicelib.core.tokens import TokenItem, mint

    token_id = new_id("tok", NOON)
    token, secret_hash = mint(token_id)
    names = ("kind", "name", "institution_id", "member_id", "user_id")
    facts = {
        **dict.fromkeys(names, "x"),
        "role": "owner",
        "abilities": ["*"],
        "per_minute": limit,
        "created_at": 0,
        "expires_at": 2**33,
        **changed,
    }
    TokenItem(token_id, secret_hash=secret_hash, **facts).save()
    return token


def admitted(token: str, now: datetime) -> int | None:
    """None where it is admitted, else the seconds to wait."""
    from chalicelib.core.errors import RateLimited
    from chalicelib.core.tokens import Refused, admit

    try:
        admit(token, now, ADDRESS)
    except Refused as refusal:
        if not isinstance(refusal.error, RateLimited):
            raise
        return refusal.error.retry_after
    return None


def test_fifty_threads_by_clocks_one_window_apart_get_the_limit_of_each_window(system: System) -> None:
    token = a_token(100)
    behind = timedelta(minutes=1)
    clocks = [NOON - behind * (n % 2) for n in range(400)]
    system.calls.clear()
    with ThreadPoolExecutor(50) as threads:
        waits = list(threads.map(lambda now: (now, admitted(token, now)), clocks))
    assert Counter(now for now, wait in waits if wait is None) == {NOON: 100, NOON - behind: 100}
    assert {wait for _, wait in waits} == {None, 60}
    assert system.calls.names() == ["UpdateItem"] * len(system.calls.made)
    assert 200 < len(system.calls.made) <= 400


STEPS = st.lists(
    st.tuples(st.integers(0, 1), st.sampled_from([0, 0, 0, 0.4, 1, 7, 29, 61, 200])), min_size=1, max_size=30
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(limit=st.integers(1, 4), lag=st.integers(0, 60), steps=STEPS)
def test_no_window_ever_admits_more_and_whoever_waits_gets_through(
    system: System, monkeypatch: pytest.MonkeyPatch, limit: int, lag: int, steps: list[tuple[int, float]]
) -> None:
    """Two containers, one with a clock behind the other's, called in any order at any times."""
    from chalicelib.core import tokens

    token, now = a_token(limit), NOON
    memories: tuple[dict[Any, Any], dict[Any, Any]] = ({}, {})
    passed: Counter[int] = Counter()

    def by(container: int) -> int | None:
        monkeypatch.setattr(tokens, "_refused", memories[container])
        shown = now - timedelta(seconds=lag * container)
        wait = admitted(token, shown)
        if wait is None:
            passed[window(shown)] += 1
        return wait

    def window(moment: datetime) -> int:
        return int(moment.timestamp()) // 60

    for container, seconds in steps:
        now += timedelta(seconds=seconds)
        shown, wait = now - timedelta(seconds=lag * container), by(container)
        if wait is None:
            continue
        assert passed[window(shown)] == limit
        assert 1 <= wait <= 60
        assert window(shown + timedelta(seconds=wait)) == window(shown) + 1
        if passed[window(shown) + 1] < limit:
            now += timedelta(seconds=wait)
            assert by(container) is None
    assert max(passed.values()) <= limit


def test_a_minute_that_is_spent_says_when_to_come_back(system: System, school: str) -> None:
    system.now = NOON + timedelta(seconds=13.7)
    token = a_token(2)
    answers = [system.call("GET", "/api/integrations/webhooks/event-types", token=token) for _ in range(3)]
    assert [one.status for one in answers] == [200, 200, 429]
    last = answers[-1]
    assert last.headers["x-ratelimit-remaining"] == "0"
    assert int(last.headers["x-ratelimit-reset"]) == int(NOON.timestamp()) + 60
    wait = int(last.headers["retry-after"])
    system.later(wait - 1)
    assert system.call("GET", "/api/integrations/webhooks/event-types", token=token).status == 429
    system.later(1)
    assert system.call("GET", "/api/integrations/webhooks/event-types", token=token).status == 200


def test_counters_that_pauses_left_behind_are_swept(system: System) -> None:
    token = a_token(5)
    for hours in range(12):
        assert admitted(token, NOON + timedelta(hours=hours)) is None
    row = stored(system, token)
    assert sum(name[0] == "n" and name[1:].isdigit() for name in row) <= 8


def stored(system: System, token: str) -> dict[str, Any]:
    from chalicelib.core.tokens import parse

    key = {"token_id": {"S": (parse(token) or ("", ""))[0]}}
    found: dict[str, Any] = system.cloud.client("dynamodb").get_item(
        TableName="talktiko-local-tokens", Key=key, ConsistentRead=True
    )["Item"]
    return found


def test_an_expired_token_is_gone_before_it_is_swept_and_use_prolongs_nothing(system: System) -> None:
    """api-5 and ops-3."""
    system.now = NOON
    token = a_token(100, expires_at=int(NOON.timestamp()) + 5)
    path = "/api/integrations/webhooks/event-types"
    statuses = []
    for _ in range(7):
        statuses.append(system.call("GET", path, token=token).status)
        system.later(1)
    assert statuses == [200] * 5 + [401] * 2


def test_a_token_that_is_being_rewritten_is_asked_again(system: System) -> None:
    token, conflicts = a_token(5), 2

    def once_more(name: str, _: Any) -> Any:
        nonlocal conflicts
        conflicts -= 1
        return refused("TransactionConflictException") if conflicts >= 0 else None

    system.calls.clear()
    system.calls.answered = once_more
    assert admitted(token, NOON) is None
    assert system.calls.names() == ["UpdateItem"] * 3


def forged() -> str:
    from chalicelib.core.ids import new_id
    from chalicelib.core.tokens import mint

    return mint(new_id("tok", NOON))[0]


def test_whoever_guesses_tokens_is_stopped_by_address(
    system: System, configured: Callable[..., None], school: str
) -> None:
    configured(REFUSED_TOKEN_LIMIT=5)
    address, path = f"203.0.113.{secrets.randbelow(255)}", "/api/integrations/webhooks/event-types"
    known, unknown = a_token(100), a_token(100)

    def call(token: str, address: str = address) -> Any:
        return system.call("GET", path, token=token, address=address)

    assert call(known).status == 200
    assert [call(forged()).status for _ in range(6)] == [401] * 5 + [429]
    system.calls.clear()
    stopped = call(forged())
    assert (stopped.status, system.calls.names()) == (429, []), "what is known to be spent costs no call"
    assert stopped.headers["x-ratelimit-limit"] == "5"
    assert call(unknown).status == 429
    assert call(known).status == 200, "a colleague at the same address goes on"
    assert system.calls.names() == ["UpdateItem"]
    assert call(forged(), "203.0.114.1").status == 401
    system.later(int(stopped.headers["retry-after"]))
    assert call(unknown).status == 200


def test_a_token_that_was_just_refused_counts_for_nothing(
    system: System, configured: Callable[..., None]
) -> None:
    configured(REFUSED_TOKEN_LIMIT=5)
    address, path = f"198.51.100.{secrets.randbelow(255)}", "/api/auth/me"
    again = forged()
    for token in [again] * 10:
        assert system.call("GET", path, token=token, address=address).status == 401
    counted = [call for call in system.calls.of("UpdateItem") if "refused#" in repr(call["Key"])]
    assert len(counted) == 1


def test_a_client_cannot_choose_its_address_or_institution(
    system: System, configured: Callable[..., None], school: str
) -> None:
    there, other = scene(system), scene(system)
    claims = {
        "x_forwarded_for": "198.18.0.1",
        "forwarded": "for=198.18.0.1",
        "x_real_ip": "198.18.0.1",
        "true_client_ip": "198.18.0.1",
        "x_institution_id": other.institution_id,
        "x_user_id": "usr_00000000000000000000000000",
    }
    system.calls.clear()
    assert system.call("GET", "/api/public/courses", **claims).status == 200
    assert "LIMIT#address#192.0.2.1#" in repr(system.calls.made)
    assert "198.18" not in repr(system.calls.made)
    me = system.call("GET", "/api/auth/me", token=there.token, **claims).body["data"]
    assert me["institution_id"] == there.institution_id
