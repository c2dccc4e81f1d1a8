"""Whose token may do what, for every endpoint that is declared: a new one cannot be forgotten."""

import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import pytest

import app  # noqa: F401 (declares every endpoint)
from chalicelib.core.abilities import ABILITIES
from chalicelib.core.http import ENDPOINTS, Endpoint
from tests.store.catalogue import choice
from tests.store.conftest import System

UNKNOWN = "01KAXG7Y0000000000000000Z9"
PROTECTED = [endpoint for endpoint in ENDPOINTS if endpoint.abilities is not None]
WRITES = {"PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems", "SendMessageBatch", "Encrypt"}
SINCE = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
BODIES: dict[tuple[str, str], Any] = {
    ("POST", "/api/integrations/tokens"): {"name": "x", "abilities": ["progress:read"]},
    ("POST", "/api/integrations/webhooks"): {"url": "http://127.0.0.1:9999/x", "events": ["*"]},
    ("PUT", "/api/integrations/webhooks/{id}"): {"description": "taken over"},
    ("POST", "/api/integrations/webhooks/test"): {"url": "http://127.0.0.1:9999/x"},
    ("POST", "/api/integrations/webhooks/{id}/rotate-secret"): {"grace_seconds": 60},
    ("POST", "/api/integrations/webhooks/{id}/recover"): {"since": SINCE},
    ("POST", "/api/trainingItems/{item}/attempts"): {"answer": "a", "duration_ms": 1},
    ("POST", "/api/integrations/exports"): {"type": "learner_progress"},
    ("PUT", "/api/gamification/settings"): {"leaderboards": True},
    ("PUT", "/api/courses/{course}"): {"title": "taken over"},
    ("PUT", "/api/lessons/{lesson}"): {"title": "taken over"},
    ("PUT", "/api/trainings/{training}"): {"title": "taken over"},
    ("PUT", "/api/trainingItems/{item}"): {"points": 5},
}


def name_of(endpoint: Endpoint) -> str:
    return f"{endpoint.method} {endpoint.path}"


def body_for(endpoint: Endpoint) -> Any:
    return BODIES.get((endpoint.method, endpoint.path))


def token_of(system: System, who: str) -> str:
    """Signs in one of the demo accounts; the stranger is the owner of another institution."""
    from infra.demo.seed import COMPANY, SCHOOL

    institution = COMPANY if who == "stranger" else SCHOOL
    role = "owner" if who == "stranger" else who
    person = next(one for one in institution.people if one.role.value == role)
    account = {"email": person.email, "password": person.password, "institution_id": institution.id}
    signed_in = system.call("POST", "/api/auth/sign-in", account)
    assert signed_in.status == 200, signed_in.body
    token: str = signed_in.body["data"]["token"]
    return token


@pytest.fixture(scope="module")
def without(later_systems: Callable[[], System], school: str) -> Callable[[str], str]:
    """Makes an owner's token that can do everything but one thing."""
    system = later_systems()
    owner = token_of(system, "owner")

    @cache
    def make(ability: str) -> str:
        wanted = {"name": f"not {ability}", "abilities": sorted(ABILITIES - {ability})}
        made = system.call("POST", "/api/integrations/tokens", wanted, token=owner)
        token: str = made.body["data"]["token"]
        return token

    return make


@pytest.fixture(scope="module")
def of_school(later_systems: Callable[[], System], school: str) -> dict[str, str]:
    """Ids of everything that the school has, by the name of the path variable or field."""
    system = later_systems()
    owner = token_of(system, "owner")

    def made(path: str, body: Any = None) -> Any:
        answer = system.call("POST", path, body, token=owner)
        assert answer.status in (200, 201, 202), answer.body
        return answer.body["data"]

    courses = system.call("GET", "/api/courses?per_page=100", token=owner).body["data"]
    course = next(one["id"] for one in courses if one["visibility"] == "institution")
    lesson = system.call("GET", f"/api/lessons?course={course}", token=owner).body["data"][0]["id"]
    training = system.call("GET", f"/api/trainings?lesson={lesson}", token=owner).body["data"][0]["id"]
    item = system.call("GET", f"/api/trainingItems?training={training}", token=owner).body["data"][0]["id"]
    hook = made("/api/integrations/webhooks", {"url": "http://127.0.0.1:9999/", "events": ["*"]})["id"]
    member_id = system.call("GET", "/api/auth/me", token=owner).body["data"]["member_id"]
    return {
        "course": course,
        "lesson": lesson,
        "training": training,
        "item": item,
        "webhooks": hook,
        "recovery": made(f"/api/integrations/webhooks/{hook}/recover", {"since": SINCE})["id"],
        "delivery": made(f"/api/integrations/webhooks/{hook}/test")["delivery_id"],
        "exports": made("/api/integrations/exports", {"type": "learner_progress"})["id"],
        "token": made("/api/integrations/tokens", {"name": "x", "abilities": ["progress:read"]})["id"],
        "learner_id": member_id,
        "learner": member_id,
        "data-requests": made(f"/api/integrations/learners/{member_id}/data-exports")["id"],
    }


