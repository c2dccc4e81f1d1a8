"""Accounts and tokens over HTTP, against the deployed local cloud."""

import secrets
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from infra.demo.load import environment
from infra.local.cloud import REPOSITORY
from tests.conftest import LocalCloud
from tests.system.client import Answer, Client


@pytest.fixture
def learner(anyone: Client) -> Client:
    """A new one for each test, of the public institution."""
    account = {"email": f"{secrets.token_hex(6)}@example.org", "password": "correct horse", "name": "Ana"}
    assert anyone.call("POST", "/api/auth/sign-up", account).status == 201
    signed_in = anyone.call(
        "POST", "/api/auth/sign-in", {"email": account["email"], "password": account["password"]}
    )
    return Client(anyone.base_url, signed_in.body["data"]["token"])


def test_a_learner_signs_up_signs_in_and_out(learner: Client) -> None:
    me = learner.call("GET", "/api/auth/me")
    assert me.status == 200
    assert me.body["data"]["role"] == "learner"
    assert me.headers["x-ratelimit-limit"] == "100"
    assert me.headers["x-ratelimit-remaining"] == "99"
    assert learner.call("POST", "/api/auth/sign-out").status == 204
    assert learner.call("GET", "/api/auth/me").status == 401


def test_concurrent_sign_ups_with_one_address_make_one_account(anyone: Client) -> None:
    address = f"{secrets.token_hex(6)}@example.org"
    spellings = [address, address.upper(), address.title(), address] * 2
    with ThreadPoolExecutor(8) as threads:
        answers = list(
            threads.map(
                lambda email: (
                    anyone.call(
                        "POST",
                        "/api/auth/sign-up",
                        {"email": email, "password": "correct horse", "name": "A"},
                    ).status
                ),
                spellings,
            )
        )
    assert sorted(answers) == [201] + [422] * 7


def test_a_wrong_password_and_an_unknown_address_get_the_same_answer(anyone: Client, learner: Client) -> None:
    email = learner.call("GET", "/api/auth/me").body["data"]["email"]
    wrong = anyone.call("POST", "/api/auth/sign-in", {"email": email, "password": "wrong"})
    unknown = anyone.call("POST", "/api/auth/sign-in", {"email": "nobody@example.org", "password": "wrong"})
    assert wrong.status == unknown.status == 401
    assert wrong.headers["www-authenticate"] == "Bearer"
    assert {**wrong.body, "request_id": ""} == {**unknown.body, "request_id": ""}


def test_an_idempotency_key_replays_the_token_and_refuses_another_body(learner: Client) -> None:
    body = {"name": "lms", "abilities": ["progress:read"]}
    first, again = (
        learner.call("POST", "/api/integrations/tokens", body, Idempotency_Key="k1") for _ in range(2)
    )
    assert (first.status, again.status) == (201, 201)
    assert first.body == again.body
    assert again.headers["idempotent-replayed"] == "true"
    other = learner.call("POST", "/api/integrations/tokens", {**body, "name": "x"}, Idempotency_Key="k1")
    assert other.status == 422
    assert "Idempotency-Key" in other.body["errors"]


def test_callers_that_race_with_one_key_make_one_token(learner: Client) -> None:
    body = {"name": "lms", "abilities": ["progress:read"]}
    with ThreadPoolExecutor(5) as threads:
        answers = list(
            threads.map(
                lambda _: learner.call("POST", "/api/integrations/tokens", body, Idempotency_Key="race"),
                range(5),
            )
        )
    assert {answer.status for answer in answers} <= {201, 409}
    assert len({answer.body["data"]["id"] for answer in answers if answer.status == 201}) == 1


def test_a_token_cannot_grant_more_than_it_has(learner: Client) -> None:
    for ability in ("webhooks:write", "billing:write"):
        refused = learner.call("POST", "/api/integrations/tokens", {"name": "x", "abilities": [ability]})
        assert refused.status == 422
        assert ability in refused.body["errors"]["abilities"][0]


def test_a_narrow_token_is_told_the_ability_that_it_lacks(learner: Client) -> None:
    made = learner.call("POST", "/api/integrations/tokens", {"name": "x", "abilities": ["progress:read"]})
    narrow = Client(learner.base_url, made.body["data"]["token"])
    refused = narrow.call("POST", "/api/integrations/tokens", {"name": "y", "abilities": ["progress:read"]})
    assert (refused.status, refused.body["ability"]) == (403, "tokens:write")


