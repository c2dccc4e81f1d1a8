"""Answers over HTTP: graded, counted once, refused where they have no shape."""

import secrets
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from ulid import ULID

from tests.system.client import Client

Item = dict[str, Any]


@pytest.fixture
def newcomer(anyone: Client) -> Client:
    """A learner of the public institution who has done nothing yet."""
    account = {"email": f"{secrets.token_hex(6)}@example.org", "password": "correct horse", "name": "Ana"}
    assert anyone.call("POST", "/api/auth/sign-up", account).status == 201
    del account["name"]
    signed_in = anyone.call("POST", "/api/auth/sign-in", account)
    return Client(anyone.base_url, signed_in.body["data"]["token"])


@pytest.fixture(scope="session")
def items(learner: Client) -> dict[str, Item]:
    """One public item of each type."""
    course = next(c for c in learner.rows("/api/courses") if c["visibility"] == "public")
    found: dict[str, Item] = {}
    for item in learner.rows("/api/trainingItems?per_page=100"):
        if item["course_id"] == course["id"]:
            found.setdefault(item["type"], item)
    return found


def answer(client: Client, item: Item, given: object, **more: object) -> Any:
    return client.call(
        "POST", f"/api/trainingItems/{item['id']}/attempts", {"answer": given, "duration_ms": 900, **more}
    )


def progress(client: Client, item: Item, query: str = "") -> dict[str, Any]:
    rows = client.rows(f"/api/courses/{item['course_id']}/lesson-progress{query}")
    lesson: dict[str, Any] = next(row for row in rows if row["lesson_id"] == item["lesson_id"])
    return lesson


def test_the_course_has_every_type(items: dict[str, Item]) -> None:
    assert set(items) >= {
        "multiple_choice", "multiple_select", "cloze", "matching", "ordering", "translation",
    }  # fmt: skip


def test_a_newcomers_lessons_are_all_there_and_not_started(newcomer: Client, items: dict[str, Item]) -> None:
    lesson = progress(newcomer, items["cloze"])
    assert (lesson["status"], lesson["percent"], lesson["items_passed"]) == ("not_started", 0, 0)
    assert lesson["items_total"] >= 8


def test_i_dont_know_is_taken_and_earns_nothing(newcomer: Client, items: dict[str, Item]) -> None:
    for item in items.values():
        done = answer(newcomer, item, None)
        assert done.status == 201
        data = done.body["data"]
        assert (data["attempt"]["result"], data["attempt"]["score"], data["changes"]["xp"]) == (
            "incorrect",
            0,
            0,
        )
        assert data["attempt"]["correct_answer"]


def test_the_right_answer_that_was_told_is_right(newcomer: Client, items: dict[str, Item]) -> None:
    for item in items.values():
        told = answer(newcomer, item, None).body["data"]["attempt"]["correct_answer"]
        done = answer(newcomer, item, told).body["data"]
        assert (done["attempt"]["result"], done["changes"]["xp"]) == ("correct", item["points"])
        again = answer(newcomer, item, told).body["data"]
        assert again["changes"]["xp"] == 0
    assert done["changes"]["streak_days"] == 1


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        ("multiple_choice", "zz"),
        ("multiple_choice", ["a"]),
        ("multiple_choice", 1),
        ("multiple_select", ["a", "a"]),
        ("multiple_select", "a"),
        ("cloze", ["x"] * 13),
        ("cloze", "text"),
        ("matching", {"zz": "1"}),
        ("ordering", ["a"]),
        ("translation", ["a"]),
        ("translation", "x" * 2001),
        ("translation", {"a": {"b": {}}}),
    ],
)
def test_an_answer_without_shape_is_refused_and_counts_for_nothing(
    learner: Client, items: dict[str, Item], kind: str, given: object
) -> None:
    before = progress(learner, items[kind])
    refused = answer(learner, items[kind], given)
    assert refused.status == 422
    assert next(iter(refused.body["errors"])).partition(".")[0] == "answer"
    assert progress(learner, items[kind]) == before


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"duration_ms": -1}, "duration_ms"),
        ({"duration_ms": 1.5}, "duration_ms"),
        ({"occurred_at": "yesterday"}, "occurred_at"),
        ({"occurred_at": "2026-11-25T12:00:00"}, "occurred_at"),
        ({"occurred_at": (datetime.now(UTC) + timedelta(hours=1)).isoformat()}, "occurred_at"),
        ({"occurred_at": (datetime.now(UTC) - timedelta(days=91)).isoformat()}, "occurred_at"),
        ({"attempt_id": "mine"}, "attempt_id"),
        ({"learner_id": "me"}, "learner_id"),
        ({"score": 1}, "score"),
    ],
)
def test_a_field_that_breaks_a_rule_is_named(
    learner: Client, items: dict[str, Item], more: dict[str, object], field: str
) -> None:
    refused = answer(learner, items["multiple_choice"], "a", **more)
    assert (refused.status, list(refused.body["errors"])) == (422, [field])


