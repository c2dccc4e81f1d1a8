"""What can be exported: for each type its columns, where its items stand, and how one becomes a row.

Rows are made from raw items, by one function per type: model objects would cost more than all the
rest of an export. Every time reads `2026-05-01T22:30:00Z`, in whole seconds, so that a column has
one format; in another time zone `2026-05-02T00:30:00+02:00`.
"""

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Literal, Protocol
from zoneinfo import ZoneInfo

from chalicelib.core.clock import instant
from chalicelib.core.csv_file import text
from chalicelib.core.store import RawItem
from chalicelib.learning import service as learning
from chalicelib.webhooks import service as webhooks

ExportType = Literal["activity", "completions", "learner_progress", "cefr", "webhook_deliveries"]
Partitions = tuple[str, ...]
Row = tuple[str, ...]
SCHEMA_VERSION = 1
"""Grows with a change that a reader may trip over: a column gone, renamed or with another meaning."""


@dataclass(frozen=True)
class Selection:
    """Which items of an institution: recorded from `from_at` on and before `until`, of one course or all,
    of these learners or all.
    """

    institution_id: str
    from_at: datetime | None
    until: datetime
    course_id: str | None = None
    learner_ids: frozenset[str] = frozenset()


class Pager(Protocol):
    """A page of a partition between two sort keys, both included, and the key to go on from."""

    def __call__(
        self, partition: str, attributes: Sequence[str], /, *, low: str, high: str, after: RawItem | None
    ) -> tuple[list[RawItem], RawItem | None]: ...


@dataclass(frozen=True)
class Kind:
    """One export type.

    `columns` are told with what they hold. `reads` are the attributes that the functions look at. `steps`
    are read one after the other, the partitions of a step merged in the order of their sort key `sort`.
    `wanted` says whether an item that was read belongs to the selection. `rows` makes the rows of an item,
    most often one. `append_only`: what was recorded before a time stays as it is, so such exports take
    `from`, `to` and `since`, and an interrupted one ends up byte for byte the same.
    """

    columns: Mapping[str, str]
    reads: Sequence[str]
    rows: Callable[[RawItem, Selection], Iterable[Row]]
    steps: Callable[[Selection], list[Partitions]]
    wanted: Callable[[Selection], Callable[[RawItem], bool]]
    page: Pager
    sort: str = "institution_sort"
    append_only: bool = False
    takes_course: bool = True
    takes_learners: bool = True
    times: frozenset[str] = field(default_factory=frozenset)


def items_of(
    kind: Kind, selection: Selection, partitions: Partitions, after: str | None
) -> Iterator[tuple[str, RawItem]]:
    """The items of a step after the sort key `after`, in their order, each with its sort key."""
    low, high = _bounds(kind, selection)
    if after is not None:
        low = after + "\0"  # the next string there can be
    streams = [_pages(kind, partition, low, high) for partition in partitions]
    return streams[0] if len(streams) == 1 else heapq.merge(*streams, key=lambda pair: pair[0])


def _bounds(kind: Kind, selection: Selection) -> tuple[str, str]:
    if kind.sort != "institution_sort" or not kind.append_only:
        return "!", "~"
    low = "!" if selection.from_at is None else instant(selection.from_at)
    return low, instant(selection.until)


def _pages(kind: Kind, partition: str, low: str, high: str) -> Iterator[tuple[str, RawItem]]:
    after, sort = None, kind.sort
    while low <= high:
        items, after = kind.page(partition, kind.reads, low=low, high=high, after=after)
        for item in items:
            yield item[sort]["S"], item
        if after is None:
            return


def chosen(kind: Kind, columns: Sequence[str]) -> Callable[[Row], Row]:
    """Takes the cells of these columns, in this order."""
    names = list(kind.columns)
    if list(columns) == names:
        return lambda row: row
    places = [names.index(one) for one in columns]
    return lambda row: tuple(row[place] for place in places)


def in_zone(kind: Kind, zone: ZoneInfo) -> Callable[[Row], Row]:
    """Shows the times of a row in this zone."""
    places = [place for place, name in enumerate(kind.columns) if name in kind.times]
    if zone.key == "UTC":
        return lambda row: row

    def shown(row: Row) -> Row:
        cells = list(row)
        for place in places:
            if cells[place]:
                cells[place] = datetime.fromisoformat(cells[place]).astimezone(zone).isoformat()
        return tuple(cells)

    return shown


def _seconds(stored: str) -> str:
    """A stored time (RFC 3339, UTC, with `Z`) in whole seconds."""
    return stored[:19] + "Z"


def _seconds_or_nothing(item: RawItem, name: str) -> str:
    stored = item.get(name, {}).get("S")
    return "" if stored is None else _seconds(stored)


