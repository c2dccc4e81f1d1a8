"""All that is held of one member, to have it or have it erased, by workers that die before any call."""

import csv
import hashlib
import io
import json
import zipfile
from typing import Any

import pytest

from chalicelib.core.abilities import Role
from chalicelib.events.worker import fan_out
from chalicelib.exports import files
from chalicelib.institutions import models as institution_models
from chalicelib.institutions.service import PUBLIC_INSTITUTION
from chalicelib.personal_data.worker import answer_data_request, sweep_data_requests
from chalicelib.standings.worker import refresh_standings
from tests.store.conftest import Answer, Died, System
from tests.store.exporting import BUCKET, Person, School, deaths, new_member, new_school, rows

pytestmark = pytest.mark.usefixtures("school", "empty_queues")

LEARNERS, REQUESTS = "/api/integrations/learners", "/api/integrations/data-requests"
EVERYTHING = {
    "GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query", "BatchGetItem", "BatchWriteItem",
    "TransactWriteItems", "SendMessageBatch", "DeleteObject", "AbortMultipartUpload",
}  # fmt: skip


@pytest.fixture
def academy(system: System, standings_at_once: None) -> School:
    """An institution, and a queue of standings that does not wait."""
    return new_school(system)


@pytest.fixture
def mia(academy: School) -> Person:
    """A learner of this institution alone, who has answered something and stands on leaderboards."""
    person = new_member(academy.system, academy.institution_id, Role.LEARNER)
    public = institution_models.membership_of(person.user_id, PUBLIC_INSTITUTION)
    institution_models.forget_member(PUBLIC_INSTITUTION, public.member_id)
    institution_models.forget_membership(person.user_id, PUBLIC_INSTITUTION)
    learn(person)
    spread(academy.system)
    return person


def learn(person: Person) -> Answer:
    """Look at the solution of an exercise, then give it."""
    system, token = person.system, person.sign_in().body["data"]["token"]
    item = system.call("GET", "/api/trainingItems?type=multiple_choice", token=token).body["data"][0]["id"]

    def answer(given: Any) -> Answer:
        body = {"answer": given, "duration_ms": 4200}
        return system.call("POST", f"/api/trainingItems/{item}/attempts", body, token=token)

    looked = answer(None)
    return answer(looked.body["data"]["attempt"]["correct_answer"]) if looked.status == 201 else looked


def spread(system: System) -> list[dict[str, Any]]:
    """Events to their consumers, and those to the boards. The events, which may come again."""
    events = system.messages("events")
    system.work(fan_out, events)
    system.work(refresh_standings, system.messages("standings"))
    return events


def ask(academy: School, whom: str, what: str) -> Answer:
    return academy.system.call("POST", f"{LEARNERS}/{whom}/{what}", token=academy.token)


def work(system: System) -> None:
    system.work(answer_data_request, system.messages("data-requests"))


def shown(academy: School, request_id: str) -> dict[str, Any]:
    answer = academy.system.call("GET", f"{REQUESTS}/{request_id}", token=academy.token)
    assert answer.status == 200, answer.body
    found: dict[str, Any] = answer.body["data"]
    return found


def archive_of(academy: School, request: dict[str, Any]) -> zipfile.ZipFile:
    key = f"{academy.institution_id}/{request['id']}.zip"
    body = academy.system.cloud.client("s3").get_object(Bucket=BUCKET, Key=key)["Body"].read()
    assert (hashlib.sha256(body).hexdigest(), len(body)) == (request["sha256"], request["size_bytes"])
    return zipfile.ZipFile(io.BytesIO(body))


def stored(system: System) -> str:
    """Every item of every table."""
    dynamodb = system.cloud.client("dynamodb")
    tables = dynamodb.list_tables()["TableNames"]
    return repr([dynamodb.scan(TableName=name)["Items"] for name in tables if "catalogue" not in name])


