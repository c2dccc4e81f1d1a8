"""What a member's tokens may do follows the member and its institution: at once, or by event."""

import secrets
from collections.abc import Callable
from typing import Any

import pytest

from chalicelib.core.abilities import Role
from chalicelib.core.errors import Invalid, NotFound
from chalicelib.core.store import Stale, Transaction
from chalicelib.institutions import service
from tests.store.conftest import Died, System
from tests.store.examples import Scene, scene

pytestmark = pytest.mark.usefixtures("school")


@pytest.fixture
def there(system: System) -> Scene:
    return scene(system)


def member_of(there: Scene) -> str:
    member: str = there.system.call("GET", "/api/auth/me", token=there.token).body["data"]["member_id"]
    return member


def change(act: Callable[[Transaction], None]) -> Transaction:
    transaction = Transaction()
    act(transaction)
    transaction.commit()
    return transaction


def a_token(there: Scene, *abilities: str) -> str:
    token: str = there.post("/api/integrations/tokens", {"name": "x", "abilities": list(abilities)})["token"]
    return token


def status_of(there: Scene, token: str, path: str = "/api/integrations/webhooks") -> int:
    return there.system.call("GET", path, token=token).status


def limit_of(there: Scene, token: str) -> int:
    return int(there.system.call("GET", "/api/auth/me", token=token).headers["x-ratelimit-limit"])


def fan_out(system: System) -> None:
    from chalicelib.events.worker import fan_out

    system.work(fan_out, system.messages("events"))


def test_a_changed_role_acts_on_the_next_call_of_every_token(system: System, there: Scene) -> None:
    tokens = [there.token, *(a_token(there, "webhooks:read", "tokens:write") for _ in range(23))]
    member = member_of(there)
    system.calls.clear()
    change(lambda t: service.change_role(t, there.institution_id, member, Role.LEARNER))
    assert system.calls.names() == ["GetItem", "BatchGetItem", "TransactWriteItems"]
    assert [status_of(there, token) for token in tokens] == [403] * 24
    assert system.call("GET", "/api/auth/me", token=there.token).body["data"]["role"] == "learner"
    change(lambda t: service.change_role(t, there.institution_id, member, Role.ADMIN))
    assert [status_of(there, token) for token in tokens] == [200] * 24


def test_who_is_deactivated_is_out_and_stays_out(system: System, there: Scene) -> None:
    from tests.store.examples import ACCOUNT

    token, member = a_token(there, "*"), member_of(there)
    change(lambda t: service.deactivate(t, there.institution_id, member))
    assert [status_of(there, one) for one in (there.token, token)] == [401, 401]
    account = {"email": ACCOUNT["email"], "password": ACCOUNT["password"]}
    body = {**account, "institution_id": there.institution_id}
    assert system.call("POST", "/api/auth/sign-in", body).status == 401
    with pytest.raises(NotFound):
        change(lambda t: service.change_role(t, there.institution_id, member, Role.OWNER))


@pytest.mark.parametrize("what", ["role", "deactivation"])
def test_a_token_made_at_the_same_moment_does_not_keep_the_old_role(
    system: System, there: Scene, what: str
) -> None:
    from chalicelib.auth import service as auth

    member = member_of(there)
    holder = service.member(there.institution_id, member)
    late = Transaction()
    auth.issue(late, holder, name="x", granted=["*"], kind="session", now=system.now)
    if what == "role":
        change(lambda t: service.change_role(t, there.institution_id, member, Role.LEARNER))
    else:
        change(lambda t: service.deactivate(t, there.institution_id, member))
    with pytest.raises(Stale):
        late.commit()


def test_a_change_that_read_before_a_new_token_is_decided_again(system: System, there: Scene) -> None:
    member, late = member_of(there), Transaction()
    service.change_role(late, there.institution_id, member, Role.LEARNER)
    a_token(there, "*")
    with pytest.raises(Stale):
        late.commit()


def test_a_token_that_was_swept_does_not_come_back(system: System, there: Scene) -> None:
    from chalicelib.core.tokens import TokenItem, parse

    token, member = a_token(there, "*"), member_of(there)
    swept = TokenItem((parse(token) or ("", ""))[0])
    swept.delete()
    change(lambda t: service.change_role(t, there.institution_id, member, Role.ADMIN))
    assert status_of(there, there.token) == 200
    with pytest.raises(TokenItem.DoesNotExist):
        swept.refresh()