def test_an_attempt_id_is_recorded_once(newcomer: Client, items: dict[str, Item]) -> None:
    item, own = items["cloze"], f"att_{ULID()}"
    right = answer(newcomer, item, None).body["data"]["attempt"]["correct_answer"]
    with ThreadPoolExecutor(6) as threads:
        answers = list(threads.map(lambda _: answer(newcomer, item, right, attempt_id=own), range(6)))
    assert {one.status for one in answers} <= {201, 409}
    recorded = [one.body["data"] for one in answers if one.status == 201]
    assert all(one == recorded[0] for one in recorded)
    assert recorded[0]["attempt"]["id"] == own
    assert recorded[0]["changes"]["xp"] == item["points"]
    other = answer(newcomer, item, ["x"] * len(right), attempt_id=own)
    assert (other.status, list(other.body["errors"])) == (422, ["attempt_id"])


def test_two_devices_at_once_lose_nothing(newcomer: Client, learner: Client, items: dict[str, Item]) -> None:
    course = items["cloze"]["course_id"]
    lesson = items["cloze"]["lesson_id"]
    todo = [
        item
        for training in learner.rows(f"/api/trainings?lesson={lesson}")
        for item in learner.rows(f"/api/trainingItems?training={training['id']}")
    ]
    right = [answer(newcomer, item, None).body["data"]["attempt"]["correct_answer"] for item in todo]

    def give(number: int) -> Any:
        while (done := answer(newcomer, todo[number], right[number])).status == 409:
            assert done.headers["retry-after"] == "1"
        return done

    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(give, range(len(todo))))
    assert [one.status for one in answers] == [201] * len(todo)
    assert sum(one.body["data"]["changes"]["lesson_completed"] for one in answers) == 1
    assert sum(one.body["data"]["changes"]["xp"] for one in answers) == sum(item["points"] for item in todo)
    rows = newcomer.rows(f"/api/courses/{course}/lesson-progress")
    done = next(row for row in rows if row["lesson_id"] == lesson)
    assert (done["status"], done["percent"], done["items_passed"]) == ("completed", 100, len(todo))


def test_an_instructor_records_for_a_learner_and_a_learner_for_nobody_else(
    instructor: Client, learner: Client, items: dict[str, Item]
) -> None:
    member = learner.get("/api/auth/me").body["data"]["member_id"]
    other = instructor.get("/api/auth/me").body["data"]["member_id"]
    done = answer(instructor, items["ordering"], None, learner_id=member)
    assert (done.status, done.body["data"]["attempt"]["learner_id"]) == (201, member)
    assert progress(instructor, items["ordering"], f"?learner_id={member}")["learner_id"] == member
    assert answer(learner, items["ordering"], None, learner_id=other).status == 404


