"""Webhooks beyond the plain delivery: in process, the clock in the test's hand."""

import json
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook

from chalicelib.core.clock import rfc3339
from chalicelib.webhooks.signing import body_signature, standard_signature
from infra.local.cloud import free_port
from tests.receiver import Receiver
from tests.store.conftest import Answer, System, refused

pytestmark = pytest.mark.usefixtures("empty_queues")

SCHOOL = "ins_00000000000000000000000001"
WEBHOOKS = "/api/integrations/webhooks"


def sign_in(system: System) -> str:
    account = {"email": "owner@lingua-school.example", "password": "demo-owner-1", "institution_id": SCHOOL}
    token: str = system.call("POST", "/api/auth/sign-in", account).body["data"]["token"]
    return token


@pytest.fixture
def owner(system: System, school: str) -> Iterator[str]:
    token = sign_in(system)
    yield token
    system.call("POST", "/api/auth/sign-out", token=token)  # a member holds 25 tokens


class Hook:
    """A webhook of the school, and what is done with it."""

    def __init__(self, system: System, owner: str, url: str, **given: Any) -> None:
        self.system, self.owner = system, owner
        body = {"url": url, "events": ["export.*"], **given}
        made = system.call("POST", WEBHOOKS, body, token=owner)
        assert made.status == 201, made.body
        self.data = made.body["data"]
        self.id: str = self.data["id"]
        self.path = f"{WEBHOOKS}/{self.id}"

    def post(self, path: str, body: Any = None, **headers: str) -> Answer:
        return self.system.call("POST", self.path + path, body, token=self.owner, **headers)

    def get(self, path: str = "") -> Any:
        answer = self.system.call("GET", self.path + path, token=self.owner)
        assert answer.status == 200, answer.body
        return answer.body["data"]

    def happen(self, number: int = 1) -> list[str]:
        """Events of the school, committed and handed to its webhooks. Their ids."""
        from chalicelib.core import outbox
        from chalicelib.core.events import new_event
        from chalicelib.core.store import Transaction
        from chalicelib.events.worker import fan_out
        from chalicelib.exports.events import ExportFailed

        ids = []
        data = ExportFailed(export_id="exp_01KAXG7Y0000000000000000A1", type="activity", error="a test")
        for _ in range(number):
            event = new_event(data, institution_id=SCHOOL, now=self.system.now)
            transaction = Transaction()
            outbox.add(transaction, event)
            transaction.commit()
            ids.append(event.id)
            self.system.later(0.001)  # ids of one millisecond have no order
        self.system.work(fan_out, self.system.messages("events"))
        return ids

    def messages(self) -> list[dict[str, Any]]:
        """Those of this webhook; delayed ones are not among them."""
        return [one for one in self.system.messages("webhook-deliveries") if self.id in one["Body"]]

    def deliver(self) -> int:
        """Work off what waits. How many messages."""
        from chalicelib.webhooks.worker import deliver

        messages = self.messages()
        for message in messages:
            self.system.work(deliver, [message])
        return len(messages)

    def wake(self, row: dict[str, Any]) -> None:
        """A delivery's message, whatever its delay."""
        from chalicelib.webhooks.worker import deliver

        place = {"webhook_id": self.id, "delivery_id": row["id"], "event_type": row["event_type"]}
        self.system.work(deliver, [{"Body": json.dumps(place)}])

    def sweep(self) -> None:
        from chalicelib.webhooks.worker import sweep_deliveries

        self.system.tick(sweep_deliveries)

    def states(self) -> list[str]:
        """Oldest first."""
        return [row["status"] for row in self.get("/deliveries?per_page=100")][::-1]


@pytest.fixture
def hook(system: System, owner: str, receiver: Receiver) -> Iterator[Hook]:
    made = Hook(system, owner, receiver.url)
    yield made
    system.call("DELETE", made.path, token=owner)


# Rotation


def signed_by(receiver: Receiver, hook: Hook) -> dict[str, str]:
    """Headers of the next request."""
    hook.happen()
    hook.deliver()
    request = receiver.requests[-1]
    return {**request.headers, "body": request.body.decode()}


