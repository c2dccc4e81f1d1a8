"""Webhooks over HTTP, from the deployed functions to a receiver of ours."""

import hashlib
import hmac
import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from infra import audit, insights
from infra.grouping import Row
from tests.conftest import LocalCloud
from tests.receiver import Receiver, receiving
from tests.system import poison
from tests.system.client import Client

WEBHOOKS = "/api/integrations/webhooks"
DELIVERY_LOG = "/aws/lambda/talktiko-local-deliver"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as server:
        yield server


@pytest.fixture
def hook(owner: Client, receiver: Receiver) -> Iterator[dict[str, Any]]:
    made = owner.call("POST", WEBHOOKS, {"url": receiver.url, "events": ["exercise.answered"]})
    assert made.status == 201, made.body
    yield made.body["data"]
    owner.call("DELETE", f"{WEBHOOKS}/{made.body['data']['id']}")


def eventually(check: Callable[[], Any], seconds: float = 60) -> Any:
    """What `check` finds, once it finds something."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := check():
            return found
        time.sleep(0.2)
    raise AssertionError(f"did not happen within {seconds:.0f} s")


def answer_something(learner: Client) -> dict[str, Any]:
    item = learner.get("/api/trainingItems?type=multiple_choice").body["data"][0]
    body = {"answer": "b", "duration_ms": 4200}
    done = learner.call("POST", f"/api/trainingItems/{item['id']}/attempts", body)
    assert done.status == 201, done.body
    data: dict[str, Any] = done.body["data"]
    return data


def test_a_receiver_that_fails_twice_gets_the_same_bytes_three_times(
    local_cloud: LocalCloud, owner: Client, learner: Client, hook: dict[str, Any], receiver: Receiver
) -> None:
    receiver.answers = [500, 503]
    done = answer_something(learner)
    eventually(lambda: len(receiver.requests) == 3)

    first, second, third = receiver.requests
    assert first.body == second.body == third.body
    assert json.loads(first.body)["data"]["attempt_id"] == done["attempt"]["id"]
    for number, request in enumerate(receiver.requests, start=1):
        assert request.headers["webhook-id"] == json.loads(first.body)["id"]
        assert request.headers["x-talktiko-attempt"] == str(number)
        wanted = hmac.new(hook["secret"].encode(), request.body, hashlib.sha256).hexdigest()
        assert request.headers["x-signature-256"] == wanted
    gaps = [second.at - first.at, third.at - second.at]
    assert gaps[0] >= 0.8, "1 s, less its jitter; a busy machine adds"
    assert gaps[1] >= 1.6

    path = f"{WEBHOOKS}/{hook['id']}/deliveries"
    (row,) = eventually(lambda: owner.get(f"{path}?status=delivered").body["data"])
    detail = owner.get(f"{path}/{row['id']}").body["data"]
    assert (detail["status"], detail["attempts_made"], detail["last_status_code"]) == ("delivered", 3, 200)
    assert [one["status_code"] for one in detail["attempts"]] == [500, 503, 200]
    assert detail["attempts"][0]["next_attempt_at"] is not None

    lines = eventually(lambda: _logged(local_cloud, row["id"], 3))
    assert [(line["attempt"], line["status_code"], line["outcome"]) for line in lines] == [
        (1, 500, "retrying"), (2, 503, "retrying"), (3, 200, "delivered"),
    ]  # fmt: skip
    for line in lines:
        assert line["event_id"] == row["event_id"]
        assert line["body_sha256"] == hashlib.sha256(first.body).hexdigest()
        assert not {"secret", "signature", "body", "url"} & set(line)


def _logged(local_cloud: LocalCloud, delivery_id: str, count: int) -> list[dict[str, Any]]:
    events = local_cloud.client("logs").filter_log_events(
        logGroupName=DELIVERY_LOG, filterPattern=f'"{delivery_id}"'
    )["events"]
    lines = [json.loads(e["message"]) for e in events if e["message"].startswith("{")]
    found = [line for line in lines if line["message"] == "webhook.delivery.attempt"]
    return sorted(found, key=lambda line: int(line["attempt"])) if len(found) >= count else []


def test_what_a_receiver_is_told_is_there_when_it_asks(
    owner: Client, learner: Client, hook: dict[str, Any], receiver: Receiver
) -> None:
    answer_something(learner)
    eventually(lambda: receiver.requests)
    told = json.loads(receiver.requests[0].body)["data"]
    seen = owner.get(f"/api/courses/{told['course_id']}/lesson-progress?learner_id={told['learner_id']}")
    assert seen.status == 200
    lesson = next(row for row in seen.body["data"] if row["lesson_id"] == told["lesson_id"])
    assert lesson["last_activity_at"] >= told["occurred_at"]


def test_a_ping_tells_what_came_back(owner: Client, hook: dict[str, Any], receiver: Receiver) -> None:
    receiver.answers = [418]
    failed = owner.call("POST", f"{WEBHOOKS}/{hook['id']}/test")
    assert failed.status == 200
    result = failed.body["data"]
    assert (result["success"], result["status_code"], result["error_class"]) == (False, 418, "http_status")
    passed = owner.call("POST", f"{WEBHOOKS}/{hook['id']}/test").body["data"]
    assert passed["success"] is True
    assert [r.headers["x-talktiko-event"] for r in receiver.requests] == ["webhook.ping"] * 2
    deliveries = owner.rows(f"{WEBHOOKS}/{hook['id']}/deliveries")
    assert [(row["trigger"], row["status"]) for row in deliveries] == [
        ("test", "delivered"),
        ("test", "failed"),
    ]


def test_a_receiver_that_says_gone_is_switched_off(
    owner: Client, learner: Client, hook: dict[str, Any], receiver: Receiver
) -> None:
    receiver.answers = [410]
    answer_something(learner)
    path = f"{WEBHOOKS}/{hook['id']}"
    eventually(lambda: owner.get(path).body["data"]["status"] == "disabled")
    assert owner.get(path).body["data"]["disabled_reason"] == "gone"
    answer_something(learner)
    (skipped,) = eventually(lambda: owner.get(f"{path}/deliveries?status=skipped").body["data"])
    assert skipped["attempts_made"] == 0
    assert len(receiver.requests) == 1


@pytest.mark.parametrize(
    "url",
    [
        "ftp://hooks.example.org/x",
        "http://hooks.example.org/x",
        "https://user:pw@hooks.example.org/",
        "https://169.254.169.254/latest/meta-data",
        "https://10.0.0.8/",
        "https://[::ffff:10.0.0.8]/",
        "https://[64:ff9b::a9fe:a9fe]/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://hooks.example.org/#part",
        "not a url",
    ],
)
def test_a_url_that_is_not_public_is_refused(owner: Client, url: str) -> None:
    refused = owner.call("POST", WEBHOOKS, {"url": url, "events": ["*"]})
    assert refused.status == 422
    assert list(refused.body["errors"]) == ["url"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"events": ["lesson.finished"]}, "events"),
        ({"events": []}, "events"),
        ({"headers": {"X-Signature-256": "x"}}, "headers"),
        ({"headers": {"Host": "x"}}, "headers"),
        ({"headers": {"X-A": "a\r\nX-B: b"}}, "headers"),
        ({"secret": "mine"}, "secret"),
    ],
)
def test_a_webhook_that_breaks_a_rule_is_refused(
    owner: Client, receiver: Receiver, change: dict[str, Any], field: str
) -> None:
    refused = owner.call("POST", WEBHOOKS, {"url": receiver.url, "events": ["*"], **change})
    assert refused.status == 422
    assert next(iter(refused.body["errors"])).partition(".")[0] == field


def test_an_update_changes_what_is_given_and_nothing_else(
    owner: Client, hook: dict[str, Any], receiver: Receiver
) -> None:
    path = f"{WEBHOOKS}/{hook['id']}"
    headers = {"X-Api-Key": "of-the-school"}
    changed = owner.call("PUT", path, {"events": ["lesson.*"], "headers": headers, "description": "LMS"})
    assert changed.status == 200
    data = changed.body["data"]
    assert (data["url"], data["events"], data["header_names"]) == (hook["url"], ["lesson.*"], ["X-Api-Key"])
    assert "of-the-school" not in json.dumps(changed.body)
    owner.call("POST", f"{path}/test")
    assert receiver.requests[0].headers["x-api-key"] == "of-the-school"
    cleared = owner.call("PUT", path, {"headers": None, "description": None}).body["data"]
    assert (cleared["header_names"], cleared["description"], cleared["events"]) == ([], None, ["lesson.*"])
    assert owner.call("PUT", path, {"url": None}).status == 422


def test_a_secret_is_shown_once_and_replayed_sealed(
    local_cloud: LocalCloud, owner: Client, receiver: Receiver
) -> None:
    body = {"url": receiver.url, "events": ["*"]}
    first, again = (owner.call("POST", WEBHOOKS, body, Idempotency_Key="hook-1") for _ in range(2))
    secret = first.body["data"]["secret"]
    try:
        assert first.body == again.body
        assert "secret" not in owner.get(f"{WEBHOOKS}/{first.body['data']['id']}").body["data"]
        for table in ("requests", "webhooks"):
            stored = local_cloud.client("dynamodb").scan(TableName=f"talktiko-local-{table}")["Items"]
            assert secret not in repr(stored)
    finally:
        owner.call("DELETE", f"{WEBHOOKS}/{first.body['data']['id']}")


def test_a_learner_may_not_see_webhooks(learner: Client) -> None:
    assert learner.get(WEBHOOKS).body["ability"] == "webhooks:read"


def test_an_auditor_is_told_the_life_of_a_delivery(
    local_cloud: LocalCloud, owner: Client, learner: Client, hook: dict[str, Any], receiver: Receiver
) -> None:
    """By the saved query's own text, on the log groups that the functions have written."""
    since = datetime.now(UTC)
    receiver.answers = [500]
    answer_something(learner)
    path = f"{WEBHOOKS}/{hook['id']}/deliveries"
    (row,) = eventually(lambda: owner.get(f"{path}?status=delivered").body["data"])
    again = owner.call("POST", f"{path}/{row['id']}/resend").body["data"]["id"]
    saved = audit.saved("local")["life-of-a-delivery"]
    query = insights.parse(saved.asking(row["id"]))

    def told() -> list[Row]:
        found = query.run(saved.lines(local_cloud.client("logs"), since))
        return found if len(found) >= 4 else []

    first, second, resent, last = eventually(told)
    assert [(one["attempt"], one["status_code"], one["outcome"]) for one in (first, second, last)] == [
        (1, 500, "retrying"), (2, 200, "delivered"), (1, 200, "delivered"),
    ]  # fmt: skip
    assert first["next_attempt_at"] > first["@timestamp"].replace(" ", "T")
    assert (resent["action"], resent["delivery_id"]) == ("webhook.delivery_resent", again)
    assert resent["member_id"] == owner.get("/api/auth/me").body["data"]["member_id"]
    assert (last["delivery_id"], last["resend_of"]) == (again, row["id"])


def test_poison_drags_no_neighbour_to_the_dead_letters(local_cloud: LocalCloud) -> None:
    found, together = poison.dead_letters(local_cloud.cloud)
    assert found == ["poison"]
    assert together > 1
