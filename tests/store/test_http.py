"""What every answer carries, whatever was asked."""

from collections.abc import Iterator
from itertools import count

import pytest

from chalicelib.core.settings import settings
from tests.store.conftest import System

PAGE = "https://app.example.org"
MINUTES = count(100_000)


@pytest.fixture
def narrow(system: System, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Two unauthenticated requests a minute, in a minute of its own."""
    monkeypatch.setenv("PUBLIC_RATE_LIMIT", "2")
    monkeypatch.setenv("REFUSED_TOKEN_LIMIT", "2")
    settings.cache_clear()
    system.later(next(MINUTES) * 60)
    yield
    monkeypatch.undo()
    settings.cache_clear()


@pytest.fixture
def cross_origin(system: System, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("CORS_ORIGINS", PAGE)
    settings.cache_clear()
    yield
    monkeypatch.undo()
    settings.cache_clear()


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/auth/me", 401),
        ("GET", "/api/nonesuch", 404),
        ("PATCH", "/api/courses", 405),
        ("OPTIONS", "/api/courses", 204),
        ("GET", "/api/openapi.json", 200),
        ("HEAD", "/docs", 200),
    ],
)
@pytest.mark.usefixtures("narrow")
def test_without_a_token_the_address_is_counted_told_and_limited(
    system: System, method: str, path: str, status: int
) -> None:
    first, second, third = (system.call(method, path) for _ in range(3))
    assert [first.status, second.status, third.status] == [status, status, 429]
    assert [answer.headers["x-ratelimit-remaining"] for answer in (first, second, third)] == ["1", "0", "0"]
    assert {answer.headers["x-ratelimit-limit"] for answer in (first, second, third)} == {"2"}
    assert 1 <= int(third.headers["retry-after"]) <= 60


@pytest.mark.usefixtures("narrow")
def test_refused_requests_leave_room_to_sign_in(system: System) -> None:
    """A class whose tokens have all expired sits behind one address."""
    for _ in range(5):
        system.call("GET", "/api/auth/me", token="tlk_nonsense")
    body = {"email": "nobody@example.org", "password": "wrong-password"}
    assert system.call("POST", "/api/auth/sign-in", body).status == 401


def test_https_is_required_from_the_first_answer_on(system: System) -> None:
    for path in ("/api/auth/me", "/api/nonesuch", "/docs"):
        assert system.call("GET", path).headers["strict-transport-security"] == "max-age=31536000"


@pytest.mark.usefixtures("cross_origin")
def test_a_page_of_a_configured_origin_reads_answers_and_refusals(system: System) -> None:
    for path in ("/api/openapi.json", "/api/auth/me", "/api/nonesuch"):
        answer = system.call("GET", path, origin=PAGE)
        assert (answer.headers["access-control-allow-origin"], answer.headers["vary"]) == (PAGE, "Origin")
        other = system.call("GET", path, origin="https://evil.example")
        assert "access-control-allow-origin" not in other.headers
        assert other.headers["vary"] == "Origin"


@pytest.mark.usefixtures("cross_origin", "narrow")
def test_a_preflight_is_answered_and_not_counted(system: System) -> None:
    for _ in range(4):
        asked = system.call("OPTIONS", "/api/auth/me", origin=PAGE, access_control_request_method="GET")
        assert asked.status == 204
        assert asked.headers["access-control-allow-methods"] == "GET, HEAD, OPTIONS"
    assert system.calls.names() == []


def test_without_a_configured_origin_no_answer_speaks_of_cross_origin(system: System) -> None:
    answer = system.call("OPTIONS", "/api/courses", origin=PAGE, access_control_request_method="GET")
    assert not [name for name in answer.headers if name.startswith("access-control") or name == "vary"]


@pytest.mark.parametrize(
    ("body", "status"), [(None, 200), ({}, 200), ({"all": True}, 422), ([], 422), ("x", 422)]
)
def test_a_body_that_would_be_ignored_is_refused(system: System, body: object, status: int) -> None:
    answer = system.call("GET", "/api/openapi.json", body)
    assert answer.status == status
    if status == 422:
        assert answer.body["errors"] == {"body": ["is not taken by this path"]}
