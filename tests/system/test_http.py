"""What no client sends by accident."""

import json
from http.client import HTTPConnection

import pytest

import app  # noqa: F401 (declares the endpoints)
from chalicelib.core.http import ENDPOINTS
from tests.system.client import Client

HOSTILE = (
    "%00", "a%00b", "%FF%FE", "%C3%28", "%ED%A0%80", "a%2Fb", "..%2F..%2Fetc", "%2e%2e",
    "%0d%0aX-Injected:%201", "%0a", "%25", "%252e%252e", "%", "%zz", "%F0%9F%92%A9", "%E2%80%AE",
    "%7Bcourse%7D", "'%20OR%20'1'='1", "%3Cscript%3E", "*", "a%20b", "+", "x" * 65, "x" * 4000,
)  # fmt: skip
WITH_PARAMETERS = sorted({(one.method, one.path) for one in ENDPOINTS if "{" in one.path})


def raw(client: Client, method: str, path: str) -> tuple[int, dict[str, str], bytes]:
    """Send a path as it is: libraries would mend it."""
    connection = HTTPConnection(client.base_url.removeprefix("http://"), timeout=30)
    connection.putrequest(method, path, skip_accept_encoding=True)
    connection.putheader("Authorization", f"Bearer {client.token}")
    connection.endheaders()
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, {name.lower(): value for name, value in answer.getheaders()}, body


@pytest.mark.parametrize("value", HOSTILE, ids=lambda value: value[:24])
def test_a_hostile_path_parameter_is_not_found(owner: Client, value: str) -> None:
    status, headers, body = raw(owner, "GET", f"/api/courses/{value}")
    assert status in (400, 404), body[:300]
    assert "x-injected" not in headers
    if status == 404:
        assert headers["content-type"] == "application/problem+json"
        assert "x-request-id" in headers
        json.loads(body)


@pytest.mark.parametrize(("method", "path"), WITH_PARAMETERS, ids=lambda part: part)
def test_no_path_fails_at_a_hostile_parameter(owner: Client, method: str, path: str) -> None:
    for value in ("%00", "%ED%A0%80", "x" * 4000):
        filled = "/".join(value if part.startswith("{") else part for part in path.split("/"))
        status, _, body = raw(owner, method, filled)
        assert 400 <= status < 500, body[:300]