def test_a_changed_plan_reaches_every_token_by_event(
    system: System, empty_queues: None, there: Scene
) -> None:
    token = a_token(there, "*")
    change(lambda t: service.change_plan(t, there.institution_id, "free", system.now))
    assert limit_of(there, token) == 1000
    fan_out(system)
    assert [limit_of(there, one) for one in (token, there.token)] == [100, 100]
    assert limit_of(there, a_token(there, "*")) == 100, "and new ones are made with it"


def test_a_plan_event_may_come_twice_late_and_out_of_order(
    system: System, empty_queues: None, there: Scene
) -> None:
    from chalicelib.events.worker import fan_out

    change(lambda t: service.change_plan(t, there.institution_id, "free", system.now))
    first = system.messages("events")
    change(lambda t: service.change_plan(t, there.institution_id, "enterprise", system.now, 5000))
    second = system.messages("events")
    assert len(first) == len(second) == 1
    for messages in (second, first, second):
        system.work(fan_out, messages)
        assert limit_of(there, there.token) == 5000


def test_a_worker_that_dies_at_any_call_is_made_good_by_the_message_that_comes_again(
    system: System, empty_queues: None, there: Scene
) -> None:
    from chalicelib.events.worker import fan_out

    token = a_token(there, "*")
    for number in range(1, 20):
        plan: service.Plan = "free" if number % 2 else "pro"
        change(lambda t, plan=plan: service.change_plan(t, there.institution_id, plan, system.now))  # type: ignore[misc]
        messages, seen = system.messages("events"), 0

        def now(_: str, __: Any, number: int = number) -> bool:
            nonlocal seen
            seen += 1
            return seen == number

        system.calls.dies_before = now
        try:
            system.work(fan_out, messages)
            died = False
        except Died:
            died = True
        system.calls.clear()
        limits = {limit_of(there, one) for one in (token, there.token)}
        assert len(limits) == 1, "a member's tokens change together"
        system.work(fan_out, messages)
        assert limit_of(there, token) == service.PLAN_LIMITS[plan]
        if not died:
            assert number > 4
            return
    raise AssertionError("it never got through")


def test_a_plan_that_changes_under_the_worker_is_read_again(
    system: System, empty_queues: None, there: Scene
) -> None:
    """Between its reading of the institution and its writing to a member."""
    from chalicelib.events.worker import fan_out

    change(lambda t: service.change_plan(t, there.institution_id, "free", system.now))
    messages, interfered = system.messages("events"), False

    def interfere(name: str, _: Any) -> None:
        nonlocal interfered
        if name == "TransactWriteItems" and not interfered:
            interfered = True
            with system.calls.by(None):
                change(lambda t: service.change_plan(t, there.institution_id, "enterprise", system.now, 7))

    system.calls.answered = interfere
    system.work(fan_out, messages)
    assert limit_of(there, there.token) == 7


def test_a_sign_in_that_read_the_old_plan_is_decided_again(
    system: System, empty_queues: None, there: Scene
) -> None:
    from chalicelib.auth import service as auth

    holder, late = service.member(there.institution_id, member_of(there)), Transaction()
    auth.issue(late, holder, name="x", granted=["*"], kind="session", now=system.now)
    change(lambda t: service.change_plan(t, there.institution_id, "free", system.now))
    fan_out(system)
    with pytest.raises(Stale):
        late.commit()


@pytest.mark.parametrize("own", [None, 0, 30_001])
def test_an_enterprise_agrees_on_a_limit_that_one_counter_can_keep(
    system: System, there: Scene, own: int | None
) -> None:
    with pytest.raises(Invalid):
        service.change_plan(Transaction(), there.institution_id, "enterprise", system.now, own)


def test_an_unknown_institution_has_no_plan(system: System) -> None:
    nowhere = f"ins_{secrets.token_hex(13).upper()}"
    with pytest.raises(NotFound):
        change(lambda t: service.change_plan(t, nowhere, "pro", system.now))
