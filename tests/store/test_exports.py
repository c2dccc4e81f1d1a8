"""Exports by a worker that may die before any of its calls, on a real DynamoDB, SQS and S3."""

import gzip
import hashlib
import re
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from chalicelib.exports import files, making
from chalicelib.exports.worker import make_export, sweep_exports
from tests.store.conftest import Died, System
from tests.store.exporting import DAY, EXPORTS, SPAN, School, deaths, new_school, rows

pytestmark = pytest.mark.usefixtures("empty_queues")

PART = 20_000
"""S3 wants 5 MiB, the local one takes less: so a few hundred rows are three parts."""
NOTED = {
    "UpdateItem", "CreateMultipartUpload", "UploadPart", "ListParts", "CompleteMultipartUpload", "PutObject",
    "GetObject", "TransactWriteItems", "SendMessageBatch", "DeleteItem",
}  # fmt: skip
"""The calls that change something, or that only whoever goes on makes."""


@pytest.fixture
def school(system: System, monkeypatch: pytest.MonkeyPatch) -> School:
    monkeypatch.setattr(files, "PART_BYTES", PART)
    monkeypatch.setattr(making, "ROWS_AT_ONCE", 100)
    return new_school(system)


@pytest.mark.usefixtures("empty_queues")
def test_a_job_whose_message_was_lost_is_woken_and_made(school: School) -> None:
    system, export_id = school.system, school.ask(type="activity")
    assert system.messages("exports"), "which nobody gets"
    system.tick(sweep_exports)
    assert export_id not in repr(system.messages("exports")), "it is not overdue yet"
    system.later(3600)
    system.tick(sweep_exports)
    school.work()
    assert school.shown(export_id)["status"] == "completed"


@pytest.mark.parametrize(
    ("kind", "compressed", "count"),
    [
        pytest.param("activity", False, 320, marks=pytest.mark.proof),
        pytest.param("activity", True, 800, marks=pytest.mark.proof),
        ("completions", False, 320),
    ],
)
def test_a_worker_that_dies_before_any_call_leaves_the_same_file_byte_for_byte(
    school: School, monkeypatch: pytest.MonkeyPatch, kind: str, compressed: bool, count: int
) -> None:
    monkeypatch.setattr(files, "PART_BYTES", PART if kind == "activity" and not compressed else 8000)
    school.write(school.attempts(count) if kind == "activity" else school.completions(count))
    wish = {"type": kind, "filters": SPAN, "format": {"gzip": compressed}}
    uninterrupted = school.until_done(school.ask(**wish))
    expected = school.file(uninterrupted)
    assert uninterrupted["rows"] == count
    assert len(rows(gzip.decompress(expected) if compressed else expected)) == count
    assert len(school.system.calls.of("UploadPart")) >= 3, "parts"
    for dying in deaths(school.system, NOTED):
        export_id = school.ask(**wish)
        messages = school.system.messages("exports")
        dying(lambda messages=messages: school.system.work(make_export, messages))  # type: ignore[misc]
        job = school.until_done(export_id)
        assert (job["status"], job["rows"]) == ("completed", count), job
        file = school.file(job)
        assert file == expected
        assert (job["sha256"], job["size_bytes"]) == (hashlib.sha256(file).hexdigest(), len(file))
        assert job["sha256"] == uninterrupted["sha256"]


def test_what_changes_while_a_worker_dies_is_told_once_or_not_at_all(school: School) -> None:
    """Whoever is there from beginning to end has one row, wherever the workers died."""
    always, goes, comes = range(100, 400), range(30), range(400, 430)
    school.write(school.progress(always))
    for number, dying in enumerate(deaths(school.system, {"UploadPart", "UpdateItem"})):
        school.write(school.progress(goes))
        export_id = school.ask(type="learner_progress")
        messages = school.system.messages("exports")
        dying(lambda messages=messages: school.system.work(make_export, messages))  # type: ignore[misc]
        school.write(school.progress(goes), delete=True)
        school.write(school.progress(comes))
        job = school.until_done(export_id)
        found = [row["learner_id"] for row in rows(school.file(job))]
        assert len(found) == len(set(found)) == job["rows"], number
        assert {f"mem_{one:026}" for one in always} <= set(found)
        assert job["cut_off_at"] is not None
        school.write(school.progress(comes), delete=True)


def test_a_run_that_comes_to_its_end_is_gone_on_with_by_the_next(
    school: School, monkeypatch: pytest.MonkeyPatch
) -> None:
    school.write(school.attempts(520))
    uninterrupted = school.until_done(school.ask(type="activity", filters=SPAN))
    passed = iter(range(0, 10**6, 90))
    monkeypatch.setattr(making, "time", SimpleNamespace(monotonic=lambda: next(passed)))
    export_id, runs = school.ask(type="activity", filters=SPAN), 0
    while school.shown(export_id)["status"] != "completed":
        (message,) = school.system.messages("exports")
        school.system.work(make_export, [message])
        runs += 1
        shown = school.shown(export_id)
        assert shown["rows"] <= 520
    assert runs >= 2, "of 270 seconds each"
    assert school.file(school.shown(export_id)) == school.file(uninterrupted)
    assert school.shown(export_id)["sha256"] == uninterrupted["sha256"]


