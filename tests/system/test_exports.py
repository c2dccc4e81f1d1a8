"""Exports against the deployed local cloud: asked for over HTTP, made by the worker, fetched from S3."""

import csv
import hashlib
import io
import json
import os
import re
import secrets
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener, urlopen

import pytest

from tests.conftest import LocalCloud
from tests.system.client import Answer, Client
from tests.system.processes import workers

EXPORTS = "/api/integrations/exports"
LEARNER = "mem_01KAXG7Y0000000000000000A1"
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
UNFINISHED = ("queued", "running")


class Stay(HTTPRedirectHandler):
    """A redirect is an answer of its own."""

    def redirect_request(self, *_: Any) -> None:
        return None


def status_of(url: str) -> int:
    try:
        with urlopen(url, timeout=10) as response:
            return int(response.status)
    except HTTPError as error:
        with error:
            return error.code


def redirect(client: Client, path: str) -> str:
    """Where a 302 leads to."""
    request = Request(client.base_url + path, headers={"Authorization": f"Bearer {client.token}"})
    with pytest.raises(HTTPError) as answer:
        build_opener(Stay).open(request, timeout=10)
    with answer.value:
        assert answer.value.code == 302
        assert answer.value.headers["Cache-Control"] == "no-store"
        return str(answer.value.headers["Location"])


def wait_until(done: Callable[[], Any], seconds: float = 30) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := done()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.1)
    return found


def final(client: Client, export_id: str) -> dict[str, Any]:
    def read() -> dict[str, Any] | None:
        job: dict[str, Any] = client.get(f"{EXPORTS}/{export_id}").body["data"]
        return None if job["status"] in UNFINISHED else job

    found: dict[str, Any] = wait_until(read)
    return found


def requested(client: Client, body: dict[str, Any]) -> str:
    answer = client.call("POST", EXPORTS, body)
    assert answer.status == 201, answer.body
    return str(answer.body["data"]["id"])


def completed(client: Client, body: dict[str, Any]) -> dict[str, Any]:
    job = final(client, requested(client, body))
    assert job["status"] == "completed", job
    return job


def fetched(client: Client, job: dict[str, Any]) -> bytes:
    with urlopen(redirect(client, f"{EXPORTS}/{job['id']}/download"), timeout=10) as response:
        assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
        body: bytes = response.read()
    return body


def rows(file: bytes, delimiter: str = ",") -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(file.decode("utf-8-sig"), newline=""), delimiter=delimiter))


@dataclass(frozen=True)
class Recorded:
    """A learner's answer that the API has recorded."""

    learner_id: str
    course_id: str
    attempt: dict[str, Any]


@pytest.fixture(scope="module")
def recorded(learner: Client) -> Recorded:
    course = learner.rows("/api/courses")[0]
    lesson = learner.rows(f"/api/lessons?course={course['id']}")[0]
    training = learner.rows(f"/api/trainings?lesson={lesson['id']}")[0]
    item = learner.rows(f"/api/trainingItems?training={training['id']}")[0]
    body = {"answer": None, "duration_ms": 4200}
    answer = learner.call("POST", f"/api/trainingItems/{item['id']}/attempts", body)
    assert answer.status in (200, 201), answer.body
    attempt = answer.body["data"]["attempt"]
    return Recorded(attempt["learner_id"], course["id"], attempt)


