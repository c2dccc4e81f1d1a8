"""What nobody should send, and what should never happen, at every endpoint that is declared."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

import app  # noqa: F401 (declares every endpoint)
from chalicelib.core.http import ENDPOINTS, Endpoint
from tests.store.conftest import Answer, RawBody, System, refused
from tests.store.examples import Scene, name_of, scene

pytestmark = pytest.mark.usefixtures("school")

WITH_BODY = [endpoint for endpoint in ENDPOINTS if endpoint.body is not None]
WITH_PATH = [endpoint for endpoint in ENDPOINTS if "{" in endpoint.path]
MOST_DEEP = "[" * 100_000
READ_ONLY = ("id", "institution_id", "member_id", "role", "created_at", "token_id", "user_id", "__proto__")
HOSTILE = [
    "%00",
    "%0d%0aX-Evil:1",
    "%ed%a0%80",
    "%ff",
    "..%2f..%2fetc",
    "%22%27%3b--",
    "x" * 3000,
    "%f0%9f%90%8e",
]


@pytest.fixture(scope="module")
def there(later_systems: Any, school: str) -> Scene:
    return scene(later_systems())


def raw(there: Scene, endpoint: Endpoint, body: str) -> Answer:
    """The body as it is."""
    path = endpoint.path.replace("{", "").replace("}", "")
    token = None if endpoint.abilities is None else there.token
    return there.system.call(endpoint.method, path, RawBody(body), token=token)


def problem(answer: Answer) -> int:
    """The status of a refusal in our form, which shows nothing of our inside."""
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.body["status"] == answer.status
    assert answer.body["request_id"] == answer.headers["x-request-id"] == "test"
    for inside in ("Traceback", "dynamodb", "botocore", "pydantic", 'File "', "chalicelib"):
        assert inside not in repr(answer.body)
    return answer.status


def _empty(endpoint: Endpoint) -> Any:
    return {} if endpoint.body else None


@pytest.mark.parametrize("endpoint", WITH_BODY, ids=name_of)
def test_what_two_parsers_could_read_differently_is_malformed(there: Scene, endpoint: Endpoint) -> None:
    for body in ('{"a":1,"a":2}', '{"a":1e400}', '{"a":NaN}', '{"a":"\\ud800"}', '{"a":"\\u0000"}', "{", "",
                 MOST_DEEP, '{"a":' * 5000, "\ufeff{}", "'{}'", '{"a":1}x'):  # fmt: skip
        assert problem(raw(there, endpoint, body)) == 400, body[:30]
    for body in ("[]", "null", "1", '"x"'):
        assert problem(raw(there, endpoint, body)) == 422, body
    assert problem(raw(there, endpoint, '{"a":"' + "x" * 1024 * 1024 + '"}')) == 413


@pytest.mark.parametrize("endpoint", WITH_BODY, ids=name_of)
def test_a_field_that_is_not_the_callers_to_set_is_named(system: System, endpoint: Endpoint) -> None:
    there = scene(system)
    path, body = there.request(endpoint)
    assert endpoint.body is not None
    foreign = {name: "x" for name in READ_ONLY if name not in endpoint.body.model_fields}
    refusal = there.send(endpoint, path, {**body, **foreign})
    assert problem(refusal) == 422
    assert set(refusal.body["errors"]) == set(foreign)


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=name_of)
def test_a_query_that_nobody_declared_is_named(there: Scene, endpoint: Endpoint) -> None:
    path = endpoint.path.replace("{", "").replace("}", "")
    body = _empty(endpoint)
    for query, name in (("nobody=1", "nobody"), ("page=1_0", "page"), ("a=1&a=2", "a"), ("%00=%0d%0a", "\0")):
        refusal = there.send(endpoint, f"{path}?{query}", body)
        assert problem(refusal) == 422
        assert list(refusal.body["errors"]) == [name]


@pytest.mark.parametrize("endpoint", WITH_PATH, ids=name_of)
def test_a_hostile_path_is_not_found(there: Scene, endpoint: Endpoint) -> None:
    body = _empty(endpoint)
    for value in HOSTILE:
        path = "/".join(value if part.startswith("{") else part for part in endpoint.path.split("/"))
        assert problem(there.send(endpoint, path, body)) == 404, value


@pytest.mark.parametrize(
    "header", ["", " ", "Bearer", "Bearer ", "Basic eDp5", "bearer tlk_", "Bearer \x00", "Bearer \udc80"]
)
def test_a_header_that_is_no_token_is_only_counted_for_its_address(system: System, header: str) -> None:
    refusal = system.call("GET", "/api/auth/me", authorization=header)
    assert problem(refusal) == 401
    assert refusal.headers["www-authenticate"] == "Bearer"
    assert ["refused#" in repr(call["Key"]) for call in system.calls.of("UpdateItem")] == [True]
    assert system.calls.names() == ["UpdateItem"]


@pytest.mark.parametrize("key", ["", " ", "x" * 256, "a b", "a\nb", "ü", "\x00"])
def test_a_key_that_is_none_is_refused(system: System, key: str) -> None:
    there = scene(system)
    refusal = system.call(
        "POST",
        "/api/integrations/tokens",
        {"name": "x", "abilities": ["progress:read"]},
        token=there.token,
        idempotency_key=key,
    )
    assert problem(refusal) == 400


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """What is written to the log."""
    from chalicelib.core.logs import log

    (handler,) = [one for one in log.handlers if type(one) is logging.StreamHandler]
    before = handler.setStream(io.StringIO())
    yield handler.stream
    handler.setStream(before)


def away(name: str, _: Any) -> Any:
    raise EndpointConnectionError(endpoint_url="https://dynamodb.example")


def overloaded(name: str, _: Any) -> Any:
    return refused("ProvisionedThroughputExceededException")


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=name_of)
def test_without_dynamodb_nobody_gets_in_and_nothing_is_shown(
    system: System, there: Scene, endpoint: Endpoint
) -> None:
    """Neither anonymous nor unlimited: whoever cannot be counted is not answered."""
    body = _empty(endpoint)
    path = endpoint.path.replace("{", "").replace("}", "")
    for fault in (away, overloaded):
        system.calls.answered = fault
        answer = there.send(endpoint, path, body)
        assert problem(answer) == 500
        assert len(system.calls.made) == 1, "nothing was tried after the first call"
        system.calls.clear()


@pytest.mark.parametrize("number", range(2, 6))
def test_dynamodb_that_goes_in_the_middle_is_an_error_and_never_half_an_answer(
    system: System, number: int
) -> None:
    there = scene(system)
    endpoint = next(one for one in ENDPOINTS if one.path.endswith("/attempts"))
    path, body = there.request(endpoint)
    system.calls.clear()
    system.calls.answered = lambda name, _: away(name, _) if len(system.calls.made) >= number else None
    assert problem(there.send(endpoint, path, body)) == 500


def test_a_fault_is_logged_with_the_request_and_not_told(system: System, written: io.StringIO) -> None:
    there = scene(system)
    system.calls.answered = away
    written.truncate(0)
    written.seek(0)
    assert problem(system.call("GET", "/api/auth/me", token=there.token)) == 500
    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    (failed,) = [line for line in lines if line["message"] == "http.failed"]
    assert (failed["request_id"], failed["level"]) == ("test", "ERROR")
    assert "EndpointConnectionError" in failed["exception"]
    assert there.token not in repr(lines)


def test_a_line_break_in_any_field_stays_in_one_log_line(system: System, written: io.StringIO) -> None:
    there, evil = scene(system), 'x\n{"level":"ERROR","message":"forged"}\r\x85\u2028'
    written.truncate(0)
    written.seek(0)
    system.call("GET", "/api/courses/x%0a%7b%22message%22:%22forged%22%7d", token=there.token)
    system.call("GET", f"/api/courses?language={'x%0aforged'}", token=there.token)
    system.call("POST", "/api/auth/sign-in", {"email": evil, "password": evil, "device_name": evil})
    system.call("POST", "/api/integrations/tokens", {"name": evil}, token=there.token, idempotency_key=evil)
    body = {
        "url": f"https://example.org/{evil}",
        "events": [evil],
        "description": evil,
        "headers": {evil: evil},
    }
    system.call("POST", "/api/integrations/webhooks", body, token=there.token)
    system.call("GET", "/api/auth/me", token=there.token, user_agent=evil, x_request_id=evil)
    lines = [json.loads(line) for line in written.getvalue().split("\n") if line]
    assert {line["message"] for line in lines} == {"http.request"}
    assert len(lines) == 6