def filled(path: str, ids: dict[str, str], *, unknown: bool) -> str:
    parts = path.split("/")
    for at, part in enumerate(parts):
        if part.startswith("{"):
            known = ids[parts[at - 1] if part == "{id}" else part[1:-1]]
            parts[at] = f"{known[:4]}{UNKNOWN}" if unknown else known
    return "/".join(parts)


@pytest.mark.parametrize("endpoint", PROTECTED, ids=name_of)
def test_without_a_token_nothing_is_done(system: System, endpoint: Endpoint) -> None:
    path = endpoint.path.replace("{", "").replace("}", "")
    for token in (None, "tlk_nonsense"):
        refused = system.call(
            endpoint.method, path, BODIES.get((endpoint.method, endpoint.path)), token=token
        )
        assert refused.status == 401
        assert refused.headers["www-authenticate"] == "Bearer"
        assert int(refused.headers["x-ratelimit-remaining"]) < int(refused.headers["x-ratelimit-limit"])
    assert system.calls.names() == ["UpdateItem", "UpdateItem"]
    assert {call["TableName"] for call in system.calls.of("UpdateItem")} == {"talktiko-local-requests"}


@pytest.mark.parametrize("endpoint", [one for one in PROTECTED if one.abilities], ids=name_of)
def test_a_token_without_the_ability_is_told_which(
    system: System, without: Callable[[str], str], endpoint: Endpoint
) -> None:
    (needed,) = endpoint.abilities or ()
    path = endpoint.path.replace("{", "").replace("}", "")
    refused = system.call(endpoint.method, path, body_for(endpoint), token=without(needed))
    assert (refused.status, refused.body["ability"]) == (403, needed)


@pytest.mark.parametrize("endpoint", [one for one in PROTECTED if "{" in one.path], ids=name_of)
def test_another_institutions_resource_is_like_one_that_is_not_there(
    system: System, of_school: dict[str, str], endpoint: Endpoint
) -> None:
    stranger = token_of(system, "stranger")
    body = body_for(endpoint)
    answers = []
    for unknown in (True, False):
        system.calls.clear()
        path = filled(endpoint.path, of_school, unknown=unknown)
        refused = system.call(endpoint.method, path, body, token=stranger)
        answers.append({**refused.body, "instance": None, "status": refused.status})
        written = [name for name in system.calls.names() if name in WRITES]
        assert written == ["UpdateItem"], "only the token's own counter"
    assert answers[0]["status"] == 404
    assert answers[0] == answers[1]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/api/courses/{public}/lesson-progress?learner_id={learner_id}", None),
        ("POST", "/api/trainingItems/{public_item}/attempts",
         {"answer": "b", "duration_ms": 1, "learner_id": "{learner_id}"}),
        ("GET", "/api/lessons?course={course}", None),
        ("GET", "/api/trainings?lesson={lesson}", None),
        ("GET", "/api/trainingItems?training={training}", None),
        ("GET", "/api/trainings?course={course}", None),
        ("GET", "/api/trainingItems?course={course}", None),
        ("GET", "/api/trainingItems?lesson={lesson}&type=cloze", None),
        ("POST", "/api/lessons",
         {"course_id": "{course}", "slug": "x", "title": "x", "intro": "x", "can_do": "x"}),
        ("POST", "/api/trainings", {"lesson_id": "{lesson}", "slug": "x", "title": "x"}),
        ("POST", "/api/trainingItems", {"training_id": "{training}", "slug": "x", **choice()}),
    ],
)  # fmt: skip
def test_foreign_ids_in_queries_and_bodies_tell_nothing(
    system: System, of_school: dict[str, str], method: str, path: str, body: Any
) -> None:
    stranger = token_of(system, "stranger")
    courses = system.call("GET", "/api/courses", token=stranger).body["data"]
    items = system.call("GET", "/api/trainingItems?type=multiple_choice", token=stranger).body["data"]
    public = {"public": courses[0]["id"], "public_item": items[0]["id"]}

    def shown(unknown: bool) -> Any:
        ids = {name: f"{known[:4]}{UNKNOWN}" if unknown else known for name, known in of_school.items()}

        def fill(value: Any) -> Any:
            if isinstance(value, dict):
                return {name: fill(one) for name, one in value.items()}
            if isinstance(value, list):
                return [fill(one) for one in value]
            return value.format(**ids, **public) if isinstance(value, str) else value

        answer = system.call(method, fill(path), fill(body), token=stranger)
        text = repr((answer.status, answer.body))
        for name, known in ids.items():
            text = text.replace(known, name)
        return answer.status, text

    unknown, foreign = shown(unknown=True), shown(unknown=False)
    assert unknown[0] == foreign[0]
    if unknown[0] != 200:
        assert unknown[1] == foreign[1]
    assert "'data': []" in foreign[1] or foreign[0] == 404


