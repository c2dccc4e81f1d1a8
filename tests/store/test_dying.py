"""A process that dies before its n-th call, for every n: the effect is there once, or not at all."""

import secrets
from typing import Any

import pytest

from tests.store.conftest import Died, System

OWNER = {"email": "owner@lingua-school.example", "password": "demo-owner-1"}


@pytest.fixture
def token(system: System, school: str) -> str:
    token: str = system.call("POST", "/api/auth/sign-in", OWNER).body["data"]["token"]
    return token


def dies_before(system: System, number: int) -> None:
    """Die before the call of this number, from 1."""
    seen = 0

    def now(_name: str, _parameters: Any) -> bool:
        nonlocal seen
        seen += 1
        return seen == number

    system.calls.dies_before = now


WRITES = [
    ("/api/integrations/tokens", {"name": "lms", "abilities": ["progress:read"]}),
    ("/api/integrations/webhooks", {"url": "http://127.0.0.1:9999/", "events": ["*"]}),
    ("/api/integrations/exports", {"type": "learner_progress"}),
]


@pytest.mark.parametrize(("path", "body"), WRITES, ids=[path.rpartition("/")[2] for path, _ in WRITES])
def test_what_was_made_before_dying_is_made_once(system: System, token: str, path: str, body: Any) -> None:
    for number in range(1, 20):
        before = ids(system, token, path)
        key = secrets.token_hex(8)
        system.calls.clear()
        dies_before(system, number)
        died = False
        try:
            system.call("POST", path, body, token=token, idempotency_key=key)
        except Died:
            died = True
        system.calls.clear()
        made = ids(system, token, path) - before
        assert len(made) <= 1
        again = system.call("POST", path, body, token=token, idempotency_key=key)
        assert again.status == 201, again.body
        if made:
            assert again.body["data"]["id"] in made
            assert again.headers["idempotent-replayed"] == "true"
        assert ids(system, token, path) - before == {again.body["data"]["id"]}
        tidy(system, token, path, again.body["data"]["id"])
        if not died:
            assert number > 2
            return
    raise AssertionError("it never got through")


def ids(system: System, token: str, path: str) -> set[str]:
    return {row["id"] for row in system.call("GET", f"{path}?per_page=100", token=token).body["data"]}


def tidy(system: System, token: str, path: str, made: str) -> None:
    """Limits must not be what the next turn runs into."""
    if "exports" not in path:
        assert system.call("DELETE", f"{path}/{made}", token=token).status == 204
        return
    from chalicelib.exports.worker import make_export

    system.work(make_export, system.messages("exports") or [_export_message(made)])


def _export_message(export_id: str) -> dict[str, Any]:
    from infra.demo.seed import SCHOOL

    body = f'{{"institution_id":"{SCHOOL.id}","export_id":"{export_id}"}}'
    return {"Body": body}


def test_an_answer_before_dying_counts_once(system: System, token: str) -> None:
    item = system.call("GET", "/api/trainingItems?type=multiple_choice", token=token).body["data"][0]
    path = f"/api/trainingItems/{item['id']}/attempts"
    body = {"answer": None, "duration_ms": 1}
    for number in range(1, 20):
        key = secrets.token_hex(8)
        before = recorded(system, token)
        dies_before(system, number)
        died = False
        try:
            system.call("POST", path, body, token=token, idempotency_key=key)
        except Died:
            died = True
        system.calls.clear()
        assert recorded(system, token) - before in (0, 1)
        assert system.call("POST", path, body, token=token, idempotency_key=key).status == 201
        assert recorded(system, token) - before == 1
        if not died:
            return
    raise AssertionError("it never got through")


def recorded(system: System, token: str) -> int:
    """How many attempts the learner's own record counts, and how many stand beside it: the same."""
    member = system.call("GET", "/api/auth/me", token=token).body["data"]["member_id"]
    rows = system.cloud.client("dynamodb").query(
        TableName="talktiko-local-learning",
        KeyConditionExpression="pk = :member",
        ExpressionAttributeValues={":member": {"S": member}},
    )["Items"]
    counted = [int(row["attempts"]["N"]) for row in rows if row["sk"]["S"] == "LEARNER"]
    standing: int = sum(row["sk"]["S"].startswith("ATTEMPT#") for row in rows)
    assert (counted or [0]) == [standing]
    return standing