@pytest.mark.parametrize("kind", ["webhook_deliveries", "cefr"])
def test_the_other_types_are_files_too(school: School, kind: str) -> None:
    hook = {"url": "http://127.0.0.1:9999/", "events": ["export.*"]}
    made = school.system.call("POST", "/api/integrations/webhooks", hook, token=school.token)
    assert made.status == 201
    school.write(school.progress(range(3)))
    school.write([{**one, "sk": {"S": "LEARNER"}} for one in _learners(3)])
    job = school.until_done(school.ask(type=kind))
    assert job["status"] == "completed", job
    assert school.file(job).startswith(b"\xef\xbb\xbf")


def _learners(count: int) -> list[dict[str, Any]]:
    return [
        {"pk": {"S": f"mem_{number:026}"}, "institution_id": {"S": "ins"}, "version": {"N": "1"}}
        for number in range(count)
    ]


# Cancelled and removed


@pytest.mark.usefixtures("empty_queues")
def test_an_export_that_is_cancelled_while_it_runs_leaves_nothing(school: School) -> None:
    school.write(school.attempts(320))
    export_id = school.ask(type="activity", filters=SPAN)
    parts = 0

    def cancel_at_the_second_part(name: str, _: Any) -> bool:
        nonlocal parts
        parts += name == "UploadPart"
        if name == "UploadPart" and parts == 2:
            school.system.calls.dies_before = None
            gone = school.system.call("DELETE", f"{EXPORTS}/{export_id}", token=school.token)
            assert gone.status == 204
        return False

    school.system.calls.dies_before = cancel_at_the_second_part
    school.work()
    job = school.shown(export_id)
    assert (job["status"], job["download_url"], job["finished_at"] is not None) == ("cancelled", None, True)
    assert (school.uploads(), school.keys()) == ([], set())
    refused = school.get(f"/{export_id}/download")
    assert (refused.status, refused.body["detail"]) == (409, "This export has no file: it is cancelled.")
    school.system.later(3600)
    school.system.tick(sweep_exports)
    assert school.system.messages("exports") == []
    assert school.until_done(school.ask(type="activity", filters=SPAN))["status"] == "completed"


def test_an_export_whose_worker_died_is_cancelled_with_its_parts(school: School) -> None:
    school.write(school.attempts(320))
    export_id = school.ask(type="activity", filters=SPAN)
    parts = 0

    def dies_at_the_third_part(name: str, _: Any) -> bool:
        nonlocal parts
        parts += name == "UploadPart"
        return parts == 3

    school.system.calls.dies_before = dies_at_the_third_part
    with pytest.raises(Died):
        school.work()
    school.system.calls.dies_before = None
    assert len(school.uploads()) == 1
    assert school.system.call("DELETE", f"{EXPORTS}/{export_id}", token=school.token).status == 204
    assert (school.uploads(), school.keys()) == ([], set())


def test_a_finished_export_is_removed_with_its_file(school: School) -> None:
    job = school.until_done(school.ask(type="activity", filters=SPAN))
    assert school.keys() == {
        f"{school.institution_id}/{job['id']}.csv", f"{school.institution_id}/{job['id']}.manifest.json"
    }  # fmt: skip
    manifest = school.get(f"/{job['id']}/manifest").body["data"]
    assert (manifest["sha256"], manifest["rows"], manifest["mode"]) == (job["sha256"], 0, "full")
    removed = [
        school.system.call("DELETE", f"{EXPORTS}/{job['id']}", token=school.token).status for _ in range(2)
    ]
    assert removed == [204, 404]
    assert school.keys() == set()
    assert job["id"] not in [one["id"] for one in school.get("").body["data"]]
    for path in (f"/{job['id']}", f"/{job['id']}/manifest", f"/{job['id']}/download"):
        assert school.get(path).status == 404


def test_of_two_workers_at_once_one_makes_the_file(school: School) -> None:
    school.write(school.attempts(320))
    export_id = school.ask(type="activity", filters=SPAN)
    (message,) = school.system.messages("exports")

    def second_worker(name: str, _: Any) -> bool:
        if name == "UploadPart":
            school.system.calls.dies_before = None
            school.system.work(make_export, [message])
        return False

    school.system.calls.dies_before = second_worker
    school.system.work(make_export, [message])
    school.system.work(make_export, [message])
    job = school.shown(export_id)
    assert (job["status"], job["rows"]) == ("completed", 320)
    assert len(school.system.calls.of("CreateMultipartUpload")) == 1


# What other products got wrong (cases of exports)