def _one(row: Callable[[RawItem], Row]) -> Callable[[RawItem, Selection], Iterable[Row]]:
    return lambda item, _: (row(item),)


# Activity: attempts in the order in which they were recorded


def _by_day(key: Callable[[str, date, int], str]) -> Callable[[Selection], list[Partitions]]:
    """A step per UTC day, so that a year is read as a row of short merges."""

    def days(selection: Selection) -> list[Partitions]:
        if selection.from_at is None:
            raise TypeError("what was recorded is read from some day on")
        first, last = _day(selection.from_at), _day(selection.until)
        return [
            tuple(
                key(selection.institution_id, first + timedelta(days=n), shard)
                for shard in range(learning.SHARDS)
            )
            for n in range((last - first).days + 1)
        ]

    return days


def _day(moment: datetime) -> date:
    return moment.astimezone(UTC).date()


def _recorded_wanted(selection: Selection) -> Callable[[RawItem], bool]:
    """No index tells what was recorded apart by course or learner: a worker may read and drop what a
    request may not.
    """
    course_id, learner_ids = selection.course_id, selection.learner_ids
    return lambda item: (
        (course_id is None or item["course_id"]["S"] == course_id)
        and (not learner_ids or item["pk"]["S"] in learner_ids)
    )


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


# Completions: lessons and courses, in the order in which they were completed


def completion_row(item: RawItem) -> Row:
    lesson_id = item.get("lesson_id", {}).get("S", "")
    return (
        text(item["pk"]["S"]),
        "lesson" if lesson_id else "course",
        text(item["course_id"]["S"]),
        text(lesson_id),
        _seconds(item["completed_at"]["S"]),
    )


# Learner progress: one row per learner and course


def _course_shards(selection: Selection) -> list[Partitions]:
    return [(learning.courses_key(selection.institution_id, shard),) for shard in range(learning.SHARDS)]


def _course_wanted(selection: Selection) -> Callable[[RawItem], bool]:
    sort_key = None if selection.course_id is None else f"COURSE#{selection.course_id}"
    learner_ids = selection.learner_ids
    return lambda item: (
        (sort_key is None or item["sk"]["S"] == sort_key)
        and (not learner_ids or item["pk"]["S"] in learner_ids)
    )


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


# CEFR: one row per learner, language and skill with evidence


def _learner_wanted(selection: Selection) -> Callable[[RawItem], bool]:
    learner_ids = selection.learner_ids
    return lambda item: not learner_ids or item["pk"]["S"] in learner_ids


def cefr_rows(item: RawItem, selection: Selection) -> Iterable[Row]:
    for language, found in learning.levels_of(item, _day(selection.until)):
        estimate = found.estimate
        yield (
            text(item["pk"]["S"]),
            text(language),
            found.skill,
            found.status,
            estimate.proven or "",
            estimate.likely or "",
            found.reached or "",
            f"{estimate.ability:.2f}",
            f"{estimate.sd:.2f}",
            str(estimate.answers),
            f"{estimate.effective_answers:.1f}",
            str(found.items),
        )


# Webhook deliveries: webhook by webhook, in the order in which they were made


def _webhooks(selection: Selection) -> list[Partitions]:
    return [(webhook_id,) for webhook_id in webhooks.ids_of(selection.institution_id)]


def _delivery_wanted(selection: Selection) -> Callable[[RawItem], bool]:
    first = "" if selection.from_at is None else instant(selection.from_at)
    last = instant(selection.until)
    return lambda item: first <= item["created_at"]["S"] < last


def delivery_row(item: RawItem) -> Row:
    return (
        text(item["sk"]["S"]),
        text(item["pk"]["S"]),
        text(item["event_id"]["S"]),
        text(item["event_type"]["S"]),
        text(item["trigger"]["S"]),
        text(item["status"]["S"]),
        text(item.get("failure_reason", {}).get("S", "")),
        item["attempts_made"]["N"],
        item.get("last_status_code", {}).get("N", ""),
        _seconds(item["created_at"]["S"]),
        _seconds_or_nothing(item, "finished_at"),
    )


_LEARNER = {"learner_id": "The member whose learning it is (`mem_…`)."}

