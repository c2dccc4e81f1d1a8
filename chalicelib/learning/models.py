"""What a learner has done, in the learner's own partition.

PK mem_…   SK LEARNER               totals: XP, days of activity, evidence, achievements; a version
PK mem_…   SK ATTEMPT#att_…         an attempt, immutable
PK mem_…   SK READ#lsn_…            that a lesson without exercises was read, immutable
PK mem_…   SK ITEM#itm_…            the best score in an item, its reviews, when it is due
PK mem_…   SK ITEM#itm_…#<date>     an item on a local day: its XP, and its earliest answer, the evidence
PK mem_…   SK LESSON#crs_…#lsn_…    how many of a lesson's items are passed
PK mem_…   SK COURSE#crs_…          the same for the course, and how many of its lessons are completed
PK mem_…   SK DAY#<date>            what was done on a local day
PK mem_…   SK COMPLETION#…          a lesson or course that was completed, immutable

Every write of a learner goes through the LEARNER item's version, so two devices at once are put in
an order, and each decides on what it read. Nothing depends on which comes first: the rest are sums of
sums, maxima, minima and sets over the learner's attempts. Attempts and READ are the facts, numbered in that
order; all other rows follow from them (`replay`).

Index `by_institution`, for exports: attempts and completions by institution, UTC day of recording and
shard; course progress by institution and shard. Index `by_due`: a learner's items by the time they are due.
"""

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Protocol, TypeVar

from pynamodb.attributes import BooleanAttribute, JSONAttribute, NumberAttribute, UnicodeAttribute
from pynamodb.exceptions import PutError
from pynamodb.indexes import AllProjection, GlobalSecondaryIndex, IncludeProjection

from chalicelib.core.clock import instant
from chalicelib.core.errors import NotFound
from chalicelib.core.store import RawItem, Table, connection, query_in_bulk, table, unless_condition_failed

SHARDS = 16


class _ByInstitution(GlobalSecondaryIndex[Any]):  # type: ignore[no-untyped-call]
    class Meta:
        index_name = "by_institution"
        projection = AllProjection()

    institution_key = UnicodeAttribute(hash_key=True)
    institution_sort = UnicodeAttribute(range_key=True)


class _ByDue(GlobalSecondaryIndex[Any]):  # type: ignore[no-untyped-call]
    class Meta:
        index_name = "by_due"
        projection = IncludeProjection(["place", "reviews", "score"])

    due_key = UnicodeAttribute(hash_key=True)
    due_sort = UnicodeAttribute(range_key=True)


class LearnerItem(Table):
    """`evidence` by language, skill and cell; `items` counts different items by language, skill and level;
    `reached` is the highest level that was proven, ever, by language and skill. `active_days` are runs:
    first ordinal, number of days. `latest`: id and local date of the attempt that was written last.
    """

    class Meta:
        table_name = table("learning")

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True, default="LEARNER")
    institution_id = UnicodeAttribute()
    xp = NumberAttribute(default=0)
    board_xp = NumberAttribute(default=0)
    attempts = NumberAttribute(default=0)
    latest = JSONAttribute(null=True)
    study_ms = NumberAttribute(default=0)
    items_passed = NumberAttribute(default=0)
    lessons_completed = NumberAttribute(default=0)
    courses_completed = NumberAttribute(default=0)
    active_days = JSONAttribute(default=list)
    evidence = JSONAttribute(default=dict)
    items = JSONAttribute(default=dict)
    reached = JSONAttribute(default=dict)
    achievements = JSONAttribute(default=dict)
    erased = BooleanAttribute(null=True)
    version = NumberAttribute(default=0)