class Stored:
    """The tables behind the API, for what cannot be brought about over HTTP."""

    def __init__(self, cloud: LocalCloud, institution_id: str) -> None:
        self.cloud, self.institution_id = cloud, institution_id
        self.dynamodb = cloud.client("dynamodb")

    def key(self, export_id: str) -> dict[str, Any]:
        return {"pk": {"S": self.institution_id}, "sk": {"S": export_id}}

    def set(self, export_id: str, **values: str | int) -> None:
        self.dynamodb.update_item(
            TableName="talktiko-local-exports",
            Key=self.key(export_id),
            UpdateExpression="SET " + ", ".join(f"#{name} = :{name}" for name in values),
            ExpressionAttributeNames={f"#{name}": name for name in values},
            ExpressionAttributeValues={
                f":{name}": {"S": value} if isinstance(value, str) else {"N": str(value)}
                for name, value in values.items()
            },
        )

    def job(self, export_id: str) -> dict[str, Any]:
        answer = self.dynamodb.get_item(TableName="talktiko-local-exports", Key=self.key(export_id))
        item: dict[str, Any] = answer["Item"]
        return item

    def make_overdue(self, export_id: str) -> None:
        self.dynamodb.put_item(
            TableName="talktiko-local-exports",
            Item={
                "pk": {"S": "DUE"},
                "sk": {"S": export_id},
                "institution_id": {"S": self.institution_id},
                "due_at": {"S": "2026-01-01T00:00:00.000Z"},
            },
        )

    def sweep(self) -> None:
        event = {"version": "0", "source": "aws.events", "detail": {}, "resources": [], "id": "", "time": "",
                 "account": "", "region": "", "detail-type": "Scheduled Event"}  # fmt: skip
        answer = self.cloud.client("lambda").invoke(
            FunctionName="talktiko-local-sweep-exports", Payload=json.dumps(event).encode()
        )
        assert "FunctionError" not in answer, answer["Payload"].read()

    def events(self, kind: str) -> list[dict[str, Any]]:
        """The institution's events of today and yesterday, as they are sent."""
        found = []
        for days in (1, 0):
            day = (datetime.now(UTC) - timedelta(days=days)).date()
            answer = self.dynamodb.query(
                TableName="talktiko-local-events",
                KeyConditionExpression="pk = :pk",
                ExpressionAttributeValues={":pk": {"S": f"{self.institution_id}#{day}"}},
            )
            found += [json.loads(item["body"]["B"]) for item in answer["Items"]]
        return [event for event in found if event["type"] == kind]

    def attempt(self, number: int, recorded_at: datetime, **wrong: Any) -> str:
        """An attempt of long ago, as the API would have recorded it then."""
        item = self._attempt(number, recorded_at)
        self.dynamodb.put_item(TableName="talktiko-local-learning", Item=item | wrong)
        return str(item["sk"]["S"]).removeprefix("ATTEMPT#")

    def attempts(self, count: int, recorded_at: datetime, **others: Any) -> None:
        """Many of them, a millisecond apart."""
        for start in range(0, count, 25):
            items = [
                self._attempt(number, recorded_at + timedelta(milliseconds=number)) | others
                for number in range(start, min(start + 25, count))
            ]
            self.dynamodb.batch_write_item(
                RequestItems={"talktiko-local-learning": [{"PutRequest": {"Item": one}} for one in items]}
            )

    def forget_attempts(self) -> None:
        """Of a learner who has nothing else: no numbers follow from them."""
        pages = self.dynamodb.get_paginator("query").paginate(
            TableName="talktiko-local-learning",
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": LEARNER}},
            ProjectionExpression="pk, sk",
        )
        keys = [item for page in pages for item in page["Items"]]
        for start in range(0, len(keys), 25):
            gone = [{"DeleteRequest": {"Key": key}} for key in keys[start : start + 25]]
            self.dynamodb.batch_write_item(RequestItems={"talktiko-local-learning": gone})

    def _attempt(self, number: int, recorded_at: datetime) -> dict[str, Any]:
        at = recorded_at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        attempt_id = f"att_{number:026}"
        texts = {
            "pk": LEARNER,
            "sk": f"ATTEMPT#{attempt_id}",
            "institution_key": f"{self.institution_id}#ATTEMPTS#{recorded_at.date()}#{number % 8}",
            "institution_sort": f"{at}#{attempt_id}",
            "course_id": f"crs_{number % 2:026}",
            "lesson_id": "lsn_01KAXG7Y0000000000000000A1",
            "training_id": "trn_01KAXG7Y0000000000000000A1",
            "item_id": "itm_01KAXG7Y0000000000000000A1",
            "item_type": "cloze",
            "skill": "grammar",
            "cefr_level": "A1",
            "result": "correct",
            "occurred_at": "2021-05-01T22:30:00Z",
            "local_date": "2021-05-02",
            "recorded_at": at,
        }
        numbers = {"item_version": 1, "score": 1, "xp": 10, "duration_ms": 4200}
        item: dict[str, Any] = {name: {"S": value} for name, value in texts.items()}
        item |= {name: {"N": str(value)} for name, value in numbers.items()}
        return item