KINDS: dict[ExportType, Kind] = {
    "activity": Kind(
        columns={
            "attempt_id": "The answer (`att_…`).",
            **_LEARNER,
            "course_id": "Where the exercise stood when it was answered.",
            "lesson_id": "Likewise.",
            "training_id": "Likewise.",
            "item_id": "The exercise (`itm_…`).",
            "item_version": "The version that it was graded by.",
            "item_type": "Its type, such as `cloze`.",
            "skill": "What it practises.",
            "cefr_level": "A1 to C2, of the exercise.",
            "result": "`correct`, `near_miss`, `partial` or `incorrect`.",
            "score": "0 to 1.",
            "xp": "XP that this answer added.",
            "duration_ms": "Milliseconds, as the client told.",
            "occurred_at": "When it was answered.",
            "local_date": "The day of that in the learner's time zone, YYYY-MM-DD.",
            "recorded_at": "When it was recorded; rows are in this order.",
        },
        reads=("institution_sort", "sk", "pk", "course_id", "lesson_id", "training_id", "item_id",
               "item_version", "item_type", "skill", "cefr_level", "result", "score", "xp", "duration_ms",
               "occurred_at", "local_date", "recorded_at"),
        rows=_one(activity_row),
        steps=_by_day(learning.attempts_key),
        wanted=_recorded_wanted,
        page=learning.export_page,
        append_only=True,
        times=frozenset({"occurred_at", "recorded_at"}),
    ),
    "completions": Kind(
        columns={
            **_LEARNER,
            "what": "`lesson` or `course`.",
            "course_id": "The course, or that of the lesson.",
            "lesson_id": "The lesson; empty for a course.",
            "completed_at": "When it was completed; rows are in this order.",
        },
        reads=("institution_sort", "pk", "course_id", "lesson_id", "completed_at"),
        rows=_one(completion_row),
        steps=_by_day(learning.completions_key),
        wanted=_recorded_wanted,
        page=learning.export_page,
        append_only=True,
        times=frozenset({"completed_at"}),
    ),
    "learner_progress": Kind(
        columns={
            **_LEARNER,
            "course_id": "A course in which the learner has answered.",
            "items_passed": "Exercises passed.",
            "items_total": "Exercises of the course, at the learner's last answer.",
            "percent": "Whole percent, rounded down.",
            "lessons_completed": "Lessons completed.",
            "lessons_total": "Lessons of the course, at the learner's last answer.",
            "xp": "XP earned in the course.",
            "attempts": "Answers given in the course.",
            "started_at": "The first answer.",
            "completed_at": "When the last lesson was completed; empty before.",
            "last_activity_at": "The latest answer.",
        },
        reads=("institution_sort", "pk", "sk", "items_passed", "items_total", "lessons_completed",
               "lessons_total", "xp", "attempts", "started_at", "completed_at", "last_activity_at"),
        rows=_one(learner_progress_row),
        steps=_course_shards,
        wanted=_course_wanted,
        page=learning.export_page,
        times=frozenset({"started_at", "completed_at", "last_activity_at"}),
    ),
    "cefr": Kind(
        columns={
            **_LEARNER,
            "language": "The language learned.",
            "skill": "reading, listening, writing, speaking, grammar or vocabulary.",
            "status": "`proven`, `not_proven`, `not_enough_evidence`, `self_assessed` or `no_evidence`.",
            "level": "The level that the evidence proves; empty where it proves none.",
            "likely_level": "The most probable level; empty below A1.",
            "level_reached": "The highest level ever proven.",
            "ability": "Logits; a level is 1.5 wide, A1 begins at -2.9.",
            "ability_sd": "Its standard deviation.",
            "answers": "First answers of a day to an exercise.",
            "effective_answers": "The same, older ones counting less.",
            "items": "Different exercises.",
        },
        reads=("institution_sort", "pk", "evidence", "items", "reached"),
        rows=cefr_rows,
        steps=_course_shards,
        wanted=_learner_wanted,
        page=learning.learners_page,
        takes_course=False,
    ),
    "webhook_deliveries": Kind(
        columns={
            "delivery_id": "The delivery (`dlv_…`).",
            "webhook_id": "To which webhook.",
            "event_id": "Of which event.",
            "event_type": "Its type.",
            "trigger": "What made it: `event`, `test` and others.",
            "status": "Its state when the file was made.",
            "failure_reason": "Why it failed; empty otherwise.",
            "attempts_made": "Requests sent.",
            "last_status_code": "HTTP status of the last one; empty where none came.",
            "created_at": "When it was made.",
            "finished_at": "When it reached a final state; empty before.",
        },
        reads=("sk", "pk", "event_id", "event_type", "trigger", "status", "failure_reason", "attempts_made",
               "last_status_code", "created_at", "finished_at"),
        rows=_one(delivery_row),
        steps=_webhooks,
        wanted=_delivery_wanted,
        page=webhooks.export_page,
        sort="sk",
        append_only=True,
        takes_course=False,
        takes_learners=False,
        times=frozenset({"created_at", "finished_at"}),
    ),
}  # fmt: skip