class AttemptItem(Table):
    """An answer with all that its effects follow from: how large its lesson and course were, in which zone
    the learner's days were counted, which of the learner's facts it is by `number`.
    """

    class Meta:
        table_name = table("learning")

    by_institution = _ByInstitution()

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    institution_id = UnicodeAttribute()
    institution_key = UnicodeAttribute()
    institution_sort = UnicodeAttribute()
    actor_id = UnicodeAttribute()
    course_id = UnicodeAttribute()
    lesson_id = UnicodeAttribute()
    training_id = UnicodeAttribute()
    item_id = UnicodeAttribute()
    item_version = NumberAttribute()
    item_type = UnicodeAttribute()
    language = UnicodeAttribute()
    skill = UnicodeAttribute()
    cefr_level = UnicodeAttribute()
    lesson_items = NumberAttribute()
    course_items = NumberAttribute()
    course_lessons = NumberAttribute()
    answer = JSONAttribute(null=True)
    result = UnicodeAttribute()
    score = NumberAttribute()
    xp = NumberAttribute()
    points = NumberAttribute()
    guess = NumberAttribute(null=True)
    imported = BooleanAttribute(default=False)
    duration_ms = NumberAttribute()
    occurred_at = UnicodeAttribute()
    local_date = UnicodeAttribute()
    time_zone = UnicodeAttribute()
    recorded_at = UnicodeAttribute()
    number = NumberAttribute()
    request_hash = UnicodeAttribute()
    grade = JSONAttribute()
    changes = JSONAttribute()


class ReadItem(Table):
    class Meta:
        table_name = table("learning")

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    institution_id = UnicodeAttribute()
    course_id = UnicodeAttribute()
    lesson_id = UnicodeAttribute()
    course_items = NumberAttribute()
    course_lessons = NumberAttribute()
    time_zone = UnicodeAttribute()
    recorded_at = UnicodeAttribute()
    number = NumberAttribute()


class ItemItem(Table):
    """`cells` are the kinds of evidence that the item has given; `place` says where it stands."""

    class Meta:
        table_name = table("learning")

    by_due = _ByDue()

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    score = NumberAttribute(default=0)
    attempts = NumberAttribute(default=0)
    cells = JSONAttribute(default=list)
    reviews = JSONAttribute(default=dict)
    place = JSONAttribute(default=dict)
    due_key = UnicodeAttribute()
    due_sort = UnicodeAttribute()


class ItemDayItem(Table):
    """`xp` is the most that an answer earned, `board_xp` by period the most of those that count there; the
    earliest answer of the day is evidence in its `cell`.
    """

    class Meta:
        table_name = table("learning")

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    xp = NumberAttribute(default=0)
    board_xp = JSONAttribute(default=dict)
    earliest = UnicodeAttribute(null=True)
    score = NumberAttribute(default=0)
    cell = JSONAttribute(null=True)


class DayItem(Table):
    """Sums over the attempts of a local day. `boards`: XP that counts in the week and in the month, by
    course; `types`: attempts and scores (in ten-thousandths) by item type; `hours`: milliseconds of study by
    local hour; `evidence`: the day's part.
    """

    class Meta:
        table_name = table("learning")

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    attempts = NumberAttribute(default=0)
    correct = NumberAttribute(default=0)
    items = NumberAttribute(default=0)
    xp = NumberAttribute(default=0)
    study_ms = NumberAttribute(default=0)
    evidence = JSONAttribute(default=dict)
    boards = JSONAttribute(default=dict)
    types = JSONAttribute(default=dict)
    hours = JSONAttribute(default=dict)


class LessonItem(Table):
    class Meta:
        table_name = table("learning")

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    items_passed = NumberAttribute(default=0)
    completed_at = UnicodeAttribute(null=True)
    last_activity_at = UnicodeAttribute()


class CourseItem(Table):
    class Meta:
        table_name = table("learning")

    by_institution = _ByInstitution()

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    institution_key = UnicodeAttribute()
    institution_sort = UnicodeAttribute()
    items_passed = NumberAttribute(default=0)
    items_total = NumberAttribute(default=0)
    lessons_completed = NumberAttribute(default=0)
    lessons_total = NumberAttribute(default=0)
    xp = NumberAttribute(default=0)
    board_xp = NumberAttribute(default=0)
    attempts = NumberAttribute(default=0)
    started_at = UnicodeAttribute()
    completed_at = UnicodeAttribute(null=True)
    last_activity_at = UnicodeAttribute()


class CompletionItem(Table):
    """`lesson_id` is None for a course."""

    class Meta:
        table_name = table("learning")

    by_institution = _ByInstitution()

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    institution_key = UnicodeAttribute()
    institution_sort = UnicodeAttribute()
    course_id = UnicodeAttribute()
    lesson_id = UnicodeAttribute(null=True)
    completed_at = UnicodeAttribute()


@dataclass(frozen=True)
class LessonState:
    """All that completing a lesson may change, as it was read; a row that is not there yet is a new one."""

    learner: LearnerItem
    lesson: LessonItem
    course: CourseItem


