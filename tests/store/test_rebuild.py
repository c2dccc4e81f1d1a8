"""Leaderboards and totals follow from answers alone: emptied and rebuilt, they are the same."""

import random
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from tests.store.conftest import System
from tests.store.test_learning import answer, att, choices, course_to_read, get, member_of
from tests.store.test_main_job import a_newcomer, sign_in
from tests.store.test_standings import board, spread, three

__all__ = ["course_to_read", "three"]
pytestmark = pytest.mark.usefixtures("school", "empty_queues")

LEARNING, STANDINGS = "talktiko-local-learning", "talktiko-local-standings"
START = datetime(
    2026, 11, 20, 9, tzinfo=UTC
)  # two days before a week ends, a fortnight before a month closes


def rows(system: System, table: str) -> list[dict[str, Any]]:
    pages = system.cloud.client("dynamodb").get_paginator("scan").paginate(TableName=table)
    return [row for page in pages for row in page["Items"]]


@pytest.fixture
def _nobody_has_learned(system: System) -> None:
    client = system.cloud.client("dynamodb")
    for table in (LEARNING, STANDINGS):
        for row in rows(system, table):
            client.delete_item(TableName=table, Key={"pk": row["pk"], "sk": row["sk"]})


@pytest.fixture(autouse=True)
def _tables_may_be_read_whole(system: System) -> Iterator[None]:
    """By the command; whatever else read so would have been seen by every other test."""
    yield
    system.calls.forbidden.clear()


def standing(system: System) -> dict[tuple[str, str], dict[str, Any]]:
    """Every row as far as it tells something: without versions, empty counters, places that were left."""
    found = {}
    for row in rows(system, STANDINGS):
        if "expires_at" in row and int(row["expires_at"]["N"]) <= system.now.timestamp():
            continue
        kept = {name: value for name, value in row.items() if name not in {"version", "entered_at"}}
        if row["sk"]["S"] in {"NODE", "TOTALS"}:
            kept = {name: value for name, value in kept.items() if value != {"N": "0"}}
            if not any("N" in value for name, value in kept.items() if name != "expires_at"):
                continue
        if row["sk"]["S"].startswith("BOARD#") and "score" not in row:
            continue
        found[row["pk"]["S"], row["sk"]["S"]] = kept
    return found


class History:
    """What a few learners do in five weeks, and how late and how often it is heard of."""

    def __init__(self, system: System, seed: int, reading: dict[str, str]) -> None:
        self.system, self.reading = system, reading
        self.chance = random.Random(seed)  # noqa: S311 (a seed replays its run)
        self.owner = sign_in(system, "owner@lingua-school.example", "demo-owner-1")
        self.pupil = sign_in(system, "learner@lingua-school.example", "demo-learner-1")
        self.learners = [self.pupil, *(a_newcomer(system) for _ in range(3))]
        items = choices(system, self.learners[-1])
        courses = sorted({item["course_id"] for item in items})[:3]
        self.items = [item for item in items if item["course_id"] in courses]
        self.solutions: dict[str, Any] = {}
        self.undelivered: list[Any] = []

    def run(self, steps: int) -> None:
        acts: list[Callable[[], None]] = [self.answer] * 12 + [
            self.bring_in, self.read, self.leave, self.join, self.wait, self.hear, self.hear
        ]  # fmt: skip
        for _ in range(steps):
            self.chance.choice(acts)()
        for _ in range(3):
            self.hear(everything=True)

    def answer(self) -> None:
        learner, item = self.chance.choice(self.learners), self.chance.choice(self.items)
        late = timedelta(hours=self.chance.choice([0, 0, 0, 5, 60, 200, 800]))
        given = self.solutions.get(item["id"]) if self.chance.random() < 0.8 else None
        when = (self.system.now - late).isoformat()
        told = answer(self.system, learner, item, given, occurred_at=when)
        self.solutions[item["id"]] = told["attempt"]["correct_answer"]

    def bring_in(self) -> None:
        item = self.chance.choice(self.items)
        when = self.system.now - timedelta(days=self.chance.choice([2, 9, 400]))
        row = {"attempt_id": att(), "learner_id": member_of(self.system, self.pupil), "item_id": item["id"],
               "answer": "b", "duration_ms": 9000, "occurred_at": when.isoformat()}  # fmt: skip
        sent = self.system.call("POST", "/api/progress/import", {"rows": [row]}, token=self.owner)
        assert sent.body["data"]["recorded"] == 1

    def read(self) -> None:
        learner = self.chance.choice(self.learners)
        sent = self.system.call("POST", f"/api/lessons/{self.reading['reading']}/complete", token=learner)
        assert sent.status == 200

    def leave(self) -> None:
        self._set(leaderboards=False)

    def join(self) -> None:
        self._set(leaderboards=True)

    def _set(self, *, leaderboards: bool) -> None:
        learner = self.chance.choice(self.learners[:2])
        put = self.system.call(
            "PUT", "/api/gamification/settings", {"leaderboards": leaderboards}, token=learner
        )
        assert put.status == 200

    def wait(self) -> None:
        self.system.later(3600 * self.chance.choice([3, 20, 40]))

    def hear(self, *, everything: bool = False) -> None:
        """Some of the messages, in any order, some of them twice."""
        from chalicelib.events.worker import fan_out
        from chalicelib.standings.worker import refresh_standings

        self.system.work(fan_out, self.system.messages("events"))
        waiting = self.undelivered + self.system.messages("standings")
        self.chance.shuffle(waiting)
        heard = waiting if everything else waiting[: self.chance.randint(0, len(waiting))]
        self.undelivered = waiting[len(heard) :]
        if heard:
            self.system.work(refresh_standings, [*heard, self.chance.choice(heard)])