def test_anyone_elses_token_is_not_there(anyone: Client, learner: Client) -> None:
    body = {"name": "x", "abilities": ["progress:read"]}
    made = learner.call("POST", "/api/integrations/tokens", body).body["data"]
    account = {"email": f"{secrets.token_hex(6)}@example.org", "password": "correct horse", "name": "Ben"}
    anyone.call("POST", "/api/auth/sign-up", account)
    del account["name"]
    other = Client(anyone.base_url, anyone.call("POST", "/api/auth/sign-in", account).body["data"]["token"])
    path = f"/api/integrations/tokens/{made['id']}"
    assert other.call("DELETE", path).status == 404
    assert learner.call("DELETE", path).status == 204
    assert Client(anyone.base_url, made["token"]).call("GET", "/api/auth/me").status == 401


def test_many_at_once_get_exactly_the_limit_of_a_minute(learner: Client) -> None:
    """By eight functions, since a laptop takes long to start more; fifty threads meet in `tests/store`."""
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: learner.call("GET", "/api/auth/me"), range(210)))
    assert {answer.status for answer in answers} == {200, 429}
    by_minute: dict[str, list[Answer]] = {}
    for answer in answers:
        by_minute.setdefault(answer.headers["x-ratelimit-reset"], []).append(answer)
    for minute in by_minute.values():
        passed = sum(answer.status == 200 for answer in minute)
        assert passed == min(100, len(minute)), "the limit, or all of a minute that it was not reached in"
    for answer in answers:
        if answer.status == 429:
            assert 1 <= int(answer.headers["retry-after"]) <= 60


@pytest.mark.proof
def test_whoever_waits_as_long_as_told_gets_through(learner: Client) -> None:
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: learner.call("GET", "/api/auth/me"), range(210)))
    told = [int(answer.headers["retry-after"]) for answer in answers if answer.status == 429]
    time.sleep(min(told))
    assert learner.call("GET", "/api/auth/me").status == 200


CHANGE_PLAN = """
import sys
from chalicelib.core import clock
from chalicelib.core.store import Transaction
from chalicelib.institutions import service
transaction = Transaction()
service.change_plan(transaction, sys.argv[1], sys.argv[2], clock.now())
transaction.commit()
"""


def test_a_changed_plan_reaches_tokens_in_use_within_seconds(
    local_cloud: LocalCloud, stranger: Client
) -> None:
    institution = stranger.get("/api/auth/me").body["data"]["institution_id"]
    for plan, limit in (("pro", "1000"), ("free", "100")):
        command = [sys.executable, "-c", CHANGE_PLAN, institution, plan]
        subprocess.run(command, env=environment(local_cloud.cloud), cwd=REPOSITORY, check=True)
        until = time.monotonic() + 30
        while stranger.get("/api/auth/me").headers["x-ratelimit-limit"] != limit:
            assert time.monotonic() < until, "the event has not arrived"
            time.sleep(0.2)


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"{", "application/json", 400),
        (b'{"email":"a@b.c","email":"x@b.c"}', "application/json", 400),
        (b'{"email":"\\ud800@b.c"}', "application/json", 400),
        (b'{"n":1e400}', "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b"[]", "application/json", 422),
        (b'{"email":"a@b.c","password":"12345678","name":"A","role":"owner"}', "application/json", 422),
        (b"{}", "text/json-ish", 415),
        (b'{"x":"' + b"a" * 1024 * 1024 + b'"}', "application/json", 413),
        (b"{}", "Application/JSON; charset=utf-8", 422),
    ],
)
def test_a_body_that_breaks_the_rules_is_a_problem(
    anyone: Client, body: bytes, content_type: str, status: int
) -> None:
    refused = anyone.call("POST", "/api/auth/sign-up", body, Content_Type=content_type)
    assert refused.status == status
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.body["status"] == status
    assert refused.body["request_id"] == refused.headers["x-request-id"]


def test_an_unknown_path_and_an_undeclared_method_are_told_apart(anyone: Client) -> None:
    missing = anyone.call("GET", "/api/nowhere")
    assert (missing.status, missing.body["instance"]) == (404, "/api/nowhere")
    refused = anyone.call("PUT", "/api/auth/me", {})
    assert (refused.status, refused.headers["allow"]) == (405, "GET, HEAD, OPTIONS")


def test_head_is_get_without_a_body_and_options_tells_what_is_allowed(learner: Client) -> None:
    head = learner.call("HEAD", "/api/auth/me")
    assert (head.status, head.body, head.headers["x-ratelimit-limit"]) == (200, None, "100")
    assert learner.call("HEAD", "/api/integrations/webhooks").status == 403
    options = learner.call("OPTIONS", "/api/integrations/tokens")
    assert (options.status, options.headers["allow"]) == (204, "GET, HEAD, OPTIONS, POST")