@dataclass(frozen=True)
class State(LessonState):
    """All that one attempt may change."""

    item: ItemItem
    item_day: ItemDayItem
    day: DayItem


_T = TypeVar("_T", bound=Table)


class Rows(Protocol):
    """A learner's rows by their sort keys, a new one where there is none."""

    def __call__(self, model: type[_T], sk: str, /) -> _T: ...


def attempt_of(learner_id: str, attempt_id: str) -> AttemptItem | None:
    """What was recorded under this id before, if anything."""
    try:
        return AttemptItem.get(learner_id, f"ATTEMPT#{attempt_id}", consistent_read=True)
    except AttemptItem.DoesNotExist:
        return None


def learner_of(learner_id: str) -> LearnerItem | None:
    """The totals of a learner; None before the first attempt."""
    try:
        return LearnerItem.get(learner_id, "LEARNER", consistent_read=True)
    except LearnerItem.DoesNotExist:
        return None


def state_of(learner_id: str, *, item_id: str, day: date, course_id: str, lesson_id: str) -> State:
    """Read in one call, consistently."""
    keys = state_keys(item_id, day, course_id, lesson_id)
    return state_in(_rows(learner_id, keys), keys)


def state_keys(item_id: str, day: date, course_id: str, lesson_id: str) -> Sequence[str]:
    """The sort keys of all that an attempt may change."""
    return (*lesson_keys(course_id, lesson_id), f"ITEM#{item_id}", f"ITEM#{item_id}#{day}", f"DAY#{day}")


def state_in(row: Rows, keys: Sequence[str]) -> State:
    learner, lesson, course, item, item_day, day = keys
    return State(
        learner=row(LearnerItem, learner),
        lesson=row(LessonItem, lesson),
        course=row(CourseItem, course),
        item=row(ItemItem, item),
        item_day=row(ItemDayItem, item_day),
        day=row(DayItem, day),
    )


def lesson_state_of(learner_id: str, course_id: str, lesson_id: str) -> LessonState:
    """Read in one call, consistently."""
    keys = lesson_keys(course_id, lesson_id)
    return lesson_state_in(_rows(learner_id, keys), keys)


def lesson_keys(course_id: str, lesson_id: str) -> Sequence[str]:
    """The sort keys of all that completing a lesson may change."""
    return "LEARNER", f"LESSON#{course_id}#{lesson_id}", f"COURSE#{course_id}"


def lesson_state_in(row: Rows, keys: Sequence[str]) -> LessonState:
    learner, lesson, course = keys
    return LessonState(row(LearnerItem, learner), row(LessonItem, lesson), row(CourseItem, course))


def _rows(learner_id: str, sort_keys: Sequence[str]) -> Rows:
    """Reads the rows in one call. Raises `NotFound` for a learner who has been erased."""
    found = _batch_get(learner_id, sort_keys)
    if "erased" in found.get("LEARNER", {}):
        raise NotFound("learner")

    def row(model: type[_T], sk: str) -> _T:
        return model.from_raw_data(dict(found[sk])) if sk in found else model(learner_id, sk)

    return row


def days_of(learner_id: str, first: date, last: date) -> list[DayItem]:
    """The local days with activity, in order. One query of at most that many small rows."""
    return list(
        DayItem.query(learner_id, DayItem.sk.between(f"DAY#{first}", f"DAY#{last}"), consistent_read=True)
    )


def _batch_get(pk: str, sort_keys: Sequence[str]) -> Mapping[str, RawItem]:
    found = _batch_get_keys([{"pk": {"S": pk}, "sk": {"S": sk}} for sk in sort_keys])
    return {item["sk"]["S"]: item for item in found}


def _batch_get_keys(wanted: list[RawItem]) -> list[RawItem]:
    """The items of at most 100 keys, consistently, in any order."""
    name = LearnerItem.Meta.table_name
    found: list[RawItem] = []
    while wanted:
        request = {"RequestItems": {name: {"Keys": wanted, "ConsistentRead": True}}}
        answer = connection().dispatch("BatchGetItem", request)
        found += answer["Responses"].get(name, [])
        wanted = answer.get("UnprocessedKeys", {}).get(name, {}).get("Keys", [])
    return found


