"""An answer, its transaction, its event, its webhook: in process, with every AWS call in view."""

import json
import secrets
from datetime import timedelta
from typing import Any

import pytest

from tests.receiver import Receiver
from tests.store.conftest import Died, System

pytestmark = pytest.mark.usefixtures("empty_queues")

SCHOOL = "ins_00000000000000000000000001"


def sign_in(system: System, email: str, password: str) -> str:
    signed_in = system.call(
        "POST",
        "/api/auth/sign-in",
        {"email": email, "password": password, "institution_id": SCHOOL},
    )
    assert signed_in.status == 200, signed_in.body
    token: str = signed_in.body["data"]["token"]
    return token


@pytest.fixture
def learner(system: System, school: str) -> str:
    return sign_in(system, "learner@lingua-school.example", "demo-learner-1")


@pytest.fixture
def owner(system: System, school: str) -> str:
    return sign_in(system, "owner@lingua-school.example", "demo-owner-1")


def an_item(system: System, token: str, kind: str = "multiple_choice") -> dict[str, Any]:
    items = system.call("GET", f"/api/trainingItems?type={kind}", token=token).body["data"]
    item: dict[str, Any] = items[0]
    return item


def answer(system: System, token: str, item_id: str, **headers: str) -> Any:
    body = {"answer": "b", "duration_ms": 4200}
    return system.call("POST", f"/api/trainingItems/{item_id}/attempts", body, token=token, **headers)


@pytest.fixture
def hook(system: System, owner: str, receiver: Receiver) -> Any:
    body = {"url": receiver.url, "events": ["exercise.answered"]}
    made = system.call("POST", "/api/integrations/webhooks", body, token=owner)
    assert made.status == 201, made.body
    yield made.body["data"]
    system.call("DELETE", f"/api/integrations/webhooks/{made.body['data']['id']}", token=owner)


def deliver_all(system: System) -> None:
    """What the events and deliveries queues hold, worked off once."""
    from chalicelib.events.worker import fan_out
    from chalicelib.webhooks.worker import deliver

    system.work(fan_out, system.messages("events"))
    system.work(deliver, system.messages("webhook-deliveries"))


def test_attempt_progress_event_and_idempotency_record_are_one_transaction(
    system: System, learner: str
) -> None:
    item = an_item(system, learner)
    system.calls.clear()
    done = answer(system, learner, item["id"], idempotency_key=secrets.token_hex(8))
    assert done.status == 201
    (transaction,) = system.calls.of("TransactWriteItems")
    written = [action["Put"]["Item"] for action in transaction["TransactItems"]]
    keys = {(row["pk"]["S"], row.get("sk", {}).get("S", "")) for row in written}
    member = done.body["data"]["attempt"]["learner_id"]
    kinds = {sk.partition("#")[0] for pk, sk in keys if pk == member}
    assert (
        {"ATTEMPT", "LEARNER", "LESSON", "COURSE", "ITEM", "DAY"} >= kinds >= {"ATTEMPT", "LEARNER", "COURSE"}
    )
    assert any(sk.startswith("evt_") and pk.startswith(SCHOOL) for pk, sk in keys)
    assert any(pk.startswith("OUTBOX#") for pk, _ in keys)
    assert any(pk.startswith("IDEMPOTENCY#") for pk, _ in keys)


def test_an_answer_costs_these_calls(system: System, learner: str) -> None:
    item = an_item(system, learner)
    answer(system, learner, item["id"])
    system.calls.clear()
    answer(system, learner, item["id"])
    assert system.calls.names() == [
        "UpdateItem",  # token, rate limit, last use
        "GetItem",  # the learner
        "GetItem",  # the exercise with its key
        "BatchGetItem",  # everything that the answer may change
        "TransactWriteItems",
        "SendMessageBatch",  # publication
        "DeleteItem",  # its marker
    ]


