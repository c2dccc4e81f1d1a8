"""What reads and answers cost, however many learners there are: `python -m tests.benchmarks.scale`.

Prints the tables of docs/scale.md. The app runs in process on tables in memory (`memory`), filled with
generated learners: many on every leaderboard, one with four months of history who asks.
"""

import random
import sys
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise, product
from typing import Any
from unittest.mock import patch

from chalicelib.core import clock
from chalicelib.core.logs import log
from chalicelib.core.store import Transaction
from chalicelib.core.tokens import TokenItem, mint
from chalicelib.institutions.models import MemberItem
from chalicelib.learning.service import PERIODS, span_of
from chalicelib.standings import entering, models, ranks
from chalicelib.standings.boards import PLATFORM, Board, course_scope
from tests.benchmarks.memory import Memory, Partition, Usage, in_memory
from tests.benchmarks.table import table
from tests.store.conftest import Calls, System

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
SIZES = (1_000, 10_000, 100_000)
SCHOOL, READER = "ins_01KAXG7Y0000000000000000A1", "mem_01KAXG7Y0000000000000000A1"
_TOKEN_ID = "tok_01KAXG7Y0000000000000000A1"


# A world


@dataclass
class World:
    """The app on tables in memory, with one learner who has a history."""

    memory: Memory
    system: System
    token: str
    items: list[dict[str, Any]]
    solutions: dict[str, Any]

    @property
    def course_id(self) -> str:
        return str(self.items[0]["course_id"])

    def get(self, path: str) -> Any:
        answer = self.system.call("GET", path, token=self.token)
        if answer.status != 200:
            raise ValueError(f"{path}: {answer.body}")
        return answer.body["data"]

    def answer(self, item: dict[str, Any]) -> None:
        body = {"answer": self.solutions[item["slug"]], "duration_ms": 9000}
        sent = self.system.call("POST", f"/api/trainingItems/{item['id']}/attempts", body, token=self.token)
        if sent.status != 201:
            raise ValueError(str(sent.body))

    def hear(self) -> None:
        """What waits in the queues, worked off."""
        from chalicelib.events.worker import fan_out
        from chalicelib.standings.worker import refresh_standings

        for queue, worker in (("events", fan_out), ("standings", refresh_standings)):
            waiting, self.memory.messages[queue] = self.memory.messages[queue], []
            self.system.work(worker, [{"Body": body} for body in waiting])


@contextmanager
def world(days: int = 120) -> Iterator[World]:
    """The learner has answered twice a day for so many days."""
    from chalicelib.catalogue.publishing import publish
    from chalicelib.institutions.service import PUBLIC_INSTITUTION
    from infra.demo.courses import load_course
    from infra.demo.seed import as_content
    from infra.local.tour import COURSE, right_answers

    calls: Any = Calls()
    cloud: Any = None
    with in_memory() as memory:
        system = System(cloud, calls, NOW - timedelta(days=days))
        with patch.object(clock, "now", lambda: system.now):
            publish(as_content(load_course(COURSE)), PUBLIC_INSTITUTION, NOW)
            token = _member(memory)
            made = World(memory, system, token, [], right_answers())
            made.items = made.get("/api/trainingItems?per_page=100")
            chance = random.Random(1)  # noqa: S311
            while system.now < NOW:
                system.later(43_200)
                made.answer(chance.choice(made.items))
            made.hear()
            system.now = NOW
            yield made


def _member(memory: Memory) -> str:
    memory.add(
        MemberItem(SCHOOL, READER, user_id="usr_01KAXG7Y0000000000000000A1", role="learner", status="active",
                   time_zone="Europe/Berlin", per_minute=10**9, created_at=1)
    )  # fmt: skip
    token, secret_hash = mint(_TOKEN_ID)
    memory.add(
        TokenItem(_TOKEN_ID, secret_hash=secret_hash, kind="session", name="benchmark", institution_id=SCHOOL,
                  member_id=READER, user_id="usr_01KAXG7Y0000000000000000A1", role="learner",
                  abilities=["progress:read", "progress:write", "catalogue:read"], per_minute=10**9,
                  created_at=1, expires_at=2**33)
    )  # fmt: skip
    return token


