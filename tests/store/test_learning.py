"""A learner's numbers after a history of answers: what they are, what they cost, and that none is lost."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from ulid import ULID

from tests.store.conftest import System
from tests.store.test_main_job import a_newcomer, sign_in

pytestmark = pytest.mark.usefixtures("school", "empty_queues")

WRITES = {"TransactWriteItems", "PutItem", "UpdateItem", "DeleteItem"}


@pytest.fixture
def owner(system: System) -> str:
    return sign_in(system, "owner@lingua-school.example", "demo-owner-1")


@pytest.fixture
def newcomer(system: System) -> str:
    """A learner without any history, in the public institution: its time zone is UTC."""
    system.now = datetime(2026, 11, 25, 12, tzinfo=UTC)  # a Wednesday
    return a_newcomer(system)


def get(system: System, path: str, token: str) -> Any:
    answer = system.call("GET", path, token=token)
    assert answer.status == 200, answer.body
    return answer.body["data"]


def choices(system: System, token: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = get(system, "/api/trainingItems?type=multiple_choice&per_page=100", token)
    return found


def answer(system: System, token: str, item: dict[str, Any], given: object = "a", **more: Any) -> Any:
    sent = system.call(
        "POST", f"/api/trainingItems/{item['id']}/attempts",
        {"answer": given, "duration_ms": 30_000, **more}, token=token,
    )  # fmt: skip
    assert sent.status == 201, sent.body
    return sent.body["data"]


def right(system: System, token: str, item: dict[str, Any], **more: Any) -> Any:
    """Answer as the answer to a first try tells."""
    told = answer(system, token, item, None, **more)
    return answer(system, token, item, told["attempt"]["correct_answer"], **more)


def att() -> str:
    return f"att_{ULID()}"


def member_of(system: System, token: str) -> str:
    return str(get(system, "/api/gamification/stats", token)["learner_id"])


def test_history_streak_and_xp_follow_the_answers(system: System, newcomer: str) -> None:
    items = choices(system, newcomer)
    for back in (3, 1, 0):
        when = (system.now - timedelta(days=back)).isoformat()
        right(system, newcomer, items[0], occurred_at=when)
    history = get(system, "/api/progress-history", newcomer)
    assert len(history["periods"]) == 30
    assert [p["attempts"] for p in history["periods"][-4:]] == [2, 0, 2, 2]
    assert history["total"]["active_days"] == 3
    assert history["total"]["study_seconds"] == 6 * 30
    assert history["total"]["xp"] == 3 * items[0]["points"]

    stats = get(system, "/api/gamification/stats", newcomer)
    assert stats["xp"] == 3 * items[0]["points"]
    assert stats["xp_this_week"] == 2 * items[0]["points"]  # since Monday
    assert (stats["streak"]["current_days"], stats["streak"]["longest_days"]) == (2, 2)
    unlocked = {one["code"] for one in stats["achievements"] if one["unlocked_at"]}
    assert unlocked == {"first_answer"}


@pytest.mark.parametrize(("granularity", "periods"), [("week", 5), ("month", 2)])
def test_history_by_week_and_month_adds_up_to_the_same(
    system: System, newcomer: str, granularity: str, periods: int
) -> None:
    items = choices(system, newcomer)
    for back in (0, 20, 28):
        answer(system, newcomer, items[back % 3], occurred_at=(system.now - timedelta(days=back)).isoformat())
    path = f"/api/progress-history?from=2026-10-27&to=2026-11-25&granularity={granularity}"
    history = get(system, path, newcomer)
    assert len(history["periods"]) == periods
    assert sum(p["attempts"] for p in history["periods"]) == history["total"]["attempts"] == 3
    assert history["periods"][0]["from"] == "2026-10-27"
    assert history["periods"][-1]["to"] == "2026-11-25"


@pytest.mark.parametrize(
    "query",
    [
        "from=2026-11-25&to=2026-11-24",
        "from=2025-01-01&to=2026-11-25",
        "from=yesterday",
        "granularity=hour",
        "from=0001-01-01&granularity=month",
        "to=0001-01-01",
        "to=9999-12-31&granularity=week",
    ],
)
def test_a_range_that_is_none_is_refused(system: System, newcomer: str, query: str) -> None:
    refused = system.call("GET", f"/api/progress-history?{query}", token=newcomer)
    assert refused.status == 422, refused.body


def test_a_day_is_the_learners_own(system: System, owner: str) -> None:
    """Kolkata is ahead of UTC: 18:40Z is the next day there, for whoever reads it."""
    from chalicelib.institutions import models

    learner = sign_in(system, "learner@lingua-school.example", "demo-learner-1")
    member = member_of(system, learner)
    item = models.MemberItem.get("ins_00000000000000000000000001", member)
    before, item.time_zone = item.time_zone, "Asia/Kolkata"
    item.save()
    try:
        system.now = datetime(2026, 6, 3, 6, tzinfo=UTC)
        exercise = choices(system, learner)[0]
        answer(system, learner, exercise, occurred_at="2026-06-01T18:40:00Z")
        answer(system, learner, exercise, occurred_at="2026-06-03T05:00:00Z")
        for token, suffix in ((learner, ""), (owner, f"&learner_id={member}")):
            history = get(system, f"/api/progress-history?from=2026-06-01&to=2026-06-03{suffix}", token)
            assert [p["attempts"] for p in history["periods"]] == [0, 1, 1]
            assert history["time_zone"] == "Asia/Kolkata"
            stats = get(system, f"/api/gamification/stats?{suffix.removeprefix('&')}", token)
            assert stats["streak"]["current_days"] == 2
    finally:
        item.time_zone = before
        item.save()


def test_devices_at_once_lose_nothing(system: System, newcomer: str) -> None:
    """One that is told to come back (409) does, with the same `attempt_id`."""
    items = choices(system, newcomer)[:4]
    solutions = [answer(system, newcomer, item, None)["attempt"]["correct_answer"] for item in items]

    def from_a_device(number: int) -> None:
        body = {"answer": solutions[number % 4], "duration_ms": 1, "attempt_id": att()}
        url = f"/api/trainingItems/{items[number % 4]['id']}/attempts"
        while (sent := system.call("POST", url, body, token=newcomer)).status == 409:
            assert sent.headers["retry-after"] == "1"
        assert sent.status == 201, sent.body

    with ThreadPoolExecutor(6) as devices:
        done = list(devices.map(from_a_device, range(16)))
    stats = get(system, "/api/gamification/stats", newcomer)
    assert stats["answers"] == len(items) + len(done)
    assert stats["items_passed"] == len(items)
    assert stats["xp"] == sum(item["points"] for item in items)
    history = get(system, "/api/progress-history", newcomer)
    assert history["total"]["attempts"] == len(items) + len(done)


def test_enough_evidence_proves_a_level_once(system: System, newcomer: str) -> None:
    german = [item for item in choices(system, newcomer) if item["language"] == "de"]
    reports = []
    for day in range(40):
        for item in german:
            told = answer(system, newcomer, item, None)
            answer(system, newcomer, item, told["attempt"]["correct_answer"])
        system.later(86_400)
        reports.append(get(system, "/api/cefr/report?language=de", newcomer)["languages"][0]["skills"])
        if day == 1:
            break
    skills = {one["skill"]: one for one in reports[-1]}
    assert skills["speaking"]["status"] == "self_assessed"
    tried = max(skills.values(), key=lambda one: one["answers"])
    assert tried["level"] is None, "whoever says each time first that they do not know proves nothing"
    assert sum(chance["probability"] for chance in tried["probabilities"]) == pytest.approx(1, abs=0.01)


def test_right_answers_prove_a_level(system: System, newcomer: str) -> None:
    items = [
        item
        for kind in ("multiple_choice", "cloze", "matching", "translation", "ordering")
        for item in get(system, f"/api/trainingItems?type={kind}&per_page=100", newcomer)
        if item["language"] == "de"
    ]
    skill = max({item["skill"] for item in items}, key=lambda one: sum(i["skill"] == one for i in items))
    practised = [item for item in items if item["skill"] == skill][:12]
    solutions = {
        item["id"]: answer(system, newcomer, item, None)["attempt"]["correct_answer"] for item in practised
    }
    reached = []
    for _ in range(8):
        system.later(86_400)
        for item in practised:
            changes = answer(system, newcomer, item, solutions[item["id"]])["changes"]
            reached += [changes["level_reached"]] if changes["level_reached"] else []
    report = get(system, "/api/cefr/report", newcomer)["languages"][0]
    found = next(one for one in report["skills"] if one["skill"] == skill)
    assert found["status"] == "proven"
    assert found["can_do"]
    assert reached == sorted(set(reached)), "each level is told once"
    assert found["level_reached"] == reached[-1]
    insights = get(system, "/api/learning-insights", newcomer)
    assert insights["weakest_skills"][-1]["rate"] > 0.5
    assert insights["active_days"] == 9
    assert sum(hour["study_seconds"] for hour in insights["study_hours"]) == insights["study_seconds"]


def test_what_was_not_known_comes_up_for_review_first(system: System, newcomer: str) -> None:
    unknown, known = choices(system, newcomer)[:2]
    solution = answer(system, newcomer, known, None)["attempt"]["correct_answer"]
    system.later(86_400)
    answer(system, newcomer, unknown, None)
    answer(system, newcomer, known, solution)
    assert get(system, "/api/reviews/due", newcomer) == []
    system.later(30 * 86_400)
    due = get(system, "/api/reviews/due", newcomer)
    assert due[0]["item_id"] == unknown["id"]
    assert {one["item_id"] for one in due} == {unknown["id"], known["id"]}
    assert due == sorted(due, key=lambda one: one["due_at"])
    assert get(system, "/api/learning-insights", newcomer)["reviews_due"] == 2
    pages = system.call("GET", "/api/reviews/due?per_page=1", token=newcomer).body
    following = system.call("GET", pages["links"]["next"].partition(".org")[2], token=newcomer).body
    assert [pages["data"][0]["item_id"], following["data"][0]["item_id"]] == [one["item_id"] for one in due]


def test_an_import_tells_what_became_of_each_row(system: System, owner: str) -> None:
    learner = sign_in(system, "learner@lingua-school.example", "demo-learner-1")
    member = member_of(system, learner)
    item = choices(system, owner)[0]
    before = get(system, "/api/gamification/stats", learner)["answers"]

    def row(**changed: Any) -> dict[str, Any]:
        return {"attempt_id": att(), "learner_id": member, "item_id": item["id"], "answer": "a",
                "duration_ms": 1000, "occurred_at": "2022-03-01T10:00:00Z", **changed}  # fmt: skip

    rows = [
        row(),
        row(occurred_at="2023-03-01T10:00:00Z"),
        row(answer=["a"]),
        row(occurred_at="2009-01-01T00:00:00Z"),
        row(item_id=f"itm_{ULID()}"),
        row(learner_id=f"mem_{ULID()}"),
    ]
    first = system.call("POST", "/api/progress/import", {"rows": rows}, token=owner)
    assert first.status == 200, first.body
    assert [one["status"] for one in first.body["data"]["rows"]] == ["recorded"] * 2 + ["refused"] * 4
    assert [sorted(one["errors"]) for one in first.body["data"]["rows"][2:4]] == [["answer"], ["occurred_at"]]
    assert [one["attempt_id"] for one in first.body["data"]["rows"]] == [one["attempt_id"] for one in rows]
    again = system.call("POST", "/api/progress/import", {"rows": rows}, token=owner).body["data"]
    assert (again["recorded"], again["duplicate"], again["refused"]) == (0, 2, 4)
    assert get(system, "/api/gamification/stats", learner)["answers"] == before + 2


def test_an_import_out_of_time_leaves_the_rest_for_another_request(
    system: System, owner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from chalicelib.learning import importing

    monkeypatch.setattr(importing, "TIME", timedelta(seconds=-1))
    member = member_of(system, sign_in(system, "learner@lingua-school.example", "demo-learner-1"))
    rows = [{"attempt_id": att(), "learner_id": member, "item_id": choices(system, owner)[0]["id"],
             "answer": "a", "duration_ms": 1, "occurred_at": "2025-01-01T00:00:00Z"}]  # fmt: skip
    told = system.call("POST", "/api/progress/import", {"rows": rows}, token=owner).body["data"]
    assert (told["not_processed"], told["rows"][0]["status"]) == (1, "not_processed")


@pytest.fixture
def course_to_read(system: System) -> dict[str, str]:
    """A public course of one lesson to read and one with an exercise."""
    from chalicelib.institutions.service import PUBLIC_INSTITUTION

    return publish_to_read(PUBLIC_INSTITUTION, system.now)


def publish_to_read(institution_id: str, now: datetime) -> dict[str, str]:
    from chalicelib.catalogue import models
    from chalicelib.catalogue.publishing import publish
    from chalicelib.catalogue.schemas import CourseContent

    item = {"content": {"type": "flashcard", "prompt": "Say it", "front": "house", "back": "das Haus"},
            "key": {"type": "flashcard"}, "cefr_level": "A1", "skill": "vocabulary"}  # fmt: skip
    lesson = {"title": "L", "intro": "Read this.", "can_do": "I can read this."}
    content = CourseContent.model_validate(
        {
            "slug": "to-read", "title": "To read", "description": "D", "language": "de", "taught_in": "en",
            "cefr_level": "A1",
            "lessons": [
                {**lesson, "slug": "reading", "trainings": []},
                {**lesson, "slug": "doing",
                 "trainings": [{"slug": "cards", "title": "C", "items": [{"slug": "house", "item": item}]}]},
            ],
        }
    )  # fmt: skip
    publish(content, institution_id, now)
    made = {"course": models.course_id(institution_id, "to-read")}
    for name, prefix in {"reading": "lsn", "doing": "lsn", "house": "itm"}.items():
        made[name] = models.part_id(prefix, institution_id, "to-read", name)
    return made


def test_a_lesson_to_read_is_completed_by_saying_so(
    system: System, newcomer: str, course_to_read: dict[str, str]
) -> None:
    url = f"/api/lessons/{course_to_read['reading']}/complete"
    first = system.call("POST", url, token=newcomer)
    assert first.status == 200, first.body
    system.later(60)
    assert system.call("POST", url, token=newcomer).body == first.body
    refused = system.call("POST", f"/api/lessons/{course_to_read['doing']}/complete", token=newcomer)
    assert refused.status == 409
    progress = get(system, f"/api/courses/{course_to_read['course']}/lesson-progress", newcomer)
    assert [(one["percent"], one["status"]) for one in progress] == [(100, "completed"), (0, "not_started")]
    done = answer(system, newcomer, {"id": course_to_read["house"]}, "good")["changes"]
    assert (done["lesson_completed"], done["course_completed"]) == (True, True)
    assert {"first_course"} <= set(done["achievements"])
    assert get(system, "/api/cefr/report", newcomer)["languages"] == [], "one's own word is no evidence"


READS = {
    "/api/progress-history?from=2026-10-27&to=2026-11-25": ["GetItem", "Query"],
    "/api/cefr/report": ["GetItem", "GetItem"],
    "/api/learning-insights": ["GetItem", "GetItem", "Query", "Query"],
    "/api/gamification/stats": ["GetItem", "GetItem", "Query"],
    "/api/reviews/due": ["GetItem", "Query", "BatchGetItem"],
}


def test_reads_cost_the_same_after_one_answer_and_after_many(system: System, newcomer: str) -> None:
    items = choices(system, newcomer)[:3]
    costs = []
    for history in (1, 40):
        for n in range(history):
            when = (system.now - timedelta(days=60 + n % 5)).isoformat()
            answer(system, newcomer, items[n % 3], occurred_at=when)
        calls = {}
        for path, expected in READS.items():
            system.calls.clear()
            get(system, path, newcomer)
            assert system.calls.names()[1:] == expected, path
            calls[path] = len(system.calls.names())
        costs.append(calls)
    assert costs[0] == costs[1]