def test_an_event_of_a_process_that_died_before_publication_arrives_once_in_effect(
    system: System, learner: str, owner: str, hook: dict[str, Any], receiver: Receiver
) -> None:
    from chalicelib.events.worker import sweep_outbox

    item = an_item(system, learner)
    system.calls.dies_before = lambda name, _: name == "SendMessageBatch"
    with pytest.raises(Died):
        answer(system, learner, item["id"])
    system.calls.clear()
    deliver_all(system)
    assert receiver.requests == []

    system.tick(sweep_outbox)
    assert system.messages("events") == [], "the grace time is not over"
    system.later(31)
    system.tick(sweep_outbox)
    woken = system.messages("events")
    assert len(woken) == 1

    from chalicelib.events.worker import fan_out
    from chalicelib.webhooks.worker import deliver

    system.work(fan_out, woken)
    system.work(fan_out, woken)  # a message may come twice
    system.tick(sweep_outbox)  # and the sweeper finds nothing more
    assert system.messages("events") == []
    deliveries = system.messages("webhook-deliveries")
    system.work(deliver, [*deliveries, *deliveries])
    assert len(receiver.requests) == 1
    listed = system.call("GET", f"/api/integrations/webhooks/{hook['id']}/deliveries", token=owner)
    assert [row["status"] for row in listed.body["data"]] == ["delivered"]


def test_an_answer_whose_process_died_before_the_commit_left_nothing(
    system: System, learner: str, hook: dict[str, Any]
) -> None:
    from chalicelib.events.worker import sweep_outbox

    item = an_item(system, learner)
    before = answer(system, learner, item["id"]).body["data"]
    system.messages("events")
    system.calls.dies_before = lambda name, _: name == "TransactWriteItems"
    with pytest.raises(Died):
        answer(system, learner, item["id"], idempotency_key="died")
    system.calls.clear()
    system.later(60)
    system.tick(sweep_outbox)
    assert system.messages("events") == []
    after = answer(system, learner, item["id"], idempotency_key="died")
    assert after.status == 201
    assert "idempotent-replayed" not in after.headers
    assert after.body["data"]["changes"]["lesson_percent"] == before["changes"]["lesson_percent"]


def test_the_default_schedule_is_one_five_and_twenty_five_minutes(
    system: System, learner: str, owner: str, hook: dict[str, Any], receiver: Receiver
) -> None:
    from chalicelib.webhooks.worker import deliver

    receiver.answers = [500, 500, 500, 500]
    answer(system, learner, an_item(system, learner)["id"])
    deliver_all(system)
    path = f"/api/integrations/webhooks/{hook['id']}/deliveries"
    row = system.call("GET", path, token=owner).body["data"][0]
    place = json.dumps({"webhook_id": hook["id"], "delivery_id": row["id"], "event_type": row["event_type"]})
    for attempt, minutes in enumerate((1, 5, 25), start=1):
        waits = [seconds for seconds in _wake_ups(system, hook) if seconds]
        seconds = minutes * 60
        assert len(waits) == 1
        assert min(0.8 * seconds, 900) <= waits[0] <= min(1.2 * seconds + 1, 900)
        now = system.call("GET", f"{path}/{row['id']}", token=owner).body["data"]
        assert (now["status"], now["attempts_made"]) == ("retrying", attempt)

        system.calls.clear()
        system.later(0.8 * seconds - 1)
        system.work(deliver, [{"Body": place}])  # a wake-up that comes early goes back
        assert len(receiver.requests) == attempt
        assert len(_wake_ups(system, hook)) == 1

        system.calls.clear()
        system.later(0.4 * seconds + 2)
        system.work(deliver, [{"Body": place}])
        assert len(receiver.requests) == attempt + 1
    done = system.call("GET", f"{path}/{row['id']}", token=owner).body["data"]
    assert (done["status"], done["failure_reason"]) == ("failed", "exhausted")
    assert [one["attempt"] for one in done["attempts"]] == [1, 2, 3, 4]
    assert len({request.body for request in receiver.requests}) == 1
    assert len({request.headers["webhook-id"] for request in receiver.requests}) == 1
    system.messages("webhook-deliveries")