def populate(memory: Memory, board: Board, numbers: range) -> dict[str, int]:
    """Put learners of these numbers on a board beside who is there; most scores are low, a few high."""
    chance = random.Random(numbers.stop)  # noqa: S311
    scores = {f"mem_{number:026}": 1 + int(chance.lognormvariate(5, 1.2)) for number in numbers}
    entries: dict[int, list[str]] = {shard: [] for shard in board.shards}
    nodes: dict[tuple[int, ranks.Node], dict[int, int]] = {}
    for learner_id, score in scores.items():
        entries[board.shard_of(learner_id)].append(models._entry_key(score, learner_id))
        for node, digit in ranks.path(score):
            counters = nodes.setdefault((board.part_of(learner_id), node), {})
            counters[digit] = counters.get(digit, 0) + 1
    for shard, keys in entries.items():
        partition = memory.partition("standings", f"{board.name}#{shard}")
        partition.shared = {"institution_id": {"S": SCHOOL}}
        there = dict(partition.rows)
        partition.load([*there, *keys])
        partition.rows |= there
    for (part, node), counters in nodes.items():
        at = memory.partition("standings", models._node_key(board, part, node))
        _add(at, counters)
    return scores


def _add(node: Partition, counters: dict[int, int]) -> None:
    row = dict(node.rows.get("NODE", {}))
    for digit, more in counters.items():
        row[f"n{digit}"] = {"N": str(int(row.get(f"n{digit}", {"N": "0"})["N"]) + more)}
    node.put("NODE", row)


# Reads


def reads(course_id: str) -> dict[str, str]:
    board = "/api/gamification/leaderboard"
    return {
        "stats": "/api/stats",
        "lesson progress": f"/api/courses/{course_id}/lesson-progress",
        "progress history, 30 days": "/api/progress-history?from=2026-10-27&to=2026-11-25",
        "CEFR report": "/api/cefr/report",
        "learning insights": "/api/learning-insights",
        "reviews due": "/api/reviews/due",
        "gamification stats": "/api/gamification/stats",
        "leaderboard, platform, week": f"{board}?scope=platform",
        "leaderboard, platform, all time": f"{board}?scope=platform&period=all",
        "leaderboard, institution, week": f"{board}?scope=institution",
        "leaderboard, course, month": f"{board}?scope=course&course={course_id}&period=month",
    }


def read_costs(sizes: Sequence[int] = SIZES, days: int = 120) -> dict[str, list[Usage]]:
    """For each read, what it costs among ever more learners."""
    found: dict[str, list[Usage]] = {}
    with world(days) as here:
        scopes = (PLATFORM, SCHOOL, course_scope(SCHOOL, here.course_id))
        for before, learners in pairwise((0, *sizes)):
            for period, scope in product(PERIODS, scopes):
                populate(here.memory, Board(span_of(period, NOW.date()), scope), range(before, learners))
            for name, path in reads(here.course_id).items():
                found.setdefault(name, []).append(here.memory.measure(here.get, path))
    return found


def reads_table(costs: dict[str, list[Usage]], sizes: Sequence[int] = SIZES) -> str:
    rows = [
        [name, *(f"{sum(u.calls.values())} / {u.items_read} / {u.bytes_read / 1024:.1f}" for u in usages),
         f"{usages[-1].read_units:g}"]
        for name, usages in costs.items()
    ]  # fmt: skip
    return table(["calls / items / KB", *(f"{size:,} learners" for size in sizes), "read units"], rows)


# The leaderboard


@dataclass(frozen=True)
class BoardCost:
    """A board of so many learners: what entering an answer writes, what reading one's place reads."""

    learners: int
    items_written: float
    write_units: float
    hottest: float
    root: float
    calls: float
    items_read: float
    kilobytes: float
    exact: int
    looks: int