def test_a_learner_acts_for_nobody_else(system: System, of_school: dict[str, str]) -> None:
    learner = token_of(system, "learner")
    other = of_school["learner_id"]
    item = system.call("GET", "/api/trainingItems", token=learner).body["data"][0]["id"]
    course = system.call("GET", "/api/courses", token=learner).body["data"][0]["id"]
    body = {"answer": None, "duration_ms": 1, "learner_id": other}
    assert system.call("POST", f"/api/trainingItems/{item}/attempts", body, token=learner).status == 404
    path = f"/api/courses/{course}/lesson-progress?learner_id={other}"
    assert system.call("GET", path, token=learner).status == 404
    assert system.call("GET", path, token=token_of(system, "instructor")).status == 200


def test_a_cursor_of_another_institution_is_refused(system: System, of_school: dict[str, str]) -> None:
    owner, stranger = token_of(system, "owner"), token_of(system, "stranger")
    page = system.call("GET", "/api/trainingItems?per_page=2", token=owner).body
    link = page["links"]["next"].removeprefix("https://api.example.org")
    assert system.call("GET", link, token=owner).status == 200
    refused = system.call("GET", link, token=stranger)
    assert (refused.status, list(refused.body["errors"])) == (422, ["cursor"])


def test_a_session_takes_the_place_of_the_oldest_and_an_api_token_does_not(
    system: System, school: str
) -> None:
    account = {"email": f"{secrets.token_hex(6)}@example.org", "password": "correct horse", "name": "Ana"}
    system.call("POST", "/api/auth/sign-up", account)
    del account["name"]

    def sign_in() -> str:
        signed_in = system.call("POST", "/api/auth/sign-in", account)
        assert signed_in.status == 200, signed_in.body
        token: str = signed_in.body["data"]["token"]
        return token

    first = sign_in()
    tokens = [sign_in() for _ in range(25)]
    assert system.call("GET", "/api/auth/me", token=first).status == 401
    assert system.call("GET", "/api/auth/me", token=tokens[0]).status == 200
    body = {"name": "lms", "abilities": ["progress:read"]}
    refused = system.call("POST", "/api/integrations/tokens", body, token=tokens[-1])
    assert refused.status == 409
    listed = system.call("GET", "/api/integrations/tokens?per_page=100", token=tokens[-1]).body
    assert (len(listed["data"]), listed["meta"]["total"]) == (25, 25)
    assert "secret_hash" not in repr(listed)


def a_newcomer(system: System) -> str:
    account = {"email": f"{secrets.token_hex(6)}@example.org", "password": "correct horse", "name": "Ana"}
    system.call("POST", "/api/auth/sign-up", account)
    del account["name"]
    token: str = system.call("POST", "/api/auth/sign-in", account).body["data"]["token"]
    return token


def test_a_narrow_token_is_not_told_the_wide_one_of_the_same_key(system: System, school: str) -> None:
    path, session = "/api/integrations/tokens", a_newcomer(system)
    body = {"name": "narrow", "abilities": ["tokens:write"]}
    narrow = system.call("POST", path, body, token=session).body["data"]["token"]
    wide = {"name": "ci", "abilities": ["*"]}
    assert system.call("POST", path, wide, token=session, idempotency_key="order-1").status == 201
    refused = system.call("POST", path, wide, token=narrow, idempotency_key="order-1")
    assert (refused.status, list(refused.body["errors"])) == (422, ["abilities"])


def test_a_tokens_children_live_no_longer_than_it(system: System, school: str) -> None:
    path, session = "/api/integrations/tokens", a_newcomer(system)
    soon = (system.now + timedelta(hours=1)).isoformat()
    parent = system.call(
        "POST", path, {"name": "p", "abilities": ["*"], "expires_at": soon}, token=session
    ).body["data"]
    child = system.call("POST", path, {"name": "c", "abilities": ["*"]}, token=parent["token"])
    assert child.body["data"]["expires_at"] == parent["expires_at"]
    later = (system.now + timedelta(hours=2)).isoformat()
    asked = {"name": "c", "abilities": ["*"], "expires_at": later}
    assert system.call("POST", path, asked, token=parent["token"]).status == 422


def test_there_is_always_room_to_sign_in(system: System, school: str) -> None:
    account = {"email": f"{secrets.token_hex(6)}@example.org", "password": "correct horse", "name": "Ana"}
    system.call("POST", "/api/auth/sign-up", account)
    del account["name"]
    session = system.call("POST", "/api/auth/sign-in", account).body["data"]["token"]
    body = {"name": "x", "abilities": ["*"]}
    made = [system.call("POST", "/api/integrations/tokens", body, token=session).status for _ in range(25)]
    assert made == [201] * 23 + [409] * 2
    assert system.call("POST", "/api/auth/sign-out", token=session).status == 204
    assert system.call("POST", "/api/auth/sign-in", account).status == 200


def test_a_body_full_of_faults_gets_a_short_answer(system: System) -> None:
    body = {f"f{n}": 1 for n in range(50_000)}
    refused = system.call("POST", "/api/auth/sign-in", body)
    assert refused.status == 422
    assert len(refused.body["errors"]) <= 51
    assert "more faults" in refused.body["errors"]["body"][0]
    long = system.call("POST", "/api/auth/sign-in", {"x" * 500_000: 1})
    assert len(repr(long.body)) < 3000