def _wake_ups(system: System, hook: dict[str, Any]) -> list[int]:
    """Delays, in seconds, with which attempts to this webhook were asked for."""
    return [
        entry["DelaySeconds"]
        for call in system.calls.of("SendMessageBatch")
        for entry in call["Entries"]
        if hook["id"] in entry["MessageBody"]
    ]


def test_a_worker_that_died_after_sending_repeats_the_attempt_and_records_it_once(
    system: System, learner: str, owner: str, hook: dict[str, Any], receiver: Receiver
) -> None:
    from chalicelib.events.worker import fan_out
    from chalicelib.webhooks.worker import deliver, sweep_deliveries

    answer(system, learner, an_item(system, learner)["id"])
    system.work(fan_out, system.messages("events"))
    messages = system.messages("webhook-deliveries")
    system.calls.dies_before = lambda name, _: name == "TransactWriteItems"
    with pytest.raises(Died):
        system.work(deliver, messages)
    system.calls.clear()
    system.work(deliver, messages)  # the lease still holds
    assert len(receiver.requests) == 1
    system.later(timedelta(seconds=45 + 31).total_seconds())
    system.tick(sweep_deliveries)
    system.work(deliver, system.messages("webhook-deliveries"))
    assert len(receiver.requests) == 2
    assert len({request.headers["webhook-id"] for request in receiver.requests}) == 1
    path = f"/api/integrations/webhooks/{hook['id']}/deliveries"
    row = system.call("GET", path, token=owner).body["data"][0]
    detail = system.call("GET", f"{path}/{row['id']}", token=owner).body["data"]
    assert detail["status"] == "delivered"
    assert [(one["attempt"], one["resumed"]) for one in detail["attempts"]] == [(1, True)]


def test_two_answers_that_say_gone_disable_a_webhook_once(
    system: System, learner: str, owner: str, hook: dict[str, Any], receiver: Receiver
) -> None:
    from chalicelib.events.worker import fan_out
    from chalicelib.webhooks import models
    from chalicelib.webhooks.worker import deliver

    path = f"/api/integrations/webhooks/{hook['id']}"
    first, second = (answer(system, learner, an_item(system, learner)["id"]) for _ in range(2))
    assert first.status == second.status == 201
    system.work(fan_out, system.messages("events"))
    messages = [m for m in system.messages("webhook-deliveries") if hook["id"] in m["Body"]]
    receiver.answers = [410, 410]
    stale = models.webhook_of(SCHOOL, hook["id"])
    system.work(deliver, messages[:1])
    assert system.call("GET", path, token=owner).body["data"]["status"] == "disabled"
    with pytest.MonkeyPatch.context() as patch:  # the other worker read the webhook before that
        patch.setattr(models, "webhook_of", lambda *_: stale)
        system.work(deliver, messages[1:])
    rows = system.call("GET", f"{path}/deliveries", token=owner).body["data"]
    assert [(row["status"], row["failure_reason"]) for row in rows] == [("failed", "gone")] * 2
    assert len(system.messages("events")) == 1


@pytest.mark.parametrize("dies_before", ["PutItem", "SendMessageBatch"])
def test_a_fan_out_that_died_is_made_good(
    system: System, learner: str, hook: dict[str, Any], receiver: Receiver, dies_before: str
) -> None:
    from chalicelib.events.worker import fan_out
    from chalicelib.webhooks.worker import deliver

    answer(system, learner, an_item(system, learner)["id"])
    messages = system.messages("events")
    system.calls.dies_before = lambda name, _: name == dies_before
    with pytest.raises(Died):
        system.work(fan_out, messages)
    system.calls.clear()
    system.work(fan_out, messages)  # the queue hands the message out again
    system.work(deliver, system.messages("webhook-deliveries"))
    assert len(receiver.requests) == 1