def accepts(secret: str, headers: dict[str, str]) -> bool:
    """As a Standard Webhooks library does, but for the time: the test's clock runs ahead."""
    wanted = standard_signature(
        secret, headers["webhook-id"], int(headers["webhook-timestamp"]), headers["body"].encode()
    )
    return wanted in headers["webhook-signature"].split()


def test_while_secrets_overlap_both_kinds_of_receivers_accept(
    system: System, hook: Hook, receiver: Receiver
) -> None:
    old = hook.data["secret"]
    rotated = hook.post("/rotate-secret", {"grace_seconds": 3600})
    assert rotated.status == 200
    new = rotated.body["data"]["secret"]
    assert new != old
    assert [one["hint"] for one in rotated.body["data"]["retiring_secrets"]] == [old[-4:]]
    headers = signed_by(receiver, hook)
    body = headers["body"].encode()
    assert headers["x-signature-256"] == body_signature(old, body)
    assert headers["x-signature-256-next"] == body_signature(new, body)
    assert accepts(old, headers)
    assert accepts(new, headers)

    system.later(3600)  # nobody does anything
    headers = signed_by(receiver, hook)
    assert headers["x-signature-256"] == body_signature(new, headers["body"].encode())
    assert "x-signature-256-next" not in headers
    assert not accepts(old, headers)
    assert hook.get()["retiring_secrets"] == []


def test_a_rotation_within_a_rotation_keeps_each_secret_for_its_time(
    system: System, hook: Hook, receiver: Receiver
) -> None:
    first = hook.data["secret"]
    second = hook.post("/rotate-secret", {"grace_seconds": 7200}).body["data"]["secret"]
    third = hook.post("/rotate-secret", {"grace_seconds": 3600}).body["data"]["secret"]
    headers = signed_by(receiver, hook)
    assert [accepts(one, headers) for one in (first, second, third)] == [True, True, True]
    system.later(3600)
    headers = signed_by(receiver, hook)
    assert [accepts(one, headers) for one in (first, second, third)] == [True, False, True]
    assert headers["x-signature-256"] == body_signature(first, headers["body"].encode())
    assert hook.post("/finish-rotation").body["data"]["retiring_secrets"] == []
    headers = signed_by(receiver, hook)
    assert [accepts(one, headers) for one in (first, second, third)] == [False, False, True]


def test_a_rotation_without_grace_acts_at_once(hook: Hook, receiver: Receiver) -> None:
    hook.post("/rotate-secret", {})
    new = hook.post("/rotate-secret", {"grace_seconds": 0}).body["data"]["secret"]
    headers = signed_by(receiver, hook)
    assert headers["x-signature-256"] == body_signature(new, headers["body"].encode())
    assert len(headers["webhook-signature"].split()) == 1


def test_a_rotated_secret_is_told_again_for_its_key_only(hook: Hook) -> None:
    first, again = (hook.post("/rotate-secret", {}, idempotency_key=f"turn-{hook.id}") for _ in range(2))
    assert again.headers["idempotent-replayed"] == "true"
    assert first.body == again.body
    assert "secret" not in hook.get()
    assert len(hook.get()["retiring_secrets"]) == 1


def test_secrets_do_not_pile_up(hook: Hook) -> None:
    answers = [hook.post("/rotate-secret", {}).status for _ in range(6)]
    assert answers == [200] * 4 + [409] * 2
    assert hook.post("/rotate-secret", {"grace_seconds": 0}).status == 200


@pytest.mark.parametrize("grace", [-1, 604_801, "soon"])
def test_a_grace_out_of_bounds_is_refused(hook: Hook, grace: Any) -> None:
    refused = hook.post("/rotate-secret", {"grace_seconds": grace})
    assert (refused.status, list(refused.body["errors"])) == (422, ["grace_seconds"])


# Switched off and on


