"""Which items an export reads, in which order, and how they become rows."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from chalicelib.core.clock import instant
from chalicelib.core.store import RawItem
from chalicelib.exports import kinds
from chalicelib.exports.kinds import KINDS, Selection
from chalicelib.learning import service as learning

INSTITUTION = "ins_01KAXG7Y0000000000000000A1"
LEARNER = "mem_01KAXG7Y0000000000000000A1"
COURSE = "crs_01KAXG7Y0000000000000000A1"
OTHER_COURSE = "crs_01KAXG7Y0000000000000000A2"
NOON = datetime(2026, 5, 2, 12, tzinfo=UTC)


def raw(**values: str | int | float | None) -> RawItem:
    """An item as DynamoDB answers it."""
    return {
        name: {"NULL": True} if value is None else {"S" if isinstance(value, str) else "N": str(value)}
        for name, value in values.items()
    }


def attempt(number: int, recorded_at: datetime = NOON, **others: str | int | float) -> RawItem:
    values: dict[str, Any] = {
        "pk": LEARNER,
        "sk": f"ATTEMPT#att_{number:026}",
        "institution_sort": f"{instant(recorded_at)}#att_{number:026}",
        "course_id": COURSE,
        "lesson_id": "lsn_1",
        "training_id": "trn_1",
        "item_id": "itm_1",
        "item_version": 2,
        "item_type": "cloze",
        "skill": "grammar",
        "cefr_level": "A1",
        "result": "partial",
        "score": 0.5,
        "xp": 5,
        "duration_ms": 4200,
        "occurred_at": "2026-05-01T22:30:00Z",
        "local_date": "2026-05-02",
        "recorded_at": instant(recorded_at),
    }
    return raw(**(values | others))


def cells(kind: str, item: RawItem) -> dict[str, str]:
    found = KINDS[kind]  # type: ignore[index]
    read = {name: value for name, value in item.items() if name in found.reads}
    (row,) = found.rows(read, Selection(INSTITUTION, None, NOON))
    return dict(zip(found.columns, row, strict=True))


class Index:
    """Stands in for the index: partitions in order, two items a page."""

    def __init__(self) -> None:
        self.partitions: dict[str, list[RawItem]] = {}
        self.pages = 0

    def add(self, partition: str, *items: RawItem) -> None:
        held = self.partitions.setdefault(partition, [])
        held += items
        held.sort(key=lambda item: item["institution_sort"]["S"])

    def page(
        self,
        key: str,
        attributes: Sequence[str],
        *,
        low: str,
        high: str,
        after: RawItem | None = None,
    ) -> tuple[list[RawItem], RawItem | None]:
        self.pages += 1
        found: list[RawItem] = [
            {name: value for name, value in item.items() if name in attributes}
            for item in self.partitions.get(key, [])
            if low <= item["institution_sort"]["S"] <= high
        ]
        start = 0 if after is None else found.index(after) + 1
        items = found[start : start + 2]
        return items, items[-1] if start + 2 < len(found) else None


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Index:
    found = Index()
    for name in ("activity", "learner_progress"):
        monkeypatch.setitem(KINDS, name, replace(KINDS[name], page=found.page))
    return found


def read(kind: str, selection: Selection) -> Iterator[RawItem]:
    found = KINDS[kind]  # type: ignore[index]
    wanted = found.wanted(selection)
    for step in found.steps(selection):
        yield from (item for _, item in kinds.items_of(found, selection, step, None) if wanted(item))


def test_an_attempt_as_a_row() -> None:
    assert cells("activity", attempt(7)) == {
        "attempt_id": "att_00000000000000000000000007",
        "learner_id": LEARNER,
        "course_id": COURSE,
        "lesson_id": "lsn_1",
        "training_id": "trn_1",
        "item_id": "itm_1",
        "item_version": "2",
        "item_type": "cloze",
        "skill": "grammar",
        "cefr_level": "A1",
        "result": "partial",
        "score": "0.5",
        "xp": "5",
        "duration_ms": "4200",
        "occurred_at": "2026-05-01T22:30:00Z",
        "local_date": "2026-05-02",
        "recorded_at": "2026-05-02T12:00:00Z",
    }


def test_numbers_are_never_made_texts() -> None:
    found = cells("activity", attempt(1, score=-3.5, skill="=1+1"))
    assert found["score"] == "-3.5"
    assert found["skill"] == "'=1+1"


def test_progress_in_a_course_as_a_row() -> None:
    item = raw(
        pk=LEARNER,
        sk=f"COURSE#{COURSE}",
        items_passed=2,
        items_total=3,
        lessons_completed=0,
        lessons_total=1,
        xp=20,
        attempts=4,
        started_at="2026-05-01T22:30:00.250Z",
        last_activity_at="2026-05-02T12:00:00Z",
    )
    assert cells("learner_progress", item) == {
        "learner_id": LEARNER,
        "course_id": COURSE,
        "items_passed": "2",
        "items_total": "3",
        "percent": "66",
        "lessons_completed": "0",
        "lessons_total": "1",
        "xp": "20",
        "attempts": "4",
        "started_at": "2026-05-01T22:30:00Z",
        "completed_at": "",
        "last_activity_at": "2026-05-02T12:00:00Z",
    }
    for completed_at, cell in ((None, ""), ("2026-05-02T12:00:00Z", "2026-05-02T12:00:00Z")):
        assert cells("learner_progress", {**item, **raw(completed_at=completed_at)})["completed_at"] == cell


def test_attempts_come_in_the_order_of_recording_over_shards_pages_and_days(index: Index) -> None:
    days = [NOON.date(), (NOON + timedelta(days=1)).date()]
    for number in range(60):
        at = NOON + timedelta(hours=12 * (number >= 30), seconds=number)
        key = learning.attempts_key(INSTITUTION, days[number >= 30], number * 7 % learning.SHARDS)
        index.add(key, attempt(number, at))
    selection = Selection(INSTITUTION, NOON - timedelta(days=1), NOON + timedelta(days=2), None)
    found = [item["sk"]["S"][-2:] for item in read("activity", selection)]
    assert found == [f"{number:02}" for number in range(60)]


def test_a_selection_begins_and_ends_where_it_says(index: Index) -> None:
    key = learning.attempts_key(INSTITUTION, NOON.date(), 3)
    index.add(key, *(attempt(minute, NOON + timedelta(minutes=minute)) for minute in range(10)))
    selection = Selection(INSTITUTION, NOON + timedelta(minutes=2), NOON + timedelta(minutes=5), None)
    assert [item["sk"]["S"][-1] for item in read("activity", selection)] == ["2", "3", "4"]


def test_nothing_is_read_where_the_cut_off_comes_before_the_beginning(index: Index) -> None:
    selection = Selection(INSTITUTION, NOON, NOON - timedelta(days=2), None)
    assert list(read("activity", selection)) == []
    assert index.pages == 0


def test_a_course_alone(index: Index) -> None:
    key = learning.attempts_key(INSTITUTION, NOON.date(), 0)
    index.add(key, attempt(1), attempt(2, course_id=OTHER_COURSE))
    selection = Selection(INSTITUTION, NOON, NOON + timedelta(days=1), OTHER_COURSE)
    assert [item["sk"]["S"][-1] for item in read("activity", selection)] == ["2"]
    for number, course in enumerate((COURSE, OTHER_COURSE)):
        item = raw(pk=LEARNER, sk=f"COURSE#{course}", institution_sort=f"{LEARNER}#{course}")
        index.add(learning.courses_key(INSTITUTION, number), item)
    found = [item["sk"]["S"] for item in read("learner_progress", selection)]
    assert found == [f"COURSE#{OTHER_COURSE}"]


def test_progress_is_whole_while_learners_come_and_go(index: Index) -> None:
    """exp-4: whoever is there throughout is told once; the order of a partition never changes."""
    selection = Selection(INSTITUTION, None, NOON, None)

    def item(number: int) -> RawItem:
        learner = f"mem_{number:026}"
        return raw(pk=learner, sk=f"COURSE#{COURSE}", institution_sort=f"{learner}#{COURSE}")

    for number in range(0, 400, 2):
        index.add(learning.courses_key(INSTITUTION, number % learning.SHARDS), item(number))
    found = []
    for count, row in enumerate(read("learner_progress", selection)):
        found.append(row["pk"]["S"])
        if count % 4 == 0:
            index.add(learning.courses_key(INSTITUTION, count % learning.SHARDS), item(2 * count + 1))
    stayed = {f"mem_{number:026}" for number in range(0, 400, 2)}
    assert len(found) == len(set(found))
    assert stayed <= set(found)


def test_reading_goes_on_after_any_row(index: Index) -> None:
    for number in range(40):
        key = learning.attempts_key(INSTITUTION, NOON.date(), number * 7 % learning.SHARDS)
        index.add(key, attempt(number, NOON + timedelta(seconds=number // 3)))
    kind = KINDS["activity"]
    selection = Selection(INSTITUTION, NOON, NOON + timedelta(hours=1))
    (step,) = kind.steps(selection)
    whole = [sort for sort, _ in kinds.items_of(kind, selection, step, None)]
    assert len(whole) == 40
    for at, sort in enumerate(whole):
        assert [one for one, _ in kinds.items_of(kind, selection, step, sort)] == whole[at + 1 :]


def test_members_alone(index: Index) -> None:
    key = learning.attempts_key(INSTITUTION, NOON.date(), 0)
    index.add(key, attempt(1), attempt(2, pk="mem_other"))
    selection = Selection(INSTITUTION, NOON, NOON + timedelta(days=1), learner_ids=frozenset({"mem_other"}))
    assert [item["sk"]["S"][-1] for item in read("activity", selection)] == ["2"]


def test_columns_are_chosen_in_the_order_asked_for() -> None:
    kind = KINDS["activity"]
    (row,) = kind.rows(attempt(1), Selection(INSTITUTION, None, NOON))
    assert kinds.chosen(kind, ["score", "learner_id"])(row) == ("0.5", LEARNER)
    assert kinds.chosen(kind, list(kind.columns))(row) == row


def test_times_are_shown_in_the_zone_asked_for() -> None:
    kind = KINDS["activity"]
    (row,) = kind.rows(attempt(1), Selection(INSTITUTION, None, NOON))
    shown = dict(zip(kind.columns, kinds.in_zone(kind, ZoneInfo("Europe/Berlin"))(row), strict=True))
    assert shown["occurred_at"] == "2026-05-02T00:30:00+02:00"
    assert shown["local_date"] == "2026-05-02"
    assert kinds.in_zone(kind, ZoneInfo("UTC"))(row) == row


@pytest.mark.parametrize("name", list(KINDS))
def test_a_kind_is_of_one_piece(name: str) -> None:
    kind = KINDS[name]  # type: ignore[index]
    assert kind.times <= set(kind.columns)
    assert all(text and text.endswith(".") for text in kind.columns.values())
    assert kind.sort in kind.reads


def test_a_completion_and_a_delivery_as_rows() -> None:
    done = raw(pk=LEARNER, course_id=COURSE, lesson_id="lsn_1", completed_at="2026-05-02T12:00:00.250Z")
    assert cells("completions", done) == {
        "learner_id": LEARNER, "what": "lesson", "course_id": COURSE, "lesson_id": "lsn_1",
        "completed_at": "2026-05-02T12:00:00Z",
    }  # fmt: skip
    sent = raw(sk="dlv_1", pk="whk_1", event_id="evt_1", event_type="lesson.completed", trigger="event",
               status="failed", failure_reason="exhausted", attempts_made=4, last_status_code=503,
               created_at="2026-05-02T12:00:00.000Z", finished_at="2026-05-02T13:00:00.000Z")  # fmt: skip
    found = cells("webhook_deliveries", sent)
    assert (found["status"], found["failure_reason"], found["last_status_code"]) == (
        "failed",
        "exhausted",
        "503",
    )


def test_levels_are_a_row_for_each_language_and_skill() -> None:
    totals = raw(pk=LEARNER, sk="LEARNER", institution_id=INSTITUTION, version=1,
                 evidence=json.dumps({"de": {"grammar": {"A1:0": [3, 3000, 30_000_000]}}}),
                 items=json.dumps({"de": {"grammar": {"A1": 3}}}), reached="{}")  # fmt: skip
    rows = list(KINDS["cefr"].rows(totals, Selection(INSTITUTION, None, NOON)))
    assert len(rows) == 6
    grammar = dict(zip(KINDS["cefr"].columns, next(row for row in rows if row[2] == "grammar"), strict=True))
    assert (grammar["language"], grammar["status"], grammar["answers"], grammar["items"]) == (
        "de", "not_enough_evidence", "3", "3",
    )  # fmt: skip