def test_no_request_scans_or_filters(system: System, learner: str, owner: str, hook: dict[str, Any]) -> None:
    from chalicelib.core.http import ENDPOINTS

    reads = [
        "/api/auth/me",
        "/api/integrations/tokens",
        "/api/public/courses",
        "/api/public/courses/german-a1",
        "/api/courses?language=de&level=A1",
        "/api/lessons",
        "/api/trainings",
        "/api/trainingItems?type=cloze",
        "/api/integrations/webhooks",
        f"/api/integrations/webhooks/{hook['id']}",
        f"/api/integrations/webhooks/{hook['id']}/deliveries?status=failed&event=exercise.answered",
        f"/api/integrations/webhooks/{hook['id']}/deliveries?code=5xx",
        f"/api/integrations/webhooks/{hook['id']}/stats",
        "/api/integrations/webhooks/event-types",
        "/api/integrations/events?type=exercise.answered",
        "/api/integrations/events",
        "/api/integrations/exports",
        "/api/integrations/exports/types",
        "/api/progress-history?granularity=week",
        "/api/cefr/report",
        "/api/learning-insights",
        "/api/reviews/due",
        "/api/gamification/stats",
        "/api/gamification/settings",
        "/api/gamification/leaderboard?period=month",
        "/api/stats",
    ]
    course = system.call("GET", "/api/courses", token=owner).body["data"][0]["id"]
    reads += [f"/api/courses/{course}", f"/api/courses/{course}/lesson-progress"]
    reads += ["/api/courses/drafts", f"/api/courses/{course}/draft", f"/api/courses/{course}/publication"]
    above = f"/api/courses/{course}"
    for name, parent, children in (("lessons", "course", "lessons"), ("trainings", "lesson", "trainings"),
                                   ("trainingItems", "training", "items")):  # fmt: skip
        query = f"{parent}={above.rpartition('/')[2]}"
        below = system.call("GET", f"/api/{name}?{query}", token=owner).body["data"][0]["id"]
        reads += [f"{above}/draft/{children}", f"/api/{name}/{below}", f"/api/{name}/{below}/draft"]
        above = f"/api/{name}/{below}"
    system.calls.clear()
    for path in reads:
        assert system.call("GET", path, token=owner).status == 200, path
    assert "Scan" not in system.calls.names()
    assert not [call for _, call in system.calls.made if "FilterExpression" in call]
    unread = {
        endpoint.path
        for endpoint in ENDPOINTS
        if endpoint.method == "GET" and not endpoint.path.startswith(("/docs", "/api/openapi"))
    } - {_declared(path) for path in reads}
    assert unread <= {
        "/api/integrations/webhooks/{id}/deliveries/{delivery}",
        "/api/integrations/webhooks/{id}/recoveries/{recovery}",
        "/api/integrations/exports/{id}",
        "/api/integrations/exports/{id}/download",
        "/api/integrations/exports/{id}/manifest",
        "/api/integrations/data-requests/{id}",
        "/api/integrations/data-requests/{id}/download",
    }


def _declared(path: str) -> str:
    from app import app
    from tests.store.conftest import _route

    return _route(path.partition("?")[0], "GET", list(app.routes))[0]


def test_a_delivery_that_we_fail_at_ends_as_internal_and_not_never(
    system: System, learner: str, owner: str, hook: dict[str, Any], receiver: Receiver
) -> None:
    from chalicelib.core.workers import MessagesFailed
    from chalicelib.events.worker import fan_out
    from chalicelib.webhooks import service
    from chalicelib.webhooks.worker import deliver

    answer(system, learner, an_item(system, learner)["id"])
    system.work(fan_out, system.messages("events"))
    messages = [m for m in system.messages("webhook-deliveries") if hook["id"] in m["Body"]]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(service, "secrets_of", lambda *_: 1 / 0)
        for _ in range(5):
            with pytest.raises(MessagesFailed):
                system.work(deliver, messages)
        system.work(deliver, messages)
    path = f"/api/integrations/webhooks/{hook['id']}/deliveries"
    (row,) = system.call("GET", f"{path}?status=failed", token=owner).body["data"]
    assert (row["failure_reason"], row["attempts_made"]) == ("internal", 0)
    assert receiver.requests == []