@pytest.fixture(scope="module")
def stored(local_cloud: LocalCloud, owner: Client) -> Iterator[Stored]:
    made = Stored(local_cloud, owner.get("/api/auth/me").body["data"]["institution_id"])
    yield made
    made.forget_attempts()


def test_an_owner_downloads_what_learners_have_done(owner: Client, recorded: Recorded) -> None:
    before = datetime.now(UTC)
    asked = owner.call("POST", EXPORTS, {"type": "activity"})
    assert asked.status == 201
    job = asked.body["data"]
    assert (job["status"], job["rows"], job["progress_percent"]) == ("queued", 0, 0)
    assert job["download_url"] is job["size_bytes"] is job["expires_at"] is job["error"] is None
    columns = job["format"].pop("columns")
    assert job["format"] == {"delimiter": ",", "bom": True, "gzip": False, "time_zone": "UTC"}
    span = datetime.fromisoformat(job["filters"]["to"]) - datetime.fromisoformat(job["filters"]["from"])
    assert span == timedelta(days=30)

    job = final(owner, job["id"])
    assert (job["status"], job["progress_percent"]) == ("completed", 100)
    assert job["download_url"] == f"{owner.base_url}{EXPORTS}/{job['id']}/download"
    lives = datetime.fromisoformat(job["expires_at"]) - before
    assert timedelta(days=7) <= lives < timedelta(days=7, minutes=1)

    file = fetched(owner, job)
    assert (len(file), hashlib.sha256(file).hexdigest()) == (job["size_bytes"], job["sha256"])
    assert file.startswith(b"\xef\xbb\xbfattempt_id,learner_id,")
    assert file.count(b"\xef\xbb\xbf") == 1
    found = rows(file)
    assert list(found[0]) == columns
    assert len(found) == job["rows"]
    row = next(row for row in found if row["attempt_id"] == recorded.attempt["id"])
    assert row["learner_id"] == recorded.learner_id
    assert row["course_id"] == recorded.course_id
    assert row["item_id"] == recorded.attempt["item_id"]
    assert row["result"] == recorded.attempt["result"]
    assert float(row["score"]) == recorded.attempt["score"]
    assert all(TIME.fullmatch(row[name]) for row in found for name in ("occurred_at", "recorded_at"))
    assert [row["recorded_at"] for row in found] == sorted(row["recorded_at"] for row in found)


def test_progress_of_one_course_with_semicolons_and_no_mark(owner: Client, recorded: Recorded) -> None:
    body = {
        "type": "learner_progress",
        "filters": {"course_id": recorded.course_id},
        "format": {"delimiter": ";", "bom": False},
    }
    job = completed(owner, body)
    assert job["filters"] == {
        "from": None, "to": None, "course_id": recorded.course_id, "learner_ids": None
    }  # fmt: skip
    file = fetched(owner, job)
    assert file.startswith(b"learner_id;course_id;")
    (row,) = [row for row in rows(file, ";") if row["learner_id"] == recorded.learner_id]
    assert row["course_id"] == recorded.course_id
    assert int(row["attempts"]) >= 1
    assert {one["course_id"] for one in rows(file, ";")} == {recorded.course_id}