def due_items(
    learner_id: str, before: str, start: str | None, limit: int, *, backwards: bool
) -> Sequence[ItemItem]:
    """A learner's items that are due before this instant, the most overdue first."""
    low, high = "", before
    if start is not None:
        low, high = ("", start) if backwards else (start + "~", before)
    if low > high:
        return []
    due = ItemItem.due_sort
    within = due < high if not low else due.between(low, high)
    return list(ItemItem.by_due.query(learner_id, within, scan_index_forward=not backwards, limit=limit))


def due_count(learner_id: str, before: str, at_most: int) -> int:
    return ItemItem.by_due.count(learner_id, ItemItem.due_sort < before, limit=at_most)


def totals_of(learner_id: str, course_ids: Sequence[str]) -> tuple[LearnerItem, dict[str, CourseItem]]:
    """The learner's totals, and its progress in these courses by their ids. One call, consistent."""
    keys = {course_id: f"COURSE#{course_id}" for course_id in course_ids}
    row = _rows(learner_id, ["LEARNER", *keys.values()])
    return row(LearnerItem, "LEARNER"), {one: row(CourseItem, key) for one, key in keys.items()}


def lessons_of(learner_id: str, course_id: str) -> dict[str, LessonItem]:
    """Progress in a course's lessons by lesson id. One query, bounded by the course."""
    prefix = f"LESSON#{course_id}#"
    found = LessonItem.query(learner_id, LessonItem.sk.startswith(prefix), consistent_read=True)
    return {item.sk.removeprefix(prefix): item for item in found}


def courses_of(learner_id: str) -> list[str]:
    """The courses in which there was activity. One query, bounded by the courses of a learner."""
    found = CourseItem.query(learner_id, CourseItem.sk.startswith("COURSE#"), consistent_read=True)
    return [item.sk.removeprefix("COURSE#") for item in found]


# For proofs and repairs: a learner's whole partition, page by page


def facts_of(learner_id: str) -> list[AttemptItem | ReadItem]:
    """All that the learner has done, in the order in which it was written.

    Raises `NotFound` for a learner who has been erased, or is being so: the mark comes before it.
    """
    facts: list[AttemptItem | ReadItem] = []
    for model in (AttemptItem, ReadItem):
        prefix = "ATTEMPT#" if model is AttemptItem else "READ#"
        facts += model.query(learner_id, model.sk.startswith(prefix), consistent_read=True)
    totals = learner_of(learner_id)
    if totals is not None and totals.erased:
        raise NotFound("learner")
    return sorted(facts, key=lambda fact: int(fact.number))


def derived_rows(learner_id: str) -> dict[str, RawItem]:
    """What is stored beside the facts, by its sort key."""
    rows = {row["sk"]["S"]: row for row in _partition(learner_id)}
    return {sk: row for sk, row in rows.items() if not sk.startswith(("ATTEMPT#", "READ#"))}


def _partition(learner_id: str) -> Iterator[RawItem]:
    """Every row of a learner, in the order of their sort keys."""
    request: dict[str, Any] = {
        "TableName": LearnerItem.Meta.table_name,
        "KeyConditionExpression": "pk = :learner",
        "ExpressionAttributeValues": {":learner": {"S": learner_id}},
        "ConsistentRead": True,
    }
    while True:
        answer = connection().dispatch("Query", request)
        yield from answer["Items"]
        if "LastEvaluatedKey" not in answer:
            return
        request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]


# For exports: raw items, since making objects of them costs most of an export's time


def attempts_key(institution_id: str, day: date, shard: int) -> str:
    """Partition of the index: attempts recorded on this UTC day."""
    return f"{institution_id}#ATTEMPTS#{day}#{shard}"


def completions_key(institution_id: str, day: date, shard: int) -> str:
    """Partition of the index: what was completed on this UTC day."""
    return f"{institution_id}#COMPLETIONS#{day}#{shard}"


def courses_key(institution_id: str, shard: int) -> str:
    """Partition of the index: course progress of every learner."""
    return f"{institution_id}#COURSES#{shard}"


def completion(fact: AttemptItem | ReadItem, lesson_id: str | None, now: datetime) -> CompletionItem:
    """The record of a lesson's completion by this fact, or of its course's."""
    what = lesson_id or fact.course_id
    return CompletionItem(
        fact.pk,
        f"COMPLETION#{what}",
        institution_key=completions_key(fact.institution_id, now.date(), shard_of(fact.pk)),
        institution_sort=f"{instant(now)}#{fact.pk}#{what}",
        course_id=fact.course_id,
        lesson_id=lesson_id,
        completed_at=instant(now),
    )