def test_a_fault_that_passes_costs_no_attempt(
    system: System, learner: str, owner: str, hook: dict[str, Any], receiver: Receiver
) -> None:
    from chalicelib.core.workers import MessagesFailed
    from chalicelib.events.worker import fan_out
    from chalicelib.webhooks import service
    from chalicelib.webhooks.worker import deliver

    answer(system, learner, an_item(system, learner)["id"])
    system.work(fan_out, system.messages("events"))
    messages = [m for m in system.messages("webhook-deliveries") if hook["id"] in m["Body"]]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(service, "secrets_of", lambda *_: 1 / 0)
        with pytest.raises(MessagesFailed):
            system.work(deliver, messages)
    system.work(deliver, messages)
    path = f"/api/integrations/webhooks/{hook['id']}/deliveries"
    (row,) = system.call("GET", path, token=owner).body["data"]
    assert (row["status"], row["attempts_made"], len(receiver.requests)) == ("delivered", 1, 1)


def test_the_sweeper_asks_again_after_five_minutes_and_not_each_minute(
    system: System, learner: str, hook: dict[str, Any]
) -> None:
    from chalicelib.events.worker import fan_out
    from chalicelib.webhooks.worker import sweep_deliveries

    answer(system, learner, an_item(system, learner)["id"])
    system.work(fan_out, system.messages("events"))
    asked = []
    for _minute in range(12):
        system.calls.clear()
        system.tick(sweep_deliveries)
        asked.append(len(_wake_ups(system, hook)))
        system.later(60)
    assert asked == [0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]


def test_gone_said_by_the_old_url_leaves_the_new_one_alone(
    system: System, learner: str, owner: str, hook: dict[str, Any], receiver: Receiver
) -> None:
    from chalicelib.events.worker import fan_out
    from chalicelib.webhooks import models
    from chalicelib.webhooks.worker import deliver

    path = f"/api/integrations/webhooks/{hook['id']}"
    answer(system, learner, an_item(system, learner)["id"])
    system.work(fan_out, system.messages("events"))
    receiver.answers = [410]
    before = models.webhook_of(SCHOOL, hook["id"])
    changed = system.call("PUT", path, {"url": f"{receiver.url}/new"}, token=owner)
    assert changed.status == 200
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(models, "webhook_of", lambda *_: before)
        system.work(deliver, [m for m in system.messages("webhook-deliveries") if hook["id"] in m["Body"]])
    assert len(receiver.requests) == 1
    assert system.call("GET", path, token=owner).body["data"]["status"] == "enabled"


def a_newcomer(system: System) -> str:
    """A learner of the public institution, where strangers meet."""
    account = {"email": f"{secrets.token_hex(6)}@example.org", "password": "correct horse", "name": "Ana"}
    system.call("POST", "/api/auth/sign-up", account)
    del account["name"]
    token: str = system.call("POST", "/api/auth/sign-in", account).body["data"]["token"]
    return token


def test_an_idempotency_key_is_its_callers_own(system: System) -> None:
    body = {"name": "lms", "abilities": ["progress:read"]}
    path, first, second = "/api/integrations/tokens", a_newcomer(system), a_newcomer(system)
    mine, theirs = (
        system.call("POST", path, body, token=token, idempotency_key="1") for token in (first, second)
    )
    assert (mine.status, theirs.status) == (201, 201)
    assert mine.body["data"]["token"] != theirs.body["data"]["token"]
    again = system.call("POST", path, body, token=first, idempotency_key="1")
    assert again.headers["idempotent-replayed"] == "true"
    assert again.body == mine.body


def test_an_attempt_that_was_recorded_is_told_again_when_its_item_is_gone(
    system: System, learner: str
) -> None:
    from chalicelib.catalogue import service as catalogue
    from chalicelib.core.errors import NotFound

    item = an_item(system, learner)
    path = f"/api/trainingItems/{item['id']}/attempts"
    body = {"answer": "b", "duration_ms": 1, "attempt_id": "att_01KAXG7Y0000000000000000A1"}
    first = system.call("POST", path, body, token=learner)

    def gone(*_: str) -> Any:
        raise NotFound("training item")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(catalogue, "exercise", gone)
        again = system.call("POST", path, body, token=learner)
    assert (first.status, again.status) == (201, 201)
    assert again.body == first.body
