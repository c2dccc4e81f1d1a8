"""Leaderboards and platform totals: exact, fed by events, safe against whatever order they come in."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.store.conftest import System
from tests.store.test_learning import answer, choices, get, member_of, right
from tests.store.test_main_job import a_newcomer

pytestmark = pytest.mark.usefixtures("school", "empty_queues")

PUBLIC = "ins_00000000000000000000000000"


@pytest.fixture(autouse=True)
def _a_week_of_its_own(system: System) -> None:
    """A week in which nobody else has earned anything."""
    system.now = datetime(2031, 1, 8, 12, tzinfo=UTC) + timedelta(weeks=random.randrange(2000))  # noqa: S311


def spread(system: System) -> None:
    """Events to their consumers, and those to the boards."""
    from chalicelib.events.worker import fan_out
    from chalicelib.standings.worker import refresh_standings

    system.work(fan_out, system.messages("events"))
    system.later(30)
    system.work(refresh_standings, system.messages("standings"))


def board(system: System, token: str, query: str = "") -> Any:
    return get(system, f"/api/gamification/leaderboard?{query}", token)


@pytest.fixture
def three(system: System, standings_at_once: None) -> list[str]:
    """Three newcomers, and a queue that does not wait."""
    return [a_newcomer(system) for _ in range(3)]


def test_the_best_come_first_and_equals_share_a_rank(system: System, three: list[str]) -> None:
    first, second, third = three
    items = choices(system, first)
    for token, count in ((first, 3), (second, 1), (third, 1)):
        for item in items[:count]:
            right(system, token, item)
    spread(system)
    shown = board(system, second)
    points = items[0]["points"]
    assert [(row["rank"], row["xp"]) for row in shown["top"]] == [(1, 3 * points), (2, points), (2, points)]
    assert (shown["you"]["rank"], shown["you"]["is_you"], shown["participants"]) == (2, True, 3)
    assert shown["you"] in shown["top"]
    neighbours = [row["learner_id"] for row in (*shown["above"], shown["you"], *shown["below"])]
    assert neighbours == [row["learner_id"] for row in shown["top"]]
    in_course = board(system, first, f"scope=course&course={items[0]['course_id']}&period=all")
    assert in_course["you"]["xp"] == 3 * points
    assert board(system, first, "scope=institution")["you"]["rank"] == 1


def test_a_new_week_begins_empty(system: System, three: list[str]) -> None:
    right(system, three[0], choices(system, three[0])[0])
    spread(system)
    assert board(system, three[0])["you"]["rank"] == 1
    day = system.now.date().isoformat()
    system.later(7 * 86_400)
    shown = board(system, three[0])
    assert (shown["top"], shown["you"], shown["participants"]) == ([], None, 0)
    assert board(system, three[0], f"on={day}")["you"]["rank"] == 1


def test_a_week_that_is_closed_takes_no_more(system: System, three: list[str]) -> None:
    item = choices(system, three[0])[0]
    last_week = system.now.isoformat()
    system.now += timedelta(days=10)
    right(system, three[0], item, occurred_at=last_week)
    spread(system)
    assert board(system, three[0], f"on={last_week[:10]}")["you"] is None
    assert board(system, three[0], "period=all")["you"]["xp"] == item["points"]


@pytest.mark.parametrize("how", ["twice", "reversed", "none at first"])
def test_what_happens_to_messages_changes_nothing(system: System, three: list[str], how: str) -> None:
    from chalicelib.events.worker import fan_out
    from chalicelib.standings.worker import refresh_standings

    items = choices(system, three[0])[:3]
    for item in items:
        right(system, three[0], item)
    events = system.messages("events")
    system.work(fan_out, events)
    messages = system.messages("standings")
    if how == "none at first":  # the next event brings what those that were lost should have brought
        answer(system, three[0], items[0])
        system.work(fan_out, system.messages("events"))
        messages = system.messages("standings")
    system.work(refresh_standings, messages[::-1] if how == "reversed" else messages)
    if how == "twice":
        system.work(refresh_standings, messages)
    shown = board(system, three[0])
    assert (shown["you"]["xp"], shown["participants"]) == (sum(item["points"] for item in items), 1)


def test_of_a_minutes_answers_the_last_one_enters_them_all(system: System, three: list[str]) -> None:
    """The first is entered, then nothing for a minute, unless no other answer of that day followed."""
    from chalicelib.events.worker import fan_out
    from chalicelib.standings.worker import refresh_standings

    items = choices(system, three[0])[:3]
    yesterday = (system.now - timedelta(days=1)).isoformat()
    answer(system, three[0], items[0], occurred_at=yesterday)
    for item in items:
        right(system, three[0], item)
    system.work(fan_out, system.messages("events"))
    messages = system.messages("standings")
    entered = 0
    for message in messages:
        system.calls.clear()
        system.work(refresh_standings, [message])
        entered += bool(system.calls.of("TransactWriteItems"))
    assert len(messages) == 7
    assert entered <= 2, "yesterday's and the last"
    assert board(system, three[0])["you"]["xp"] == sum(item["points"] for item in items)


def test_who_does_not_want_to_be_shown_is_not(system: System, three: list[str]) -> None:
    hidden, seen = three[:2]
    item = choices(system, hidden)[0]
    for token in (hidden, seen):
        right(system, token, item)
    spread(system)
    put = system.call("PUT", "/api/gamification/settings", {"leaderboards": False}, token=hidden)
    assert put.body["data"]["leaderboards"] is False
    for query in (
        "",
        "period=month",
        "period=all",
        f"scope=course&course={item['course_id']}",
        "scope=institution",
    ):
        assert board(system, hidden, query)["you"] is None
    assert board(system, seen)["participants"] == 1
    right(system, hidden, choices(system, hidden)[1])
    spread(system)
    assert board(system, seen)["participants"] == 1
    system.call("PUT", "/api/gamification/settings", {"leaderboards": True}, token=hidden)
    spread(system)
    assert board(system, seen)["participants"] == 2
    assert get(system, "/api/gamification/stats", hidden)["xp"] == 2 * item["points"]


def test_a_foreign_learner_is_a_label(system: System, three: list[str]) -> None:
    from tests.store.test_main_job import sign_in

    right(system, three[0], choices(system, three[0])[0])
    spread(system)
    school = sign_in(system, "owner@lingua-school.example", "demo-owner-1")
    (row,) = [one for one in board(system, school)["top"] if one["learner_id"] is None]
    assert row["label"].startswith("Learner ")
    assert member_of(system, three[0]) not in str(row)


def test_totals_grow_by_what_was_done(system: System, three: list[str]) -> None:
    before = get(system, "/api/stats", three[0])
    for token in three:
        right(system, token, choices(system, token)[0])
    spread(system)
    after = get(system, "/api/stats", three[0])
    assert after["learners"] == before["learners"] + 3
    assert after["answers"] == before["answers"] + 6
    assert after["courses"] >= 1


@pytest.mark.parametrize(
    "query",
    ["scope=course", "course=crs_01KAXG7Y0000000000000000A1", "top=101", "period=year", "on=0000-00-00"],
)
def test_a_board_that_is_none_is_refused(system: System, three: list[str], query: str) -> None:
    assert system.call("GET", f"/api/gamification/leaderboard?{query}", token=three[0]).status == 422


def test_a_board_costs_the_same_for_few_and_for_many(system: System, three: list[str]) -> None:
    costs = []
    for token in three:
        right(system, token, choices(system, token)[0])
        spread(system)
        system.calls.clear()
        board(system, three[0])
        costs.append(system.calls.names())
    assert costs[0] == costs[-1]
    assert len(costs[0]) == 1 + 1 + 8 + 1 + 2 * 8 + 1  # token, learner, top, own, neighbours, counters
