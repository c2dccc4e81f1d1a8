"""Which items an export reads, in which order, and how they become rows."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

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
    return dict(zip(found.columns, found.row(read), strict=True))


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
        after: RawItem | None = None,
        before_sort: str | None = None,
    ) -> tuple[list[RawItem], RawItem | None]:
        self.pages += 1
        found: list[RawItem] = [
            {name: value for name, value in item.items() if name in attributes}
            for item in self.partitions.get(key, [])
            if before_sort is None or item["institution_sort"]["S"] < before_sort
        ]
        start = 0 if after is None else found.index(after) + 1
        items = found[start : start + 2]
        return items, items[-1] if start + 2 < len(found) else None


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Index:
    found = Index()
    monkeypatch.setattr(learning, "export_page", found.page)
    return found


def read(kind: str, selection: Selection) -> Iterator[RawItem]:
    found = KINDS[kind]  # type: ignore[index]
    for step in found.steps(selection):
        yield from filter(found.wanted(selection), kinds.items_of(found, selection, step))


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
