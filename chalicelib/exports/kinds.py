"""What can be exported: for each type its columns, where its items stand, and how one becomes a row.

Rows are made from raw items, by one function per type: model objects would cost more than all the
rest of an export. Every time reads `2026-05-01T22:30:00Z`, in whole seconds, so that a column has
one format.
"""

import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Literal

from chalicelib.core.clock import instant
from chalicelib.core.store import RawItem
from chalicelib.exports.csv_file import text
from chalicelib.learning import service as learning

ExportType = Literal["activity", "learner_progress"]
Partitions = tuple[str, ...]
Row = Sequence[str]


@dataclass(frozen=True)
class Selection:
    """Which items of an institution: recorded from `from_at` on and before `until`, of one course or all."""

    institution_id: str
    from_at: datetime | None
    until: datetime
    course_id: str | None


@dataclass(frozen=True)
class Kind:
    """One export type.

    `reads` are the attributes that the functions look at. `steps` are read one after the other, the
    partitions of a step merged in the order of their sort key. `wanted` says whether an item that was
    read belongs to the selection.
    """

    columns: Row
    reads: Sequence[str]
    row: Callable[[RawItem], Row]
    steps: Callable[[Selection], list[Partitions]]
    wanted: Callable[[Selection], Callable[[RawItem], bool]]
    before_sort: Callable[[Selection], str | None]


def items_of(kind: Kind, selection: Selection, partitions: Partitions) -> Iterator[RawItem]:
    """The items of a step in their order, page by page."""
    before_sort = kind.before_sort(selection)
    streams = [_pages(kind, partition, before_sort) for partition in partitions]
    return streams[0] if len(streams) == 1 else heapq.merge(*streams, key=_sort)


def _pages(kind: Kind, partition: str, before_sort: str | None) -> Iterator[RawItem]:
    after = None
    while True:
        items, after = learning.export_page(partition, kind.reads, after=after, before_sort=before_sort)
        yield from items
        if after is None:
            return


def _sort(item: RawItem) -> str:
    sort: str = item["institution_sort"]["S"]
    return sort


# Activity: attempts in the order in which they were recorded


def _days(selection: Selection) -> list[Partitions]:
    """A step per UTC day, so that a year is read as a row of short merges."""
    if selection.from_at is None:
        raise TypeError("attempts are read from some day on")
    first, last = _day(selection.from_at), _day(selection.until)
    return [
        tuple(
            learning.attempts_key(selection.institution_id, first + timedelta(days=n), shard)
            for shard in range(learning.SHARDS)
        )
        for n in range((last - first).days + 1)
    ]


def _day(moment: datetime) -> date:
    return moment.astimezone(UTC).date()


def _attempt_wanted(selection: Selection) -> Callable[[RawItem], bool]:
    """The first day may begin before the selection, and no index tells attempts apart by course.

    A worker may read and drop what a request may not.
    """
    first = instant(selection.from_at) if selection.from_at else ""
    course_id = selection.course_id

    def wanted(item: RawItem) -> bool:
        return _sort(item) >= first and (course_id is None or item["course_id"]["S"] == course_id)

    return wanted


def _attempts_before(selection: Selection) -> str:
    return instant(selection.until)


def activity_row(item: RawItem) -> Row:
    return (
        text(item["sk"]["S"].removeprefix("ATTEMPT#")),
        text(item["pk"]["S"]),
        text(item["course_id"]["S"]),
        text(item["lesson_id"]["S"]),
        text(item["training_id"]["S"]),
        text(item["item_id"]["S"]),
        item["item_version"]["N"],
        text(item["item_type"]["S"]),
        text(item["skill"]["S"]),
        text(item["cefr_level"]["S"]),
        text(item["result"]["S"]),
        item["score"]["N"],
        item["xp"]["N"],
        item["duration_ms"]["N"],
        _seconds(item["occurred_at"]["S"]),
        item["local_date"]["S"],
        _seconds(item["recorded_at"]["S"]),
    )


# Learner progress: one row per learner and course


def _shards(selection: Selection) -> list[Partitions]:
    return [(learning.courses_key(selection.institution_id, shard),) for shard in range(learning.SHARDS)]


def _course_wanted(selection: Selection) -> Callable[[RawItem], bool]:
    sort_key = None if selection.course_id is None else f"COURSE#{selection.course_id}"
    return lambda item: sort_key is None or item["sk"]["S"] == sort_key


def learner_progress_row(item: RawItem) -> Row:
    passed, total = item["items_passed"]["N"], item["items_total"]["N"]
    return (
        text(item["pk"]["S"]),
        text(item["sk"]["S"].removeprefix("COURSE#")),
        passed,
        total,
        str(learning.percent(int(passed), int(total))),
        item["lessons_completed"]["N"],
        item["lessons_total"]["N"],
        item["xp"]["N"],
        item["attempts"]["N"],
        _seconds(item["started_at"]["S"]),
        _seconds_or_nothing(item, "completed_at"),
        _seconds(item["last_activity_at"]["S"]),
    )


def _seconds(stored: str) -> str:
    """A stored time (RFC 3339, UTC, with `Z`) in whole seconds."""
    return stored[:19] + "Z"


def _seconds_or_nothing(item: RawItem, name: str) -> str:
    stored = item.get(name, {}).get("S")
    return "" if stored is None else _seconds(stored)


KINDS: dict[ExportType, Kind] = {
    "activity": Kind(
        columns=(
            "attempt_id", "learner_id", "course_id", "lesson_id", "training_id", "item_id", "item_version",
            "item_type", "skill", "cefr_level", "result", "score", "xp", "duration_ms", "occurred_at",
            "local_date", "recorded_at",
        ),
        reads=(
            "pk", "sk", "institution_sort", "course_id", "lesson_id", "training_id", "item_id",
            "item_version", "item_type", "skill", "cefr_level", "result", "score", "xp", "duration_ms",
            "occurred_at", "local_date", "recorded_at",
        ),
        row=activity_row,
        steps=_days,
        wanted=_attempt_wanted,
        before_sort=_attempts_before,
    ),
    "learner_progress": Kind(
        columns=(
            "learner_id", "course_id", "items_passed", "items_total", "percent", "lessons_completed",
            "lessons_total", "xp", "attempts", "started_at", "completed_at", "last_activity_at",
        ),
        reads=(
            "pk", "sk", "institution_sort", "items_passed", "items_total", "lessons_completed",
            "lessons_total", "xp", "attempts", "started_at", "completed_at", "last_activity_at",
        ),
        row=learner_progress_row,
        steps=_shards,
        wanted=_course_wanted,
        before_sort=lambda _: None,
    ),
}  # fmt: skip
