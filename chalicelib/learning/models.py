"""What a learner has done, in the learner's own partition.

PK mem_…   SK LEARNER               totals: XP, attempts, days of activity, a version
PK mem_…   SK ATTEMPT#att_…         an attempt, immutable
PK mem_…   SK ITEM#itm_…            the best score in an item, ever
PK mem_…   SK DAY#<date>#itm_…      the best score in an item on a local day, which earns its XP once
PK mem_…   SK LESSON#crs_…#lsn_…    how many of a lesson's items are passed
PK mem_…   SK COURSE#crs_…          the same for the course, and how many of its lessons are completed

Every write of a learner goes through the LEARNER item's version, so two devices at once are put in
an order, and each decides on what it read. Nothing depends on which comes first: best scores are
maxima, days a set, the rest is counted from those.

Index `by_institution`: attempts by institution, UTC day of recording and shard, and course progress
by institution and shard, for exports.
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, TypeVar

from pynamodb.attributes import JSONAttribute, NumberAttribute, UnicodeAttribute
from pynamodb.indexes import AllProjection, GlobalSecondaryIndex

from chalicelib.core.store import RawItem, Table, connection, query_in_bulk, table

SHARDS = 8


class _ByInstitution(GlobalSecondaryIndex[Any]):  # type: ignore[no-untyped-call]
    class Meta:
        index_name = "by_institution"
        projection = AllProjection()

    institution_key = UnicodeAttribute(hash_key=True)
    institution_sort = UnicodeAttribute(range_key=True)


class LearnerItem(Table):
    class Meta:
        table_name = table("learning")

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True, default="LEARNER")
    institution_id = UnicodeAttribute()
    xp = NumberAttribute(default=0)
    attempts = NumberAttribute(default=0)
    active_days = JSONAttribute()
    version = NumberAttribute(default=0)


class AttemptItem(Table):
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
    skill = UnicodeAttribute()
    cefr_level = UnicodeAttribute()
    answer = JSONAttribute(null=True)
    result = UnicodeAttribute()
    score = NumberAttribute()
    xp = NumberAttribute()
    duration_ms = NumberAttribute()
    occurred_at = UnicodeAttribute()
    local_date = UnicodeAttribute()
    recorded_at = UnicodeAttribute()
    request_hash = UnicodeAttribute()
    grade = JSONAttribute()
    changes = JSONAttribute()


class BestItem(Table):
    """The best score in an item: ever (`ITEM#…`), or on one day (`DAY#…`)."""

    class Meta:
        table_name = table("learning")

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    score = NumberAttribute()


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
    attempts = NumberAttribute(default=0)
    started_at = UnicodeAttribute()
    completed_at = UnicodeAttribute(null=True)
    last_activity_at = UnicodeAttribute()


@dataclass(frozen=True)
class State:
    """All that one attempt may change, as it was read. None: not there yet."""

    learner: LearnerItem | None
    best: BestItem | None
    best_of_day: BestItem | None
    lesson: LessonItem | None
    course: CourseItem | None


_T = TypeVar("_T", bound=Table)


def attempt_of(learner_id: str, attempt_id: str) -> AttemptItem | None:
    """What was recorded under this id before, if anything."""
    try:
        return AttemptItem.get(learner_id, f"ATTEMPT#{attempt_id}", consistent_read=True)
    except AttemptItem.DoesNotExist:
        return None


def state_of(learner_id: str, *, item_id: str, day: date, course_id: str, lesson_id: str) -> State:
    """Read in one call, consistently."""
    learner = "LEARNER"
    best, best_of_day = f"ITEM#{item_id}", f"DAY#{day}#{item_id}"
    lesson, course = f"LESSON#{course_id}#{lesson_id}", f"COURSE#{course_id}"
    found = _batch_get(learner_id, [learner, best, best_of_day, lesson, course])

    def one(model: type[_T], sk: str) -> _T | None:
        return model.from_raw_data(dict(found[sk])) if sk in found else None

    return State(
        learner=one(LearnerItem, learner),
        best=one(BestItem, best),
        best_of_day=one(BestItem, best_of_day),
        lesson=one(LessonItem, lesson),
        course=one(CourseItem, course),
    )


def _batch_get(pk: str, sort_keys: Sequence[str]) -> Mapping[str, RawItem]:
    name = LearnerItem.Meta.table_name
    found: dict[str, RawItem] = {}
    wanted: list[RawItem] = [{"pk": {"S": pk}, "sk": {"S": sk}} for sk in sort_keys]
    while wanted:
        request = {"RequestItems": {name: {"Keys": wanted, "ConsistentRead": True}}}
        answer = connection().dispatch("BatchGetItem", request)
        found |= {item["sk"]["S"]: item for item in answer["Responses"].get(name, [])}
        wanted = answer.get("UnprocessedKeys", {}).get(name, {}).get("Keys", [])
    return found


def lessons_of(learner_id: str, course_id: str) -> dict[str, LessonItem]:
    """Progress in a course's lessons by lesson id. One query, bounded by the course."""
    prefix = f"LESSON#{course_id}#"
    found = LessonItem.query(learner_id, LessonItem.sk.startswith(prefix), consistent_read=True)
    return {item.sk.removeprefix(prefix): item for item in found}


# For exports: raw items, since making objects of them costs most of an export's time


def attempts_key(institution_id: str, day: date, shard: int) -> str:
    """Partition of the index: attempts recorded on this UTC day."""
    return f"{institution_id}#ATTEMPTS#{day}#{shard}"


def courses_key(institution_id: str, shard: int) -> str:
    """Partition of the index: course progress of every learner."""
    return f"{institution_id}#COURSES#{shard}"


def shard_of(learner_id: str) -> int:
    return zlib.crc32(learner_id.encode()) % SHARDS


def export_page(
    institution_key: str,
    attributes: Sequence[str],
    *,
    after: RawItem | None = None,
    before_sort: str | None = None,
    limit: int = 500,
) -> tuple[list[RawItem], RawItem | None]:
    """A page of a partition of the index in its order, and the key to go on from, or None at its end.

    Of each item only `attributes`. `before_sort` cuts the partition off: attempts sort by
    `<recorded_at>#<attempt id>`.
    """
    values: dict[str, Any] = {":key": {"S": institution_key}}
    condition = "institution_key = :key"
    if before_sort is not None:
        values[":before"] = {"S": before_sort}
        condition += " AND institution_sort < :before"
    names = {f"#{number}": name for number, name in enumerate(attributes)}
    request: dict[str, Any] = {
        "TableName": AttemptItem.Meta.table_name,
        "IndexName": "by_institution",
        "KeyConditionExpression": condition,
        "ExpressionAttributeValues": values,
        "ProjectionExpression": ", ".join(names),
        "ExpressionAttributeNames": names,
        "Limit": limit,
    }
    if after is not None:
        request["ExclusiveStartKey"] = after
    answer = query_in_bulk(request)
    return answer["Items"], answer.get("LastEvaluatedKey")