def test_a_webhook_is_switched_off_and_on(system: System, hook: Hook, receiver: Receiver) -> None:
    off = hook.post("/disable").body["data"]
    assert (off["status"], off["disabled_reason"]) == ("disabled", "requested")
    system.later(60)
    assert hook.post("/disable").body["data"] == off
    hook.happen()
    hook.deliver()
    assert (hook.states(), receiver.requests) == (["skipped"], [])
    on = hook.post("/enable").body["data"]
    assert (on["status"], on["disabled_reason"], on["disabled_at"]) == ("enabled", None, None)
    assert hook.post("/enable").body["data"] == on
    hook.happen()
    hook.deliver()
    assert hook.states() == ["skipped", "delivered"]


def test_what_410_switched_off_can_be_switched_on(hook: Hook, receiver: Receiver) -> None:
    receiver.answers = [410]
    hook.happen()
    hook.deliver()
    assert hook.get()["disabled_reason"] == "gone"
    hook.post("/enable")
    hook.happen()
    hook.deliver()
    assert hook.states() == ["failed", "delivered"]


# Sent again


def test_a_delivery_is_sent_again_byte_for_byte(system: System, hook: Hook, receiver: Receiver) -> None:
    receiver.answers = [410]
    hook.happen()
    hook.deliver()
    (old,) = hook.get("/deliveries")
    assert hook.post(f"/deliveries/{old['id']}/resend").status == 409, "the webhook is disabled"
    hook.post("/enable")
    system.later(5)
    key = f"again-{old['id']}"
    new = hook.post(f"/deliveries/{old['id']}/resend", idempotency_key=key)
    assert new.status == 201
    assert (new.body["data"]["trigger"], new.body["data"]["resend_of"]) == ("manual", old["id"])
    assert hook.post(f"/deliveries/{old['id']}/resend", idempotency_key=key).body == new.body
    assert hook.post(f"/deliveries/{new.body['data']['id']}/resend").status == 409, "it is not final"
    hook.deliver()
    assert hook.get(f"/deliveries/{new.body['data']['id']}")["status"] == "delivered"
    assert hook.get(f"/deliveries/{old['id']}")["resent_as"] == new.body["data"]["id"]
    first, second = receiver.requests
    assert first.body == second.body
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.headers["x-talktiko-delivery"] != second.headers["x-talktiko-delivery"]


def test_an_event_that_is_gone_is_not_sent_again(system: System, hook: Hook) -> None:
    hook.happen()
    hook.deliver()
    (old,) = hook.get("/deliveries")
    system.later(timedelta(days=89).total_seconds())
    hook.owner = sign_in(system)
    new = hook.post(f"/deliveries/{old['id']}/resend")
    assert new.status == 201
    hook.deliver()
    system.later(timedelta(days=2).total_seconds())
    hook.owner = sign_in(system)
    assert hook.post(f"/deliveries/{old['id']}/resend").status == 404, "the delivery is gone too"
    refused = hook.post(f"/deliveries/{new.body['data']['id']}/resend")
    assert refused.status == 409
    assert "90 days" in refused.body["detail"]
    assert [row["id"] for row in hook.get("/deliveries")] == [new.body["data"]["id"]]


def recover(hook: Hook, since: datetime, **more: Any) -> Any:
    answer = hook.post("/recover", {"since": rfc3339(since), **more})
    assert answer.status == 202, answer.body
    return answer.body["data"]


def run_recoveries(system: System) -> int:
    from chalicelib.webhooks.worker import recover as worker

    messages = system.messages("webhook-recoveries")
    system.work(worker, messages)
    return len(messages)