def test_what_was_answered_stands_in_every_report(newcomer: Client, items: dict[str, Item]) -> None:
    item = items["multiple_choice"]
    told = answer(newcomer, item, None).body["data"]["attempt"]["correct_answer"]
    answer(newcomer, item, told)
    stats = newcomer.get("/api/gamification/stats").body["data"]
    assert (stats["xp"], stats["answers"], stats["streak"]["current_days"]) == (item["points"], 2, 1)
    history = newcomer.get("/api/progress-history?granularity=month").body["data"]
    assert (history["total"]["attempts"], history["total"]["xp"]) == (2, item["points"])
    (german,) = newcomer.get("/api/cefr/report").body["data"]["languages"]
    assert german["language"] == item["language"]
    skill = next(one for one in german["skills"] if one["skill"] == item["skill"])
    assert (skill["status"], skill["level"], skill["answers"]) == ("not_enough_evidence", None, 1)
    insights = newcomer.get("/api/learning-insights").body["data"]
    assert insights["active_days"] == 1
    assert newcomer.rows("/api/reviews/due?before=2199-01-01T00:00:00Z")[0]["item_id"] == item["id"]


def test_a_learner_appears_on_the_leaderboard_and_in_the_totals(
    newcomer: Client, items: dict[str, Item]
) -> None:
    item = items["multiple_choice"]
    told = answer(newcomer, item, None).body["data"]["attempt"]["correct_answer"]
    answer(newcomer, item, told)
    deadline = time.monotonic() + 60
    while (board := newcomer.get("/api/gamification/leaderboard").body["data"])["you"] is None:
        assert time.monotonic() < deadline, "the worker has not entered the learner"
        time.sleep(0.5)
    assert board["you"]["xp"] == item["points"]
    assert board["participants"] >= 1
    assert newcomer.get("/api/stats").body["data"]["learners"] >= 1
    hidden = newcomer.call("PUT", "/api/gamification/settings", {"leaderboards": False})
    assert hidden.status == 200
    assert newcomer.get("/api/gamification/leaderboard").body["data"]["you"] is None


def test_a_school_imports_what_its_learners_did_before(
    owner: Client, learner: Client, items: dict[str, Item]
) -> None:
    member = learner.get("/api/gamification/stats").body["data"]["learner_id"]

    def row(day: int, given: object) -> dict[str, object]:
        return {
            "attempt_id": f"att_{ULID()}",
            "learner_id": member,
            "item_id": items["cloze"]["id"],
            "answer": given,
            "duration_ms": 1000,
            "occurred_at": f"2024-05-{day:02}T10:00:00Z",
        }

    rows = [row(1, None), row(2, "no list")]
    told = owner.call("POST", "/api/progress/import", {"rows": rows})
    assert told.status == 200, told.body
    assert [one["status"] for one in told.body["data"]["rows"]] == ["recorded", "refused"]
    again = owner.call("POST", "/api/progress/import", {"rows": rows}).body["data"]
    assert (again["recorded"], again["duplicate"]) == (0, 1)
    month = owner.get(f"/api/progress-history?learner_id={member}&from=2024-05-01&to=2024-05-31")
    assert month.body["data"]["total"]["attempts"] == 1
    foreign = {"rows": [{**rows[0], "learner_id": f"mem_{ULID()}"}]}
    assert learner.call("POST", "/api/progress/import", foreign).body["data"]["refused"] == 1


@pytest.mark.parametrize(
    "path",
    [
        "/api/progress-history",
        "/api/cefr/report",
        "/api/learning-insights",
        "/api/gamification/stats",
        "/api/reviews/due",
    ],
)
def test_reports_of_members_are_for_those_who_may(
    path: str, owner: Client, learner: Client, stranger: Client
) -> None:
    member = learner.get("/api/gamification/stats").body["data"]["learner_id"]
    staff = owner.get("/api/gamification/stats").body["data"]["learner_id"]
    assert owner.get(f"{path}?learner_id={member}").status == 200
    assert stranger.get(f"{path}?learner_id={member}").status == 404
    assert learner.get(f"{path}?learner_id={staff}").status == 404
