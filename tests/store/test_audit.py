"""Each act that auditors ask about leaves its line: who, with what, in which request, and no secret."""

import io
import json
import re
from datetime import timedelta
from typing import Any, get_args

import pytest

from chalicelib.core.abilities import Role
from chalicelib.core.audit import FIELDS, Action
from chalicelib.core.clock import rfc3339
from chalicelib.events.worker import fan_out
from chalicelib.exports.worker import make_export
from chalicelib.personal_data.worker import answer_data_request
from chalicelib.webhooks.worker import deliver, recover
from tests.receiver import Receiver
from tests.store.conftest import System
from tests.store.exporting import Person, School, new_member, new_school

pytestmark = pytest.mark.usefixtures("school", "empty_queues")

API = "/api/integrations"
OF_THE_LOGGER = {"level", "message", "location", "timestamp", "service"}
Line = dict[str, Any]


@pytest.fixture
def academy(system: System) -> School:
    return new_school(system)


@pytest.fixture
def mia(academy: School) -> Person:
    return new_member(academy.system, academy.institution_id, Role.LEARNER)


def told(written: io.StringIO, message: str = "audit") -> list[Line]:
    """The lines of this kind since the last look."""
    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    written.seek(0)
    written.truncate()
    return [line for line in lines if line["message"] == message]


def do(school: School, method: str, path: str, body: Any = None) -> Any:
    answer = school.system.call(method, API + path, body, token=school.token)
    assert answer.status < 400, answer.body
    return answer.body["data"] if answer.body else None


def use_webhooks(school: School, receiver: Receiver) -> list[str]:
    """All that is done with one. Returns its secrets."""
    url = f"{receiver.url}?key=in-the-url"
    made = do(school, "POST", "/webhooks", {"url": url, "events": ["export.*"]})
    path = f"/webhooks/{made['id']}"
    do(school, "PUT", path, {"description": "private words", "headers": {"X-Api-Key": "in-a-header"}})
    rotated = do(school, "POST", f"{path}/rotate-secret", {})
    for act in ("finish-rotation", "disable", "enable", "test"):
        do(school, "POST", f"{path}/{act}")
    (tested,) = do(school, "GET", f"{path}/deliveries")
    do(school, "POST", f"{path}/deliveries/{tested['id']}/resend")
    since = rfc3339(school.system.now - timedelta(hours=1))
    do(school, "POST", f"{path}/recover", {"since": since})
    school.system.work(recover, school.system.messages("webhook-recoveries"))
    do(school, "DELETE", path)
    return [made["secret"], rotated["secret"]]


def use_tokens(school: School) -> list[str]:
    made = do(school, "POST", "/tokens", {"name": "private words", "abilities": ["progress:read"]})
    do(school, "DELETE", f"/tokens/{made['id']}")
    return [made["token"]]


def use_exports(school: School) -> list[str]:
    do(school, "DELETE", f"/exports/{school.ask(type='activity')}")
    job = school.until_done(school.ask(type="learner_progress"))
    link = do(school, "GET", f"/exports/{job['id']}/download?redirect=false")
    do(school, "DELETE", f"/exports/{job['id']}")
    return [link["url"]]


def use_personal_data(school: School, about: Person) -> list[str]:
    path = f"/learners/{about.id}"
    asked = do(school, "POST", f"{path}/data-exports")
    school.system.work(answer_data_request, school.system.messages("data-requests"))
    link = do(school, "GET", f"/data-requests/{asked['id']}/download?redirect=false")
    do(school, "POST", f"{path}/data-exports")
    erasure = do(school, "POST", f"{path}/erasure")["id"]
    messages = school.system.messages("data-requests")
    messages.sort(key=lambda message: erasure not in message["Body"])
    school.system.work(answer_data_request, messages)
    return [link["url"], about.email, about.name]


def test_every_act_is_told_with_who_did_it_and_without_a_secret(
    academy: School, mia: Person, receiver: Receiver, written: io.StringIO
) -> None:
    assert mia.sign_in().status == 200
    secrets = [
        *use_webhooks(academy, receiver),
        *use_tokens(academy),
        *use_exports(academy),
        *use_personal_data(academy, mia),
    ]
    academy.system.call("POST", "/api/auth/sign-out", token=academy.token)
    lines = told(written)

    assert {line["action"] for line in lines} == set(get_args(Action))
    for line in lines:
        assert set(line) - OF_THE_LOGGER <= set(FIELDS)
        assert line["institution_id"] == academy.institution_id
        assert line["request_id"] == "test"
        if line["action"] in ("personal_data.completed", "personal_data.cancelled"):
            assert line["role"] == "system"
            assert not {"member_id", "token_id"} & set(line)
            assert line["requested_by"].startswith("mem_")
        else:
            assert line["role"] == ("learner" if line["action"] == "session.started" else "owner")
            assert line["member_id"].startswith("mem_")
            assert line["token_id"].startswith("tok_")
    text = json.dumps(lines)
    for secret in (*secrets, "private words", "in-a-header", "in-the-url", academy.token):
        assert secret not in text
    assert not re.search(r"whsec_|tlk_|X-Amz", text)