def test_everything_missed_is_sent_again_once(
    system: System, hook: Hook, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    from chalicelib.webhooks import recovery

    monkeypatch.setattr(recovery, "STEP", 2)
    monkeypatch.setattr(recovery, "STEPS_A_RUN", 2)
    began = system.now
    hook.happen()
    hook.deliver()  # this one arrives
    hook.post("/disable")
    missed = hook.happen(7)
    hook.post("/enable")
    system.later(10)
    job = recover(hook, began)
    assert (job["status"], job["resent"]) == ("queued", 0)
    while run_recoveries(system):
        pass
    done = hook.get(f"/recoveries/{job['id']}")
    assert (done["status"], done["resent"], done["passed_over"]) == ("completed", 7, 0)
    hook.deliver()
    got = [request.headers["webhook-id"] for request in receiver.requests]
    assert sorted(got[1:]) == sorted(missed)

    system.later(10)
    again = recover(hook, began)
    run_recoveries(system)
    while run_recoveries(system):
        pass
    done = hook.get(f"/recoveries/{again['id']}")
    assert (done["status"], done["resent"], done["passed_over"]) == ("completed", 0, 7)
    assert hook.states().count("delivered") == 8


@pytest.mark.usefixtures("empty_queues")
@pytest.mark.parametrize("dies_before", ["TransactWriteItems", "SendMessageBatch", "PutItem"])
def test_a_recovery_that_died_goes_on(
    system: System, hook: Hook, receiver: Receiver, dies_before: str
) -> None:
    from tests.store.conftest import Died

    hook.post("/disable")
    missed = hook.happen(3)
    hook.post("/enable")
    system.later(10)
    job = recover(hook, system.now - timedelta(hours=1))
    system.calls.dies_before = lambda name, _: name == dies_before
    with pytest.raises(Died):
        run_recoveries(system)
    system.calls.clear()
    system.later(121)
    hook.sweep()  # its message is gone
    run_recoveries(system)
    done = hook.get(f"/recoveries/{job['id']}")
    assert (done["status"], done["resent"]) == ("completed", 3)
    system.later(60)
    hook.sweep()
    hook.deliver()
    hook.deliver()
    assert sorted(request.headers["webhook-id"] for request in receiver.requests) == sorted(missed)


def test_a_recovery_has_its_limit(system: System, hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    from chalicelib.webhooks import recovery

    monkeypatch.setattr(recovery, "AT_MOST", 4)
    monkeypatch.setattr(recovery, "STEP", 3)
    hook.post("/disable")
    hook.happen(6)
    hook.post("/enable")
    system.later(10)
    for resent, limit_reached in ((4, True), (2, False)):
        job = recover(hook, system.now - timedelta(hours=1))
        while run_recoveries(system):
            pass
        done = hook.get(f"/recoveries/{job['id']}")
        assert (done["resent"], done["limit_reached"]) == (resent, limit_reached)
        system.later(10)


@pytest.mark.parametrize(
    ("since", "until", "field"), [(-15, None, "since"), (-1, -2, "until"), (1, None, "since")]
)
def test_a_recovery_of_no_time_is_refused(
    system: System, hook: Hook, since: int, until: int | None, field: str
) -> None:
    body = {"since": rfc3339(system.now + timedelta(days=since))}
    if until is not None:
        body["until"] = rfc3339(system.now + timedelta(days=until))
    refused = hook.post("/recover", body)
    assert (refused.status, list(refused.body["errors"])) == (422, [field])


# Found again


def test_deliveries_are_found_by_what_became_of_them(system: System, hook: Hook, receiver: Receiver) -> None:
    receiver.answers = [503, 500, 404, 410]
    for _ in range(4):
        hook.happen()
        hook.deliver()
        system.later(1)
    hook.post("/enable")
    hook.happen()
    hook.deliver()

    def found(query: str) -> list[Any]:
        return [row["last_status_code"] for row in hook.get(f"/deliveries?{query}")]

    assert found("code=503") == [503]
    assert found("code=5xx") == [500, 503]
    assert found("code=4xx&per_page=1") == [410]
    assert found("code=2xx") == [200]
    assert found("status=failed") == [410]
    assert found("status=retrying&event=export.failed") == [404, 500, 503]
    since = rfc3339(system.now - timedelta(seconds=2))
    assert found(f"code=5xx&to={since}") == [500, 503]
    assert found(f"code=5xx&from={since}") == []
    for query in ("code=5xx&status=failed", "code=6xx", "code=50"):
        refused = system.call("GET", f"{hook.path}/deliveries?{query}", token=hook.owner)
        assert refused.status == 422, query


def test_a_claim_writes_no_index_of_the_log(system: System, hook: Hook) -> None:
    hook.happen()
    system.calls.clear()
    hook.deliver()
    claims = [one for one in system.calls.of("UpdateItem") if '"delivering"' in json.dumps(one)]
    assert len(claims) == 1
    assert "status_key" not in json.dumps(claims)


# Counted


def test_stats_add_up_attempts(system: System, hook: Hook, receiver: Receiver) -> None:
    receiver.answers = [500, 200, 429]
    for _ in range(3):
        hook.happen()
        hook.deliver()
    stats = hook.get("/stats")
    day = stats["last_24_hours"]
    assert (day["attempts"], day["successes"]) == (3, 1)
    assert day["failures"] == {"http_4xx": 1, "http_5xx": 1}
    assert 0 <= day["p50_ms"] <= day["p95_ms"] <= 10_000
    assert stats["last_7_days"] == day
    assert stats["endpoint"]["circuit"] == "closed"
    system.later(timedelta(hours=30).total_seconds())
    system.calls.clear()
    stats = hook.get("/stats")
    assert (stats["last_24_hours"]["attempts"], stats["last_7_days"]["attempts"]) == (0, 3)
    assert system.calls.names() == ["UpdateItem", "GetItem", "Query", "GetItem"]


# The endpoint's flow


def test_a_broken_endpoint_is_left_alone_and_probed(system: System, hook: Hook, receiver: Receiver) -> None:
    receiver.answers = [500] * 5
    hook.happen(8)
    hook.deliver()
    assert Counter(hook.states()) == {"retrying": 5, "parked": 3}
    assert len(receiver.requests) == 5
    stats = hook.get("/stats")["endpoint"]
    assert stats["circuit"] == "open"

    system.later(59)
    for row in hook.get("/deliveries"):
        hook.wake(row)
    assert len(receiver.requests) == 5, "no retry is spent on it"
    system.later(2)
    hook.sweep()
    hook.deliver()
    assert len(receiver.requests) == 6, "one probes"
    assert hook.get("/stats")["endpoint"]["circuit"] == "closed"
    for _ in range(4):
        hook.deliver()
        system.later(100)
        hook.sweep()
    assert hook.states() == ["delivered"] * 8
    attempts = Counter(row["attempts_made"] for row in hook.get("/deliveries"))
    assert attempts == {2: 5, 1: 3}


def test_a_probe_that_fails_opens_for_twice_as_long(system: System, hook: Hook, receiver: Receiver) -> None:
    receiver.answers = [500] * 7
    hook.happen(8)
    hook.deliver()
    for seconds, requests in ((61, 6), (121, 7)):
        system.later(seconds - 2)
        hook.sweep()
        hook.deliver()
        assert len(receiver.requests) == requests - 1
        system.later(2)
        hook.sweep()
        hook.deliver()
        assert len(receiver.requests) == requests
    open_until = datetime.fromisoformat(hook.get("/stats")["endpoint"]["open_until"])
    assert (open_until - system.now).total_seconds() == pytest.approx(240, abs=1)


def test_what_is_parked_for_three_days_expires_unsent(system: System, hook: Hook, receiver: Receiver) -> None:
    receiver.answers = [500] * 100
    hook.happen(7)
    hook.deliver()
    parked = hook.get("/deliveries?status=parked")
    system.later(timedelta(hours=73).total_seconds())
    for row in parked:
        hook.wake(row)
    ended = [hook.get(f"/deliveries/{row['id']}") for row in parked]
    assert [(row["status"], row["failure_reason"], row["attempts_made"]) for row in ended] == [
        ("failed", "expired", 0)
    ] * 2


def test_what_is_parked_is_not_forgotten_when_two_let_go_at_once(
    system: System, hook: Hook, receiver: Receiver
) -> None:
    receiver.answers = [500] * 5
    hook.happen(8)
    hook.deliver()
    assert Counter(hook.states()) == {"retrying": 5, "parked": 3}
    system.later(120)
    faster = iter([True])

    def answer(name: str, parameters: dict[str, Any]) -> Any:
        lets_go = name == "UpdateItem" and {"S": "parked"} in parameters["ExpressionAttributeValues"].values()
        return refused("ConditionalCheckFailedException") if lets_go and next(faster, False) else None

    system.calls.answered = answer
    hook.sweep()
    assert next(faster, None) is None, "somebody else was faster"
    for _ in range(4):
        system.later(61)
        hook.sweep()
        hook.deliver()
    assert "parked" not in hook.states()


def test_retry_after_holds_the_whole_endpoint(system: System, hook: Hook, receiver: Receiver) -> None:
    receiver.answers = [429]
    receiver.extra = {"Retry-After": "300"}
    hook.happen(3)
    hook.deliver()
    assert (len(receiver.requests), Counter(hook.states())) == (1, {"retrying": 1, "parked": 2})
    receiver.extra = {}
    system.later(299)
    hook.sweep()
    hook.deliver()
    assert len(receiver.requests) == 1
    system.later(2)
    hook.sweep()
    hook.deliver()
    assert len(receiver.requests) >= 3
    assert "parked" not in hook.states()


def test_a_rate_limit_spreads_deliveries_over_minutes(system: System, owner: str, receiver: Receiver) -> None:
    hook = Hook(system, owner, receiver.url, rate_limit_per_minute=2)
    system.later(60 - system.now.second - system.now.microsecond / 1e6)
    hook.happen(5)
    sent = []
    for _ in range(3):
        hook.deliver()
        sent.append(len(receiver.requests))
        system.later(60)
        hook.sweep()
    assert sent == [2, 4, 5]
    system.call("DELETE", hook.path, token=owner)


def test_at_most_five_requests_are_under_way(system: System, hook: Hook, receiver: Receiver) -> None:
    from chalicelib.webhooks.worker import deliver

    receiver.delay = 0.3
    hook.happen(12)
    messages = hook.messages()
    system.work(deliver, messages[:10])  # ten threads
    assert receiver.most_at_once == 5
    assert len(receiver.requests) == 5


def test_a_dead_workers_place_comes_back(system: System, hook: Hook, receiver: Receiver) -> None:
    from chalicelib.webhooks.worker import deliver
    from tests.store.conftest import Died

    hook.happen(6)
    messages = hook.messages()
    system.calls.dies_before = lambda name, asked: name == "GetItem" and hook.id in asked["Key"]["sk"]["S"]
    for message in messages[:5]:
        with pytest.raises(Died):
            system.work(deliver, [message])
    system.calls.clear()
    assert hook.get("/stats")["endpoint"]["in_flight"] == 5
    assert len(hook.get("/deliveries?status=delivering&event=export.failed")) == 5
    assert hook.get("/deliveries?status=delivering&event=lesson.completed") == []
    system.work(deliver, messages[5:])
    assert receiver.requests == []
    system.later(46)
    assert hook.get("/stats")["endpoint"]["in_flight"] == 0
    assert hook.get("/deliveries?status=delivering") == []
    system.later(35)
    for _ in range(3):
        hook.sweep()
        hook.deliver()
        system.later(301)
    assert hook.states() == ["delivered"] * 6


def test_what_is_parked_is_skipped_when_its_webhook_is_switched_off(
    system: System, hook: Hook, receiver: Receiver
) -> None:
    receiver.answers = [500] * 5
    hook.happen(9)
    hook.deliver()
    hook.post("/disable")
    system.later(120)
    for _ in range(3):
        hook.sweep()
        hook.deliver()
        system.later(60)
    assert (Counter(hook.states()), len(receiver.requests)) == ({"skipped": 9}, 5)


def test_one_delivery_costs_these_calls(system: System, hook: Hook) -> None:
    from chalicelib.webhooks.worker import deliver

    hook.happen()
    hook.deliver()
    hook.happen()
    (message,) = hook.messages()
    system.calls.clear()
    system.work(deliver, [message])
    assert system.calls.names() == [
        "GetItem",  # whether the endpoint may be sent to
        "UpdateItem",  # a place there
        "UpdateItem",  # the claim
        "GetItem",  # the webhook
        "GetItem",  # the event
        "UpdateItem",  # the place back, with what was learned
        "TransactWriteItems",
        "UpdateItem",  # statistics
    ]


def test_an_endpoint_that_fails_for_days_is_switched_off_and_others_told(
    system: System, hook: Hook, owner: str, receiver: Receiver
) -> None:
    from chalicelib.webhooks import flow, models

    other = Hook(system, owner, receiver.url, events=["webhook.disabled"])
    item = models.health_of(hook.id)
    assert item is not None
    failing = flow.Health(failing_since=system.now - timedelta(hours=120), failures=19)
    assert models.replace_health(item, failing)
    receiver.answers = [500]
    hook.happen()
    hook.deliver()
    assert hook.get()["disabled_reason"] == "failing"
    from chalicelib.events.worker import fan_out

    system.work(fan_out, system.messages("events"))
    other.deliver()
    told = json.loads(receiver.requests[-1].body)
    assert (told["type"], told["data"]) == ("webhook.disabled", {"webhook_id": hook.id, "reason": "failing"})
    hook.happen()
    assert hook.states()[-1] == "skipped"
    system.call("DELETE", other.path, token=owner)


# The feed


def test_the_feed_tells_everything_once_in_order(system: System, hook: Hook, owner: str) -> None:
    since = rfc3339(system.now)
    ids = []
    for _ in range(4):
        ids += hook.happen()
        system.later(13 * 3600)
    ids += hook.happen(2)
    system.later(59)
    feed = system.call("GET", f"/api/integrations/events?since={since}&per_page=2", token=owner)
    seen = []
    while True:
        seen += [row["id"] for row in feed.body["data"]]
        link = feed.body["links"]["next"]
        if link is None:
            break
        feed = system.call("GET", link.removeprefix("https://api.example.org"), token=owner)
    ours = [one for one in seen if one in ids]
    assert ours == ids[:4], "the last minute is held back"
    complete_until = feed.body["meta"]["complete_until"]
    system.later(60)
    path = "/api/integrations/events?per_page=100&since="
    rest = system.call("GET", f"{path}{complete_until}", token=owner).body["data"]
    assert [row["id"] for row in rest if row["id"] in ids] == ids[4:]
    typed = system.call("GET", f"{path}{since}&type=export.failed", token=owner).body["data"]
    assert [row["id"] for row in typed if row["id"] in ids] == ids
    assert {row["type"] for row in typed} == {"export.failed"}
    assert set(typed[0]) == {"id", "type", "version", "timestamp", "institution_id", "data"}


# Tried before it is subscribed


def test_a_url_is_tried_before_there_is_a_webhook(system: System, owner: str, receiver: Receiver) -> None:
    secret = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
    receiver.extra = {"X-Seen-By": "the school"}
    body = {"url": receiver.url, "headers": {"X-Api-Key": "k"}, "secret": secret}
    result = system.call("POST", f"{WEBHOOKS}/test", body, token=owner).body["data"]
    assert (result["success"], result["status_code"]) == (True, 200)
    assert result["response_headers"]["x-seen-by"] == "the school"
    assert result["duration_ms"] >= result["phases_ms"]["first_byte"] >= 0
    (request,) = receiver.requests
    Webhook(secret).verify(request.body, request.headers)
    assert request.headers["x-api-key"] == "k"
    assert request.headers["x-talktiko-event"] == "webhook.ping"
    closed = system.call("POST", f"{WEBHOOKS}/test", {"url": f"http://127.0.0.1:{free_port()}/"}, token=owner)
    assert (closed.status, closed.body["data"]["error_class"]) == (200, "connect")
    inside = system.call("POST", f"{WEBHOOKS}/test", {"url": "https://10.0.0.8/"}, token=owner)
    assert inside.body["data"]["error_class"] == "blocked_address"
    for wrong in ({"url": "ftp://x.example/"}, {"url": receiver.url, "secret": "x"}):
        assert system.call("POST", f"{WEBHOOKS}/test", wrong, token=owner).status == 422