def shard_of(learner_id: str) -> int:
    return zlib.crc32(learner_id.encode()) % SHARDS


def export_page(
    institution_key: str,
    attributes: Sequence[str],
    *,
    low: str,
    high: str,
    after: RawItem | None = None,
    limit: int = 500,
) -> tuple[list[RawItem], RawItem | None]:
    """A page of a partition of the index in its order, and the key to go on from, or None at its end.

    Of each item only `attributes`; sort keys from `low` to `high`.
    """
    names = {f"#{number}": name for number, name in enumerate(attributes)}
    request: dict[str, Any] = {
        "TableName": AttemptItem.Meta.table_name,
        "IndexName": "by_institution",
        "KeyConditionExpression": "institution_key = :key AND institution_sort BETWEEN :low AND :high",
        "ExpressionAttributeValues": {
            ":key": {"S": institution_key},
            ":low": {"S": low},
            ":high": {"S": high},
        },
        "ProjectionExpression": ", ".join(names),
        "ExpressionAttributeNames": names,
        "Limit": limit,
    }
    if after is not None:
        request["ExclusiveStartKey"] = after
    answer = query_in_bulk(request)
    return answer["Items"], answer.get("LastEvaluatedKey")


def learners_page(
    courses_key: str, _attributes: Sequence[str], *, low: str, high: str, after: RawItem | None = None
) -> tuple[list[RawItem], RawItem | None]:
    """The totals of the learners of a partition of course progress, each once, and where to go on from.

    Learners have no entry in the index: it would be written with every answer.
    """
    begin = after["low"]["S"] if after else low
    courses, more = export_page(courses_key, ("pk",), low=begin, high=high)
    learners = list(dict.fromkeys(item["pk"]["S"] for item in courses))
    found: list[RawItem] = []
    for start in range(0, len(learners), 100):
        keys: list[RawItem] = [
            {"pk": {"S": one}, "sk": {"S": "LEARNER"}} for one in learners[start : start + 100]
        ]
        found += _batch_get_keys(keys)
    items: list[RawItem] = [{**item, "institution_sort": {"S": _beyond(item["pk"]["S"])}} for item in found]
    items.sort(key=lambda item: str(item["pk"]["S"]))
    return items, {"low": {"S": _beyond(learners[-1])}} if more else None


def _beyond(learner_id: str) -> str:
    """Sorts after every course of the learner."""
    return f"{learner_id}#~"


# Of one person: everything, and its end

_OF_KIND: Mapping[str, Callable[[str], type[Table]]] = {
    "LEARNER": lambda _: LearnerItem,
    "ATTEMPT": lambda _: AttemptItem,
    "READ": lambda _: ReadItem,
    "ITEM": lambda sk: ItemDayItem if sk.count("#") == 2 else ItemItem,
    "LESSON": lambda _: LessonItem,
    "COURSE": lambda _: CourseItem,
    "DAY": lambda _: DayItem,
    "COMPLETION": lambda _: CompletionItem,
}


def everything_of(learner_id: str) -> Iterator[tuple[str, Table]]:
    """Every row of a learner, with its kind, in the order of their sort keys."""
    for item in _partition(learner_id):
        kind, sk = item["sk"]["S"].partition("#")[0], item["sk"]["S"]
        yield kind, _OF_KIND[kind](sk).from_raw_data(dict(item))


def close(learner_id: str, institution_id: str) -> None:
    """Put a mark in the place of the totals, at which every write fails that comes now or later."""
    while True:
        before = learner_of(learner_id)
        if before is not None and before.erased:
            return
        version = 0 if before is None else int(before.version)
        mark = LearnerItem(learner_id, institution_id=institution_id, erased=True, version=version + 1)
        as_read = LearnerItem.pk.does_not_exist() if before is None else LearnerItem.version == version
        try:
            mark.save(as_read)
        except PutError as error:
            unless_condition_failed(error)
        else:
            return


def forget(learner_id: str) -> None:
    """Delete everything of a learner but the mark. Safe to repeat."""
    with LearnerItem.batch_write() as batch:
        for kind, item in everything_of(learner_id):
            if kind != "LEARNER":
                batch.delete(item)