def test_a_span_and_a_course_select_the_rows_in_their_order(owner: Client, stored: Stored) -> None:
    begin = datetime(2021, 5, 1, 12, tzinfo=UTC)
    made = [stored.attempt(n, begin + timedelta(hours=n)) for n in range(48)]
    span = {"from": "2021-05-01T14:00:00+02:00", "to": "2021-05-03T00:00:00Z"}
    job = completed(owner, {"type": "activity", "filters": span})
    assert [row["attempt_id"] for row in rows(fetched(owner, job))] == made[:36]
    assert job["filters"] == {
        "from": "2021-05-01T12:00:00Z", "to": "2021-05-03T00:00:00Z", "course_id": None, "learner_ids": None
    }  # fmt: skip
    one = completed(owner, {"type": "activity", "filters": {**span, "course_id": f"crs_{1:026}"}})
    assert [row["attempt_id"] for row in rows(fetched(owner, one))] == made[1:36:2]
    (first, *_) = rows(fetched(owner, one))
    assert (first["occurred_at"], first["local_date"]) == ("2021-05-01T22:30:00Z", "2021-05-02")


def test_the_link_is_fresh_short_lived_and_ours_alone(owner: Client, local_cloud: LocalCloud) -> None:
    job = completed(owner, {"type": "learner_progress"})
    told = owner.get(f"{EXPORTS}/{job['id']}/download?redirect=false")
    assert told.status == 200
    link = told.body["data"]
    lives = datetime.fromisoformat(link["expires_at"]) - datetime.now(UTC)
    assert timedelta(minutes=4) < lives <= timedelta(minutes=5)
    with urlopen(link["url"], timeout=10) as response:
        name = f"talktiko-learner-progress-{job['created_at'][:10]}-{job['id']}.csv"
        assert response.headers["Content-Disposition"] == f'attachment; filename="{name}"'
        assert len(response.read()) == job["size_bytes"]
    bare = urlsplit(link["url"])._replace(query="").geturl()
    assert status_of(bare) == 403
    assert status_of(link["url"].replace("learner-progress", "other-name")) == 403
    assert "X-Amz" not in json.dumps(owner.get(EXPORTS).body)

    logs = local_cloud.client("logs").filter_log_events(logGroupName="/aws/lambda/talktiko-local")["events"]
    lines = [line["message"] for line in logs if "export.downloaded" in line["message"]]
    assert any(job["id"] in line and "token_id" in line and "member_id" in line for line in lines)
    assert not any("X-Amz" in line["message"] for line in logs)


def test_what_was_made_is_told_as_an_event_with_our_own_path(owner: Client, stored: Stored) -> None:
    job = completed(owner, {"type": "learner_progress"})
    (event,) = [one for one in stored.events("export.completed") if one["data"]["export_id"] == job["id"]]
    assert event["data"] == {
        "export_id": job["id"],
        "type": "learner_progress",
        "rows": job["rows"],
        "size_bytes": job["size_bytes"],
        "download_path": f"{EXPORTS}/{job['id']}/download",
    }


def test_only_who_may_sees_exports(owner: Client, stranger: Client, learner: Client) -> None:
    job = completed(owner, {"type": "learner_progress"})
    path = f"{EXPORTS}/{job['id']}"
    for target in (path, f"{path}/download", f"{EXPORTS}/exp_{'0' * 26}", f"{EXPORTS}/COUNT"):
        assert stranger.get(target).status == 404
    assert job["id"] not in [row["id"] for row in stranger.rows(EXPORTS)]
    for target in (EXPORTS, path, f"{path}/download"):
        refused = learner.get(target)
        assert (refused.status, refused.body["ability"]) == (403, "exports:read")
    refused = learner.call("POST", EXPORTS, {"type": "activity"})
    assert (refused.status, refused.body["ability"]) == (403, "exports:write")