def test_what_it_was_about_is_named(
    academy: School, mia: Person, receiver: Receiver, written: io.StringIO
) -> None:
    use_webhooks(academy, receiver)
    use_tokens(academy)
    use_exports(academy)
    use_personal_data(academy, mia)
    told_by = {line["action"]: line for line in told(written)}
    assert told_by["webhook.updated"]["changed"] == ["description", "headers"]
    resent = told_by["webhook.delivery_resent"]
    assert resent["delivery_id"] != resent["resend_of"]
    assert told_by["token.revoked"]["subject_token_id"] == told_by["token.created"]["subject_token_id"]
    assert told_by["token.created"]["abilities"] == ["progress:read"]
    assert told_by["export.downloaded"]["export_id"] == told_by["export.removed"]["export_id"]
    assert told_by["personal_data.downloaded"]["learner_id"] == mia.id
    assert told_by["personal_data.completed"]["data_request_type"] == "erasure"
    assert told_by["personal_data.cancelled"]["data_request_type"] == "export"


def test_what_was_refused_is_not_told(academy: School, receiver: Receiver, written: io.StringIO) -> None:
    told(written)
    foreign = new_school(academy.system)
    hook = do(foreign, "POST", "/webhooks", {"url": receiver.url, "events": ["*"]})["id"]
    told(written)
    for method, path, body in (
        ("DELETE", f"/webhooks/{hook}", None),
        ("POST", f"/webhooks/{hook}/disable", None),
        ("POST", f"/webhooks/{hook}/rotate-secret", {}),
        ("DELETE", "/exports/exp_01KAXG7Y0000000000000000A1", None),
        ("DELETE", "/tokens/tok_01KAXG7Y0000000000000000A1", None),
    ):
        assert academy.system.call(method, API + path, body, token=academy.token).status == 404
    wrong = {"email": "owner@lingua-school.example", "password": "wrong"}
    assert academy.system.call("POST", "/api/auth/sign-in", wrong).status == 401
    assert told(written) == []


def test_who_repeats_a_request_with_its_key_has_done_it_once(academy: School, written: io.StringIO) -> None:
    told(written)
    body = {"name": "x", "abilities": ["progress:read"]}
    for _ in range(2):
        academy.system.call("POST", f"{API}/tokens", body, token=academy.token, Idempotency_Key="once")
    assert [line["action"] for line in told(written)] == ["token.created"]


def test_a_webhook_that_the_system_switches_off_names_the_system(
    academy: School, receiver: Receiver, written: io.StringIO
) -> None:
    system = academy.system
    hook = do(academy, "POST", "/webhooks", {"url": receiver.url, "events": ["export.*"]})["id"]
    told(written)
    receiver.answers = [410]
    happen(academy)
    (line,) = [line for line in told(written) if line["action"] == "webhook.disabled"]
    assert (line["role"], line["webhook_id"], line["reason"]) == ("system", hook, "gone")
    assert not {"member_id", "token_id"} & set(line)

    happen(academy)
    (skipped,) = told(written, "webhook.delivery.closed")
    assert (skipped["webhook_id"], skipped["status"]) == (hook, "skipped")
    (row,) = do(academy, "GET", f"/webhooks/{hook}/deliveries?status=skipped")
    assert (skipped["delivery_id"], skipped["event_id"]) == (row["id"], row["event_id"])
    system.messages("webhook-deliveries")


def test_what_was_delivered_is_not_told_as_skipped_by_a_message_that_comes_late(
    academy: School, receiver: Receiver, written: io.StringIO
) -> None:
    hook = do(academy, "POST", "/webhooks", {"url": receiver.url, "events": ["export.*"]})["id"]
    events = happen(academy)
    assert [line["outcome"] for line in told(written, "webhook.delivery.attempt")] == ["delivered"]
    do(academy, "POST", f"/webhooks/{hook}/disable")
    academy.system.work(fan_out, events)
    assert told(written, "webhook.delivery.closed") == []


def happen(school: School) -> list[dict[str, Any]]:
    """An export is completed, and its event handed to webhooks. The messages about it."""
    system = school.system
    school.ask(type="learner_progress")
    system.work(make_export, system.messages("exports"))
    events = system.messages("events")
    system.work(fan_out, events)
    system.work(deliver, system.messages("webhook-deliveries"))
    return events