def test_everything_of_a_member_is_in_one_archive_as_json_and_as_csv(academy: School, mia: Person) -> None:
    asked = ask(academy, mia.id, "data-exports")
    assert (asked.status, asked.body["data"]["status"]) == (201, "queued")
    request_id = asked.body["data"]["id"]
    joined = ask(academy, mia.id, "data-exports").body["data"]["id"]
    assert joined == request_id, "it is not finished yet"
    waiting = academy.system.call("GET", f"{REQUESTS}/{request_id}/download", token=academy.token)
    assert (waiting.status, waiting.headers["retry-after"]) == (409, "5")
    work(academy.system)
    request = shown(academy, request_id)
    assert (request["status"], request["learner_id"]) == ("completed", mia.id)
    archive = archive_of(academy, request)
    tables = {name.partition(".")[0] for name in archive.namelist()} - {"about"}
    held = {name: json.loads(archive.read(f"{name}.json")) for name in tables}
    assert held["account"] == [
        {"user_id": mia.user_id, "email": mia.email, "name": mia.name} | _created(held["account"])
    ]
    assert [one["role"] for one in held["membership"]] == ["learner"]
    assert held["tokens"][0]["kind"] == "session"
    assert [one["result"] for one in held["learning-attempt"]] == ["incorrect", "correct"]
    assert held["learning-attempt"][1]["answer"] in "abcdef"
    assert {one["xp"] for one in held["leaderboards"]} == {held["learning-learner"][0]["xp"]}
    assert "secret" not in repr(held)
    assert "argon2" not in repr(held)
    for name in tables:
        text = archive.read(f"{name}.csv").decode("utf-8-sig")
        read = list(csv.DictReader(io.StringIO(text, newline="")))
        assert len(read) == len(held[name]), name
        for row, original in zip(read, held[name], strict=True):
            assert row["id"] == original["id"] if "id" in original else row

    download = academy.system.call("GET", f"{REQUESTS}/{request_id}/download", token=academy.token)
    assert download.status == 302
    assert f"{request_id}.zip" in download.headers["location"]
    assert ask(academy, mia.id, "data-exports").body["data"]["id"] != request_id


def _created(account: list[dict[str, Any]]) -> dict[str, Any]:
    return {"created_at": account[0]["created_at"]}


def owner_of(academy: School) -> str:
    """The owner, who asks."""
    me = academy.system.call("GET", "/api/auth/me", token=academy.token).body["data"]
    return str(me["member_id"])


def test_after_an_erasure_nothing_shows_the_person_and_totals_stay(
    academy: School, mia: Person, written: io.StringIO
) -> None:
    system = academy.system
    token = mia.sign_in().body["data"]["token"]
    system.call("POST", "/api/integrations/tokens", {"name": "x", "abilities": ["*"]}, token=token)
    learn(mia)
    events = spread(system)
    unknown = {"email": "nobody@example.org", "password": "correct horse"}
    refusal = system.call("POST", "/api/auth/sign-in", unknown).body
    before = system.call("GET", "/api/stats", token=academy.token).body["data"]

    asked = ask(academy, mia.id, "erasure")
    assert asked.status == 202
    assert system.call("GET", "/api/auth/me", token=token).status == 401
    refused = mia.sign_in()
    assert (refused.status, refused.body) == (401, refusal)
    gone = system.call("GET", f"/api/cefr/report?learner_id={mia.id}", token=academy.token)
    assert gone.status == 404
    work(system)

    request = shown(academy, asked.body["data"]["id"])
    assert (request["type"], request["status"]) == ("erasure", "completed")
    assert ask(academy, mia.id, "erasure").body["data"] == request
    assert ask(academy, mia.id, "data-exports").status == 404
    assert mia.sign_in().body == refusal
    everything = stored(system)
    assert mia.email not in everything
    assert mia.name not in everything
    assert mia.user_id not in everything
    board = system.call("GET", "/api/gamification/leaderboard?scope=institution", token=academy.token)
    assert (board.body["data"]["top"], board.body["data"]["participants"]) == ([], 0)
    for kind in ("activity", "completions", "learner_progress", "cefr"):
        assert mia.id not in academy.file(academy.until_done(academy.ask(type=kind))).decode()

    system.work(fan_out, events)  # a message may come late
    system.work(refresh_standings, system.messages("standings"))
    board = system.call("GET", "/api/gamification/leaderboard?scope=institution", token=academy.token)
    assert board.body["data"]["participants"] == 0
    after = system.call("GET", "/api/stats", token=academy.token).body["data"]
    totals = [name for name in before if name != "as_of"]
    assert all(after[name] >= before[name] for name in totals), "others of these tests may have come in"

    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    assert mia.email not in repr(lines)
    assert mia.name not in repr(lines)
    asked_for, done = [line for line in lines if line.get("data_request_id") == request["id"]]
    assert (asked_for["action"], done["action"]) == ("personal_data.requested", "personal_data.completed")
    assert {asked_for["learner_id"], done["learner_id"]} == {mia.id}
    assert {asked_for["member_id"], done["requested_by"]} == {owner_of(academy)}


def test_an_account_stays_for_its_other_memberships(academy: School) -> None:
    person = new_member(academy.system, academy.institution_id, Role.LEARNER)
    ask(academy, person.id, "erasure")
    work(academy.system)
    assert person.sign_in().status == 401
    elsewhere = person.sign_in(PUBLIC_INSTITUTION)
    assert elsewhere.status == 200
    me = academy.system.call("GET", "/api/auth/me", token=elsewhere.body["data"]["token"])
    assert me.body["data"]["email"] == person.email


