"""Answers over HTTP: graded, counted once, refused where they have no shape."""

import secrets
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