def test_a_key_asks_for_one_export_however_often_it_is_sent(owner: Client) -> None:
    key = secrets.token_hex(8)

    def ask(_: int) -> Answer:
        return owner.call("POST", EXPORTS, {"type": "learner_progress"}, Idempotency_Key=key)

    with ThreadPoolExecutor(3) as threads:
        answers = list(threads.map(ask, range(3)))
    again = ask(0)
    assert again.headers["idempotent-replayed"] == "true"
    assert {one.body["data"]["id"] for one in [*answers, again] if one.status == 201} == {
        again.body["data"]["id"]
    }
    final(owner, again.body["data"]["id"])


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"type": "everything"}, "type"),
        ({"type": "activity", "filters": {"from": "yesterday"}}, "filters.from"),
        ({"type": "activity", "filters": {"from": "2021-01-01T00:00:00Z"}}, "filters.to"),
        ({"type": "activity", "filters": {"course_id": f"lsn_{'0' * 26}"}}, "filters.course_id"),
        ({"type": "learner_progress", "filters": {"to": "2021-01-01T00:00:00Z"}}, "filters.to"),
        ({"type": "activity", "format": {"delimiter": "|"}}, "format.delimiter"),
    ],
)
def test_what_is_wrong_is_said_before_a_job_is_queued(owner: Client, body: Any, field: str) -> None:
    refused = owner.call("POST", EXPORTS, body)
    assert refused.status == 422
    assert list(refused.body["errors"]) == [field]


def test_the_list_is_newest_first_in_pages_both_ways(owner: Client) -> None:
    made = [completed(owner, {"type": "learner_progress"})["id"] for _ in range(3)]
    everything = [row["id"] for row in owner.rows(EXPORTS)]
    assert everything[:3] == made[::-1]
    pages = list(owner.pages(f"{EXPORTS}?per_page=2"))
    assert [row["id"] for page in pages for row in page.body["data"]] == everything
    second = pages[1].body["links"]
    assert owner.get(second["prev"]).body["data"] == pages[0].body["data"]
    assert owner.get(f"{EXPORTS}?per_page=2&page=2").body["data"] == pages[1].body["data"]


def test_only_so_many_are_unfinished_as_the_plan_allows_however_many_ask_at_once(
    owner: Client, stored: Stored, local_cloud: LocalCloud
) -> None:
    lambdas = local_cloud.client("lambda")
    (source,) = lambdas.list_event_source_mappings(FunctionName="talktiko-local-make-export")[
        "EventSourceMappings"
    ]
    lambdas.update_event_source_mapping(UUID=source["UUID"], Enabled=False)
    try:
        with ThreadPoolExecutor(6) as threads:
            answers = list(
                threads.map(lambda _: owner.call("POST", EXPORTS, {"type": "learner_progress"}), range(6))
            )
        made = [one.body["data"]["id"] for one in answers if one.status == 201]
        refused = [one for one in answers if one.status != 201]
        assert len(made) <= 5
        assert {one.status for one in refused} == {409}
        told = owner.call("POST", EXPORTS, {"type": "learner_progress"})
        while told.status == 201:
            made.append(told.body["data"]["id"])
            told = owner.call("POST", EXPORTS, {"type": "learner_progress"})
        assert len(made) == 5
        assert (told.status, int(told.headers["retry-after"]) > 0) == (409, True)
        assert told.body["detail"].startswith("On your plan at most 5 exports may be unfinished")
        waiting = owner.get(f"{EXPORTS}/{made[0]}/download")
        assert (waiting.status, waiting.headers["retry-after"]) == (409, "5")
        assert "is queued" in waiting.body["detail"]
    finally:
        lambdas.update_event_source_mapping(UUID=source["UUID"], Enabled=True)
    assert {final(owner, one)["status"] for one in made} == {"completed"}
    completed(owner, {"type": "learner_progress"})


def test_a_job_whose_worker_died_is_made_by_another(owner: Client, stored: Stored) -> None:
    job = completed(owner, {"type": "learner_progress"})
    stored.set(job["id"], status="running", claim="dead", claimed_until="2026-01-01T00:00:00.000Z")
    stored.set("COUNT", unfinished=1)
    stored.make_overdue(job["id"])
    stored.sweep()
    assert final(owner, job["id"])["status"] == "completed"
    assert stored.job("COUNT")["unfinished"] == {"N": "0"}
    assert stored.job(job["id"])["tries"] == {"N": "2"}