def test_exp_1_and_2_cells_that_must_be_quoted_or_neutralised_stand_so_in_the_file(school: School) -> None:
    (item,) = school.attempts(1)
    hostile = {"item_type": 'Ana "la Profe"', "skill": "a;b\r\nc", "cefr_level": "-2+3+cmd|' /C calc'!A0"}
    school.write([item | {name: {"S": text} for name, text in hostile.items()} | {"score": {"N": "-3.5"}}])
    file = school.file(school.until_done(school.ask(type="activity", filters=SPAN)))
    assert b'"Ana ""la Profe"""' in file
    assert b'"a;b\r\nc"' in file
    (row,) = rows(file)
    assert row["cefr_level"] == "'" + hostile["cefr_level"]
    assert row["score"] == "-3.5"


def test_exp_3_a_file_begins_with_one_mark_however_often_it_was_gone_on_with(school: School) -> None:
    school.write([one | {"item_type": {"S": "Übung"}} for one in school.attempts(320)])
    for dying in deaths(school.system, {"UploadPart"}):
        export_id = school.ask(type="activity", filters=SPAN)
        messages = school.system.messages("exports")
        dying(lambda messages=messages: school.system.work(make_export, messages))  # type: ignore[misc]
        file = school.file(school.until_done(export_id))
        assert file.startswith(b"\xef\xbb\xbfattempt_id,")
        assert file.count(b"\xef\xbb\xbf") == 1
        assert "Übung" in file.decode("utf-8-sig")
    without = school.until_done(school.ask(type="activity", filters=SPAN, format={"bom": False}))
    assert school.file(without) == file.removeprefix(b"\xef\xbb\xbf")


def test_exp_4_who_is_there_throughout_is_told_once_whoever_comes_and_goes(school: School) -> None:
    always, goes, comes = range(100, 900), range(50), range(900, 950)
    school.write(school.progress(always))
    school.write(school.progress(goes))
    export_id, pages = school.ask(type="learner_progress"), 0

    def members_change(name: str, _: Any) -> bool:
        nonlocal pages
        pages += name == "Query"
        if name == "Query" and pages == 3:
            school.write(school.progress(goes), delete=True)
            school.write(school.progress(comes))
        return False

    school.system.calls.dies_before = members_change
    job = school.until_done(export_id)
    found = [row["learner_id"] for row in rows(school.file(job))]
    assert len(found) == len(set(found))
    assert {f"mem_{one:026}" for one in always} <= set(found)
    assert job["cut_off_at"] <= job["finished_at"]


def test_exp_5_a_presigned_url_is_told_to_who_downloads_and_stored_nowhere(school: School) -> None:
    job = school.until_done(school.ask(type="activity", filters=SPAN))
    events = school.system.cloud.client("dynamodb").query(
        TableName="talktiko-local-events",
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": f"{school.institution_id}#{school.system.now:%Y-%m-%d}"}},
    )["Items"]
    told = repr([events, job, school.get("").body])
    assert f"{EXPORTS}/{job['id']}/download" in told
    assert "X-Amz" not in told
    school.system.later(86_400)
    again = school.get(f"/{job['id']}/download")
    assert (again.status, "X-Amz-Expires=300" in again.headers["location"]) == (302, True)


def test_exp_6_every_time_of_every_type_has_one_format(school: School) -> None:
    school.write(school.attempts(3))
    school.write(school.progress(range(3)))
    school.write(school.completions(3))
    (first, *_) = rows(school.file(school.until_done(school.ask(type="activity", filters=SPAN))))
    assert (first["occurred_at"], first["local_date"]) == ("2026-05-01T22:30:00Z", "2026-05-02")
    for kind, filters in (("activity", SPAN), ("learner_progress", {}), ("completions", SPAN)):
        for row in rows(school.file(school.until_done(school.ask(type=kind, filters=filters)))):
            times = [cell for name, cell in row.items() if name.endswith("_at") and cell]
            assert times
            assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", one) for one in times)
    in_berlin = school.ask(type="activity", filters=SPAN, format={"time_zone": "Europe/Berlin"})
    (first, *_) = rows(school.file(school.until_done(in_berlin)))
    assert first["occurred_at"] == "2026-05-02T00:30:00+02:00"


def test_incremental_files_put_together_are_the_whole_one(school: School) -> None:
    """Each goes on where the one before ended: nothing is missed and nothing is told twice."""
    system, since, found = school.system, "2026-05-01T00:00:00Z", b""
    school.write(school.attempts(300))
    system.now = DAY + timedelta(seconds=180)
    for seconds in (0, 70, 0, 90, 200):
        system.later(seconds)
        job = school.until_done(school.ask(type="activity", filters={"since": since}))
        assert job["mode"] == "incremental"
        found += school.file(job).partition(b"\r\n")[2]
        since = job["next_since"]
    whole = school.file(school.until_done(school.ask(type="activity", filters=SPAN | {"to": since})))
    assert whole.partition(b"\r\n")[2] == found
    assert found.count(b"\r\n") == 300