def test_an_erasure_that_dies_before_any_call_is_completed_by_the_next(academy: School, mia: Person) -> None:
    system = academy.system
    asked = ask(academy, mia.id, "erasure").body["data"]
    messages = system.messages("data-requests")
    for dying in deaths(system, EVERYTHING):
        dying(lambda: system.work(answer_data_request, messages))
    assert shown(academy, asked["id"])["status"] == "completed"
    everything = stored(system)
    assert mia.email not in everything
    assert f"'{mia.id}'}}, 'sk': {{'S': 'ATTEMPT" not in everything
    assert mia.sign_in().status == 401
    system.later(3600)
    system.tick(sweep_data_requests)
    assert asked["id"] not in repr(system.messages("data-requests"))


def test_a_request_whose_process_died_is_made_once_and_answered(academy: School, mia: Person) -> None:
    system = academy.system

    def asking() -> None:
        ask(academy, mia.id, "erasure")

    for dying in deaths(system, EVERYTHING):
        dying(asking)
    request_id = ask(academy, mia.id, "erasure").body["data"]["id"]
    system.messages("data-requests")  # which nobody gets
    system.later(120)
    system.tick(sweep_data_requests)
    work(system)
    assert shown(academy, request_id)["status"] == "completed"


def test_an_export_that_dies_before_any_call_is_made_by_the_next(academy: School, mia: Person) -> None:
    system = academy.system
    asked = ask(academy, mia.id, "data-exports").body["data"]
    messages = system.messages("data-requests")
    for dying in deaths(system, EVERYTHING | {"PutObject"}):
        dying(lambda: system.work(answer_data_request, messages))
    request = shown(academy, asked["id"])
    assert request["status"] == "completed"
    assert "account.json" in archive_of(academy, request).namelist()


def test_two_erasures_at_once_are_one(academy: School, mia: Person) -> None:
    system = academy.system
    asked = ask(academy, mia.id, "erasure").body["data"]
    messages = system.messages("data-requests")

    def another(name: str, _: Any) -> bool:
        if name == "BatchWriteItem":
            system.calls.dies_before = None
            system.work(answer_data_request, messages)
        return False

    system.calls.dies_before = another
    system.work(answer_data_request, messages)
    assert shown(academy, asked["id"])["status"] == "completed"


def test_an_answer_that_is_under_way_while_its_learner_is_erased_is_not_recorded(
    academy: School, mia: Person
) -> None:
    system = academy.system

    def erased_before_the_commit(name: str, parameters: Any) -> bool:
        if name == "TransactWriteItems" and "ATTEMPT#" in repr(parameters):
            system.calls.dies_before = None
            ask(academy, mia.id, "erasure")
            work(system)
        return False

    system.calls.dies_before = erased_before_the_commit
    assert learn(mia).status == 404
    assert f"'{mia.id}'}}, 'sk': {{'S': 'ATTEMPT" not in stored(system)


def test_files_that_may_show_an_erased_person_go_and_those_under_way_begin_anew(
    academy: School, mia: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "PART_BYTES", 100)
    system = academy.system
    archive = ask(academy, mia.id, "data-exports").body["data"]["id"]
    work(system)
    waiting = ask(academy, mia.id, "data-exports").body["data"]["id"]
    done = academy.until_done(academy.ask(type="learner_progress"))
    assert mia.id in academy.file(done).decode()
    running = academy.ask(type="learner_progress")
    system.calls.dies_before = lambda name, _: name == "CompleteMultipartUpload"
    with pytest.raises(Died):
        academy.work()
    system.calls.dies_before = None
    assert len(academy.uploads()) == 1

    ask(academy, mia.id, "erasure")
    work(system)
    assert academy.keys() == set()
    assert academy.uploads() == []
    for path in (f"/api/integrations/exports/{done['id']}", f"{REQUESTS}/{archive}"):
        gone = system.call("GET", f"{path}/download", token=academy.token)
        assert (gone.status, "expired" in gone.body["detail"]) == (404, True)
    assert [shown(academy, one)["status"] for one in (archive, waiting)] == ["completed", "cancelled"]
    job = academy.until_done(running)
    assert (job["status"], rows(academy.file(job))) == ("completed", [])


def test_an_owner_and_a_stranger_are_not_erased(academy: School) -> None:
    system = academy.system
    owner = system.call("GET", "/api/auth/me", token=academy.token).body["data"]["member_id"]
    assert ask(academy, owner, "erasure").status == 409
    other = new_school(system)
    stranger = new_member(system, other.institution_id, Role.LEARNER)
    for what in ("erasure", "data-exports"):
        for whom in (stranger.id, "mem_01KAXG7Y0000000000000000Z9", "COUNT"):
            assert ask(academy, whom, what).status == 404
    assert stranger.sign_in().status == 200
