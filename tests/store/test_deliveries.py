"""The delivery log's filters."""

from urllib.parse import urlencode

import pytest

from tests.store.conftest import System


@pytest.mark.parametrize(
    ("filters", "index"),
    [
        ({}, None),
        ({"status": "failed"}, "by_status"),
        ({"event": "exercise.answered"}, "by_type"),
        ({"status": "failed", "event": "exercise.answered"}, "by_status_and_type"),
    ],
)
def test_each_filter_is_one_query_of_its_own_index(
    system: System, school: str, filters: dict[str, str], index: str | None
) -> None:
    body = {"email": "owner@lingua-school.example", "password": "demo-owner-1", "institution_id": school}
    token = system.call("POST", "/api/auth/sign-in", body).body["data"]["token"]
    hook = {"url": "http://127.0.0.1:8080/", "events": ["exercise.answered"]}
    made = system.call("POST", "/api/integrations/webhooks", hook, token=token)
    assert made.status == 201, made.body
    path = f"/api/integrations/webhooks/{made.body['data']['id']}"
    system.calls.clear()

    found = system.call("GET", f"{path}/deliveries?{urlencode(filters)}", token=token)

    assert (found.status, found.body["data"]) == (200, [])
    (query,) = system.calls.of("Query")
    assert query.get("IndexName") == index
    assert system.call("DELETE", path, token=token).status == 204