@pytest.mark.proof
def test_a_deployed_worker_that_is_killed_at_part_boundaries_leaves_the_same_file(
    owner: Client, stored: Stored, local_cloud: LocalCloud
) -> None:
    """Rows are few and wide: 28 MB, in parts of 8 MiB."""
    day = datetime(2023, 3, 3, tzinfo=UTC)
    stored.attempts(9000, day, item_type={"S": "cloze " * 500})
    body = {"type": "activity", "filters": {"from": "2023-03-03T00:00:00Z", "to": "2023-03-04T00:00:00Z"}}

    def finished(export_id: str) -> dict[str, Any]:
        def read() -> dict[str, Any] | None:
            job: dict[str, Any] = owner.get(f"{EXPORTS}/{export_id}").body["data"]
            return None if job["status"] in UNFINISHED else job

        found: dict[str, Any] = wait_until(read, 180)
        return found

    uninterrupted = finished(requested(owner, body))
    export_id = requested(owner, body)
    for parts in (1, 2):
        deadline = time.monotonic() + 180
        while int(stored.job(export_id)["parts"]["N"]) < parts:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        processes = workers(local_cloud.cloud, "talktiko-local-make-export")
        assert processes
        for process in processes:
            os.kill(process, signal.SIGKILL)
        assert stored.job(export_id)["status"] == {"S": "running"}, "it was killed in time"
        stored.set(export_id, claimed_until="2026-01-01T00:00:00.000Z")
        stored.make_overdue(export_id)
        stored.sweep()
    job = finished(export_id)
    assert (job["status"], job["rows"]) == ("completed", 9000)
    assert (job["sha256"], job["size_bytes"]) == (uninterrupted["sha256"], uninterrupted["size_bytes"])
    file = fetched(owner, job)
    assert hashlib.sha256(file).hexdigest() == job["sha256"]
    assert len({row["attempt_id"] for row in rows(file)}) == 9000


def test_a_job_that_somebody_has_is_left_to_them(owner: Client, stored: Stored) -> None:
    job = completed(owner, {"type": "learner_progress"})
    stored.set(job["id"], status="running", claim="alive", claimed_until="2999-01-01T00:00:00.000Z")
    stored.set("COUNT", unfinished=1)
    stored.make_overdue(job["id"])
    stored.sweep()
    time.sleep(2)
    assert owner.get(f"{EXPORTS}/{job['id']}").body["data"]["status"] == "running"
    stored.set(job["id"], claimed_until="2026-01-01T00:00:00.000Z")
    stored.make_overdue(job["id"])
    stored.sweep()
    assert final(owner, job["id"])["status"] == "completed"


def test_a_job_that_keeps_failing_says_so_and_an_event_does(owner: Client, stored: Stored) -> None:
    recorded_at = datetime(2022, 2, 2, tzinfo=UTC)
    stored.attempt(99, recorded_at, score={"S": "not a number"})
    span = {"from": "2022-02-02T00:00:00Z", "to": "2022-02-03T00:00:00Z"}
    export_id = requested(owner, {"type": "activity", "filters": span})
    wait_until(lambda: stored.job(export_id)["tries"] == {"N": "1"})
    stored.set(export_id, tries=4)
    job = final(owner, export_id)
    assert job["status"] == "failed"
    assert "failed on our side" in job["error"]
    assert job["download_url"] is job["size_bytes"] is None
    refused = owner.get(f"{EXPORTS}/{export_id}/download")
    assert (refused.status, refused.body["detail"]) == (409, "This export has no file: it is failed.")
    (event,) = [one for one in stored.events("export.failed") if one["data"]["export_id"] == export_id]
    assert event["data"] == {"export_id": export_id, "type": "activity", "error": job["error"]}


def test_a_file_past_its_time_is_gone_whether_it_was_removed_or_not(owner: Client, stored: Stored) -> None:
    job = completed(owner, {"type": "learner_progress"})
    stored.set(job["id"], file_expires_at="2026-01-01T00:00:00.000Z")
    gone = owner.get(f"{EXPORTS}/{job['id']}/download")
    assert (gone.status, "has expired" in gone.body["detail"]) == (404, True)
    shown = owner.get(f"{EXPORTS}/{job['id']}").body["data"]
    assert (shown["status"], shown["download_url"]) == ("completed", None)