def board_cost(learners: int, updates: int, looks: int) -> BoardCost:
    """Answers of 5 to 20 XP of anyone, then looks at anyone's place, each compared with a full sort."""
    board, chance = Board(span_of("all", NOW.date()), PLATFORM), random.Random(7)  # noqa: S311
    with in_memory() as memory:
        scores = populate(memory, board, range(learners))
        everyone = list(scores)
        places: dict[str, models.PlaceItem] = {}

        def update() -> None:
            for _ in range(updates):
                learner_id = chance.choice(everyone)
                if learner_id not in places:
                    places[learner_id] = models.PlaceItem(
                        learner_id, f"BOARD#{board.name}", score=scores[learner_id], version=1
                    )
                scores[learner_id] += chance.randint(5, 20)
                transaction = Transaction()
                place = places[learner_id]
                models.move(transaction, board, learner_id, SCHOOL, place, scores[learner_id])
                transaction.commit()

        written = memory.measure(update)
        asked = chance.sample(everyone, looks)
        for learner_id in asked:
            memory.add(models.PlaceItem(learner_id, f"BOARD#{board.name}", score=scores[learner_id]))
        ordered = sorted((ranks.HIGHEST - score, learner_id) for learner_id, score in scores.items())
        exact = 0

        def look() -> None:
            nonlocal exact
            for learner_id in asked:
                exact += _is_exact(board, learner_id, scores, ordered)

        read = memory.measure(look)
        nodes = {key: number for (_, key), number in written.written.items() if key.count("#") == 3}
        return BoardCost(
            learners=learners,
            items_written=sum(written.written.values()) / updates,
            write_units=sum(written.write_units.values()) / updates,
            hottest=max(nodes.values()) / updates,
            root=sum(number for key, number in nodes.items() if key.endswith("#0#0")) / updates,
            calls=sum(read.calls.values()) / looks,
            items_read=read.items_read / looks,
            kilobytes=read.bytes_read / looks / 1024,
            exact=exact,
            looks=looks,
        )


def _is_exact(board: Board, learner_id: str, scores: dict[str, int], ordered: list[tuple[int, str]]) -> bool:
    found = entering.standings(board, learner_id, SCHOOL, NOW, top=10, around=2)
    at = bisect_left(ordered, (ranks.HIGHEST - scores[learner_id], learner_id))

    def rows(start: int, stop: int) -> list[tuple[int, int, str]]:
        return [
            (1 + bisect_left(ordered, (inverse, "")), ranks.HIGHEST - inverse, one)
            for inverse, one in ordered[max(0, start) : stop]
        ]

    shown = [found.top, found.above, [found.own] if found.own else [], found.below]
    expected = [rows(0, 10), rows(at - 2, at), rows(at, at + 1), rows(at + 1, at + 3)]
    told = [[(row.rank, row.score, row.learner_id) for row in some] for some in shown]
    return told == expected and found.participants == bisect_right(ordered, (ranks.HIGHEST, "~"))


def board_table(costs: Sequence[BoardCost]) -> str:
    return table(
        ["learners", "items written", "write units", "hottest counter", "roots", "calls", "items read", "KB",
         "places exact"],
        [
            [f"{c.learners:,}", f"{c.items_written:.2f}", f"{c.write_units:.1f}", f"{c.hottest * 100:.1f} %",
             f"{c.root * 100:.1f} %", f"{c.calls:.1f}", f"{c.items_read:.1f}", f"{c.kilobytes:.1f}",
             f"{c.exact} of {c.looks}"]
            for c in costs
        ],
    )  # fmt: skip


# An answer


def answer_cost(answers: int = 200) -> tuple[list[Usage], int]:
    """What each step of so many answers costs on average, and how many events they were.

    A learner gives one in ten seconds, twenty a day, each to another exercise. What wakes the leaderboards
    comes twenty seconds later.
    """
    from chalicelib.events.worker import fan_out
    from chalicelib.standings.worker import refresh_standings

    steps = [Usage(), Usage(), Usage()]
    events = 0
    delayed: list[tuple[datetime, Any]] = []
    with world() as here:
        for number in range(answers):
            here.system.later(10 if number % 20 else 86_400)
            item = here.items[number % len(here.items)]
            _sum(steps[0], here.memory.measure(here.answer, item))
            waiting, here.memory.messages["events"] = here.memory.messages["events"], []
            events += len(waiting)
            handed = [{"Body": body} for body in waiting]
            _sum(steps[1], here.memory.measure(here.system.work, fan_out, handed))
            waiting, here.memory.messages["standings"] = here.memory.messages["standings"], []
            delayed += [(here.system.now + timedelta(seconds=20), {"Body": body}) for body in waiting]
            handed = [body for at, body in delayed if at <= here.system.now]
            delayed = delayed[len(handed) :]
            if handed:
                _sum(steps[2], here.memory.measure(here.system.work, refresh_standings, handed))
    return steps, events