@pytest.fixture
def history(
    system: System,
    course_to_read: dict[str, str],
    _nobody_has_learned: None,
    standings_at_once: None,
) -> Callable[[int], History]:
    system.now = START
    return lambda seed: History(system, seed, course_to_read)


def check(system: System, history: Callable[[int], History], seed: int, steps: int) -> None:
    from infra import rebuild

    history(seed).run(steps)
    live = standing(system)
    assert len({pk for pk, sk in live if sk == "COUNTED"}) == 4
    assert rebuild.rebuild() == 4
    assert standing(system) == live
    assert rebuild.verify() == {}


def test_what_is_rebuilt_is_what_was_there(system: System, history: Callable[[int], History]) -> None:
    check(system, history, seed=1, steps=70)


@pytest.mark.proof
@pytest.mark.parametrize("seed", range(2, 12))
def test_what_is_rebuilt_is_what_was_there_seed_after_seed(
    system: System, history: Callable[[int], History], seed: int
) -> None:
    check(system, history, seed, steps=300)


def test_verify_names_what_does_not_follow_from_the_answers(system: System, three: list[str]) -> None:
    from infra import rebuild

    answer(system, three[0], choices(system, three[0])[0])
    learner_id, day = member_of(system, three[0]), system.now.date()
    system.cloud.client("dynamodb").update_item(
        TableName=LEARNING,
        Key={"pk": {"S": learner_id}, "sk": {"S": f"DAY#{day}"}},
        UpdateExpression="ADD xp :one",
        ExpressionAttributeValues={":one": {"N": "1"}},
    )
    assert rebuild.verify()[learner_id] == [f"DAY#{day}"]


def test_whoever_leaves_while_being_entered_is_not_shown(
    system: System, three: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from chalicelib.learning import service as learning
    from chalicelib.standings import entering

    answer(system, three[0], choices(system, three[0])[0])
    solution = answer(system, three[0], choices(system, three[0])[0], None)["attempt"]["correct_answer"]
    answer(system, three[0], choices(system, three[0])[0], solution)
    record_of = learning.record_of
    left: list[str] = []

    def leaving_meanwhile(learner_id: str, *given: Any, **more: Any) -> Any:
        if not left:
            left.append(learner_id)
            with system.calls.by("api"):
                entering.hide_from_boards("ins_00000000000000000000000000", learner_id)
        return record_of(learner_id, *given, **more)

    monkeypatch.setattr(learning, "record_of", leaving_meanwhile)
    spread(system)
    assert left
    assert board(system, three[0])["you"] is None


def test_a_day_with_many_courses_is_entered(system: System, three: list[str]) -> None:
    """More boards than one transaction holds."""
    from chalicelib.learning.service import PERIODS, Record, span_of
    from chalicelib.standings import entering, models

    day, learner_id = date(2027, 3, 3), member_of(system, three[0])
    courses = {f"crs_{number}": 10 for number in range(12)}
    record = Record(120, 12, 0, 0, 0, {day: {"week": courses, "month": courses}}, courses)
    spans = [span_of(period, day) for period in PERIODS]
    now = datetime(2027, 3, 3, 12, tzinfo=UTC)
    entering.enter("ins_1", learner_id, record, spans, models.setting_of(learner_id), now)
    assert len(models.all_places_of(learner_id)) == 3 * (2 + 12)


def test_what_was_recorded_in_time_counts_however_late_the_worker_is(
    system: System, three: list[str]
) -> None:
    item = choices(system, three[0])[0]
    system.now = datetime(
        2027, 3, 9, 11, 59, 59, tzinfo=UTC
    )  # a Tuesday; its week closed on Sunday but for this
    monday = "2027-03-01T10:00:00Z"
    solution = answer(system, three[0], item, None, occurred_at=monday)["attempt"]["correct_answer"]
    answer(system, three[0], item, solution, occurred_at=monday)
    system.later(3600)
    answer(system, three[1], item, solution, occurred_at=monday)
    spread(system)
    assert board(system, three[0], "on=2027-03-01")["you"]["xp"] == item["points"]
    assert board(system, three[1], "on=2027-03-01")["you"] is None
    assert get(system, "/api/gamification/stats", three[1])["xp"] == item["points"]