def _sum(whole: Usage, part: Usage) -> None:
    whole.calls += part.calls
    whole.items_read += part.items_read
    whole.bytes_read += part.bytes_read
    whole.read_units += part.read_units
    whole.write_units += part.write_units
    whole.written += part.written


def answer_table(steps: Sequence[Usage], answers: int) -> str:
    rows = []
    for name, usage in zip(("the request", "fan-out", "leaderboards and totals"), steps, strict=True):
        calls = ", ".join(f"{number / answers:.2f} {call}" for call, number in sorted(usage.calls.items()))
        units = sum(usage.write_units.values()) / answers
        rows.append([name, calls, f"{units:.1f}", f"{usage.read_units / answers:.1f}"])
    return table(["step", "calls", "write units", "read units"], rows)


def units_table(steps: Sequence[Usage], answers: int) -> str:
    names = sorted({name for usage in steps for name in usage.write_units})
    rows = [
        [
            name,
            *(
                f"{usage.write_units[name] / answers:.1f}" if usage.write_units[name] else "–"
                for usage in steps
            ),
        ]
        for name in names
    ]
    return table(["write units, by table", "the request", "fan-out", "leaderboards"], rows)


# In US dollars, eu-central-1, on demand; docs/scale.md states them as assumptions
_LIST = {"write unit": 0.7625e-6, "read unit": 0.1525e-6, "SQS request": 0.40e-6, "Lambda run": 0.20e-6,
         "GB-second": 16.6667e-6, "API request": 3.70e-6, "KB of logs": 0.63 / 1024**2}  # fmt: skip


def price_table(steps: Sequence[Usage], answers: int, events: int) -> str:
    """A million answers. Lambda's times are assumptions, and that queues hand over ten messages at once."""
    million = 1_000_000
    written = sum(sum(usage.write_units.values()) for usage in steps) / answers
    read = sum(usage.read_units for usage in steps) / answers
    events_each = events / answers
    sent = sum(usage.calls["SendMessageBatch"] for usage in steps) / answers
    taken = 2 * (events_each + steps[1].calls["SendMessageBatch"] / answers) / 10  # received and deleted
    lines = [
        ("API Gateway", 1.0, "API request"),
        ("Lambda: runs", 1 + (events_each + 1) / 10, "Lambda run"),
        (
            "Lambda: 60 ms of 1 GB, 30 ms of 0.5 GB per event",
            0.06 + 0.5 * 0.03 * (events_each + 1),
            "GB-second",
        ),
        ("DynamoDB: write units", written, "write unit"),
        ("DynamoDB: read units", read, "read unit"),
        ("SQS: requests", sent + taken, "SQS request"),
        ("CloudWatch: 0.5 KB of log lines a run", 0.5 * (1 + (events_each + 1) / 10), "KB of logs"),
    ]
    rows = [[name, f"{each:.2f}", f"{each * million * _LIST[unit]:.2f}"] for name, each, unit in lines]
    whole = sum(each * million * _LIST[unit] for _, each, unit in lines)
    return table(["a million answers", "each", "US$"], [*rows, ["in all", "", f"{whole:.2f}"]])


def main() -> None:
    log.setLevel("ERROR")
    sys.stdout.write(f"{reads_table(read_costs())}\n\n")
    sys.stdout.flush()
    boards = [board_cost(size, 4000, 300) for size in (1_000, 10_000, 100_000, 1_000_000)]
    sys.stdout.write(f"{board_table(boards)}\n\n")
    answers = 200
    steps, events = answer_cost(answers)
    sys.stdout.write(f"{answer_table(steps, answers)}\n\n{units_table(steps, answers)}\n\n")
    sys.stdout.write(f"{events / answers:.2f} events an answer\n\n{price_table(steps, answers, events)}\n")


if __name__ == "__main__":
    main()
