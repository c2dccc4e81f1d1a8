"""Reading the catalogue: who sees what, list by list, and what learning needs to know of it.

An institution sees its own courses, first, and the public ones. What it does not see is, for it, not there:
as a path it is 404, as a filter it matches nothing, exactly as an id that was never given out.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

from pydantic import BaseModel

from chalicelib.catalogue import models, schemas, tree
from chalicelib.catalogue.items import Item
from chalicelib.catalogue.words import words_of
from chalicelib.core.clock import instant
from chalicelib.core.errors import Invalid, NotFound
from chalicelib.core.ids import is_id
from chalicelib.core.paging import Reader, of_list
from chalicelib.institutions.service import PUBLIC_INSTITUTION

T = TypeVar("T", bound=BaseModel)

_LONGEST_WRITE = timedelta(seconds=60)
"""What changes at a moment is on record, at least as under way, so much later at the latest."""


@dataclass(frozen=True)
class Found(Generic[T]):
    """A list: how to read its rows, what a page of them shows, and how many there are, where that is counted.

    Pages of a list that is not `full` may be short.
    """

    read: Reader[Any]
    show: Callable[[Sequence[Any]], list[T]]
    total: int | None = None
    full: bool = True


@dataclass(frozen=True)
class Exercise:
    """A published training item with its key: what grading an attempt needs, read at once.

    `language` is what is taught (BCP 47; `und` where an old record does not say).
    """

    item_id: str
    version: int
    training_id: str
    lesson_id: str
    course_id: str
    item: Item
    language: str
    lesson_item_count: int
    course_item_count: int
    course_lesson_count: int


@dataclass(frozen=True)
class CourseLesson:
    """A lesson as its course lists it."""

    id: str
    title: str
    position: int
    item_count: int


@dataclass(frozen=True)
class Course:
    """A course in outline. Lessons stand in order."""

    id: str
    slug: str
    title: str
    lessons: tuple[CourseLesson, ...]
    item_count: int


# What learning reads


@dataclass(frozen=True)
class Offered:
    """How much the public catalogue holds."""

    courses: int
    lessons: int
    items: int


def public_totals() -> Offered:
    """Three reads of counters."""
    return Offered(
        courses=models.total_of([models.list_of("COURSES", PUBLIC_INSTITUTION, None, None)]),
        lessons=models.total_of([models.list_of("LESSONS", PUBLIC_INSTITUTION, None, None)]),
        items=models.total_of([models.list_of("ITEMS", PUBLIC_INSTITUTION, None, None, None, None)]),
    )


def published(item_ids: Sequence[str]) -> frozenset[str]:
    """Which of at most 100 training items are published still. One read, none for no items."""
    return models.published_of(item_ids) if item_ids else frozenset()


@dataclass(frozen=True)
class LessonInCourse:
    """A lesson, and how large its course is."""

    id: str
    course_id: str
    item_count: int
    course_item_count: int
    course_lesson_count: int


def exercise(institution_id: str, item_id: str, version: int | None = None) -> Exercise:
    """The item as this institution may use it: as it is now, or in the version that a learner saw.

    One read; two for an earlier version. Raises `NotFound` for an unknown, malformed or unpublished item,
    and for another institution's; `Invalid` for a version that was never published.
    """
    head = models.head_of(item_id, with_key=True)
    if head.owner_id not in owners_seen_by(institution_id):
        raise NotFound("training item")
    authored = head.item
    if version is not None and version != int(head.version):
        authored = models.version_of(item_id, version).item
    return Exercise(
        item_id=head.pk,
        version=version or int(head.version),
        training_id=head.training_id,
        lesson_id=head.lesson_id,
        course_id=head.course_id,
        item=Item.model_validate_json(authored),
        language=head.language or "und",
        lesson_item_count=int(head.lesson_item_count),
        course_item_count=int(head.course_item_count),
        course_lesson_count=int(head.course_lesson_count),
    )


def lesson_in_course(institution_id: str, lesson_id: str) -> LessonInCourse:
    """A lesson and the size of its course. Four reads. Raises `NotFound`, also for a foreign one."""
    found = lesson(institution_id, lesson_id)
    course = _course_item(institution_id, found.course_id)
    return LessonInCourse(
        id=lesson_id,
        course_id=found.course_id,
        item_count=found.item_count,
        course_item_count=course.resource["item_count"],
        course_lesson_count=course.resource["lesson_count"],
    )


def course(institution_id: str, course_id: str) -> Course:
    """The course in outline, as it was last published, archived or not: progress in it stays readable.

    One read. Raises `NotFound`, also for another institution's.
    """
    item = _course_item(institution_id, course_id, archived=True)
    outlined = ("id", "title", "position", "item_count")
    return Course(
        id=item.pk,
        slug=item.resource["slug"],
        title=item.resource["title"],
        lessons=tuple(CourseLesson(**{name: lesson[name] for name in outlined}) for lesson in item.lessons),
        item_count=item.resource["item_count"],
    )


# One thing


def course_details(institution_id: str, course_id: str) -> schemas.CourseDetails:
    """The course with its lessons. Two reads. Raises `NotFound`, also for another institution's."""
    item = _course_item(institution_id, course_id)
    keys = _lesson_keys(item)
    records = models.lessons_of(keys, outline=True)
    lessons = [schemas.Lesson(**records[key].resource) for key in keys]
    return schemas.CourseDetails(**item.resource, lessons=lessons)


def public_course_details(slug: str) -> schemas.CourseDetails:
    """The public course with this slug, with its lessons. Raises `NotFound`."""
    return course_details(PUBLIC_INSTITUTION, models.course_id(PUBLIC_INSTITUTION, slug))


def lesson(institution_id: str, lesson_id: str) -> schemas.Lesson:
    """Three reads. Raises `NotFound`."""
    found = _lesson(institution_id, lesson_id)
    if found is None:
        raise NotFound("lesson")
    return found.resource


def training(institution_id: str, training_id: str) -> schemas.Training:
    """Three reads. Raises `NotFound`."""
    found = _training(institution_id, training_id)
    if found is None:
        raise NotFound("training")
    return found[0]


def training_item(institution_id: str, item_id: str) -> schemas.TrainingItem:
    """One read, which fetches no key. Raises `NotFound`."""
    head = models.head_of(item_id, with_key=False)
    if head.owner_id not in owners_seen_by(institution_id):
        raise NotFound("training item")
    return schemas.TrainingItem(**head.resource)


# Lists


def courses(institution_id: str, query: schemas.CourseQuery) -> Found[schemas.Course]:
    """The courses that this institution may use: by slug, its own first, unless the query says otherwise."""
    owners = owners_seen_by(institution_id)
    lists = [models.list_of("COURSES", owner, query.language, query.level) for owner in owners]
    if query.q is not None:
        return _searched(owners, query, query.q)
    total = models.total_of(lists)
    if query.sort is None:
        return Found(models.reader(lists), _as(schemas.Course), total)
    field = query.sort.removeprefix("-")
    if field != "slug":
        lists = [
            models.sorted_list(name, {"title": "title", "updated_at": "updated"}[field]) for name in lists
        ]
    return Found(models.merged(lists, descending=query.sort.startswith("-")), _as(schemas.Course), total)


def lessons(institution_id: str, query: schemas.LessonQuery) -> Found[schemas.Lesson]:
    """The lessons of a course, or of every course."""
    if query.course is None:
        return _across(institution_id, "LESSONS", schemas.Lesson, query.language, query.level)
    item = _visible(institution_id, query.course)
    keys = _lesson_keys(item) if item and _fits(item, query) else []

    def show(rows: Sequence[models.Key]) -> list[schemas.Lesson]:
        records = models.lessons_of(rows, outline=True)
        return [schemas.Lesson(**records[key].resource) for key in rows]

    return _of_tree(keys, show)


def trainings(institution_id: str, query: schemas.TrainingQuery) -> Found[schemas.Training]:
    """The trainings of a lesson, of a course, or of every course."""
    if query.course is None and query.lesson is None:
        return _across(institution_id, "TRAININGS", schemas.Training, query.language, query.level)
    found = [
        training
        for lesson in _lessons_under(institution_id, query.course, query.lesson)
        for training, _ in lesson.trainings
        if query.language in (None, training.language) and query.level in (None, training.cefr_level)
    ]
    return _of_tree(found, list)


def training_items(institution_id: str, query: schemas.ItemQuery) -> Found[schemas.TrainingItem]:
    """The items of a training, lesson or course, or of every course, by whatever filters."""
    if query.course is None and query.lesson is None and query.training is None:
        filters = (query.language, query.level, query.type, query.skill)
        counted = sum(value is not None for value in filters) <= 1
        return _across(institution_id, "ITEMS", schemas.TrainingItem, *filters, counted=counted)
    chosen = [
        (training, leaf, position)
        for training, leaf, position in _leaves_under(institution_id, query)
        if query.language in (None, training.language)
        and query.level in (None, leaf.level)
        and query.type in (None, leaf.type)
        and query.skill in (None, leaf.skill)
    ]

    def show(
        rows: Sequence[tuple[schemas.Training, models.Leaf, int]],
    ) -> list[schemas.TrainingItem]:
        shown = models.shown_of({leaf.id: leaf.version for _, leaf, _ in rows})
        return [
            tree.training_item(training, leaf, position, shown[leaf.id]) for training, leaf, position in rows
        ]

    return _of_tree(chosen, show)


class Changes:
    """Reads what has changed or gone since some time, oldest first, the institution's own first.

    A row may come into its list later than its time says: its publication is still under way. So before
    rows are read, it is decided up to which time none can be missing: `complete_until`, which cursors
    carry along.
    """

    def __init__(self, institution_id: str, kind: str, since: datetime, now: datetime) -> None:
        self.complete_until: str | None = None
        self._now = now
        self._owners = owners_seen_by(institution_id)
        self._read = models.reader(
            [models.changes_list(kind, owner) for owner in self._owners], instant(since)
        )

    def __call__(self, start: str | None, limit: int, *, backwards: bool) -> Sequence[tuple[str, Any]]:
        if start is not None:
            self.complete_until, _, start = start.partition("|")
        elif self.complete_until is None:
            self.complete_until = self._complete_until()
        found = self._read(start or None, limit, backwards=backwards)
        return [(f"{self.complete_until}|{position}", row) for position, row in found]

    def _complete_until(self) -> str:
        under_way = [one.started_at for owner in self._owners for one in models.publications(owner)]
        return min([instant(self._now - _LONGEST_WRITE), *under_way])


def changed(model: type[T], rows: Sequence[Any]) -> list[T | schemas.Tombstone]:
    """What rows of `Changes` show."""
    return [schemas.Tombstone(**row) if row.get("deleted") else model(**row) for row in rows]


def owners_seen_by(institution_id: str) -> tuple[str, ...]:
    """Whose courses an institution may use: its own and the platform's, which are public."""
    if institution_id == PUBLIC_INSTITUTION:
        return (PUBLIC_INSTITUTION,)
    return (institution_id, PUBLIC_INSTITUTION)


# Below a course


def _course_item(institution_id: str, course_id: str, *, archived: bool = False) -> models.CourseItem:
    item = models.course_of(course_id)
    if item.owner_id not in owners_seen_by(institution_id) or (item.archived_at and not archived):
        raise NotFound("course")
    return item


def _visible(institution_id: str, course_id: str) -> models.CourseItem | None:
    try:
        return _course_item(institution_id, course_id)
    except NotFound:
        return None


def _course_around(institution_id: str, part_id: str, prefix: str) -> models.CourseItem | None:
    """The published course that a lesson, training or item was made for."""
    if not is_id(part_id, prefix):
        return None
    try:
        origin = models.origin_of(part_id, "part")
    except NotFound:
        return None
    return _visible(institution_id, origin.course_id)


def _lesson(institution_id: str, lesson_id: str) -> tree.Lesson | None:
    """The lesson, where it is published. Three reads."""
    return _lesson_where(
        _course_around(institution_id, lesson_id, "lsn"), lambda outline: outline["id"] == lesson_id
    )


def _training(institution_id: str, training_id: str) -> tuple[schemas.Training, Sequence[models.Leaf]] | None:
    """The training with its items, where it is published. Three reads."""
    around = _course_around(institution_id, training_id, "trn")
    lesson = _lesson_where(around, lambda outline: training_id in outline["training_ids"])
    branches = lesson.trainings if lesson else ()
    return next((branch for branch in branches if branch[0].id == training_id), None)


def _lesson_where(
    item: models.CourseItem | None, holds: Callable[[Mapping[str, Any]], bool]
) -> tree.Lesson | None:
    keys = [(one["id"], one["record"]) for one in item.lessons if holds(one)] if item else []
    return next((tree.Lesson.of(record) for record in models.lessons_of(keys).values()), None)


def _lessons_under(institution_id: str, course_id: str | None, lesson_id: str | None) -> list[tree.Lesson]:
    """The lesson, if it is of the course; or all lessons of the course."""
    if lesson_id is not None:
        found = _lesson(institution_id, lesson_id)
        fits = found is not None and course_id in (None, found.resource.course_id)
        return [found] if found is not None and fits else []
    item = _visible(institution_id, course_id) if course_id else None
    if item is None:
        return []
    keys = _lesson_keys(item)
    records = models.lessons_of(keys)
    return [tree.Lesson.of(records[key]) for key in keys]


def _lesson_keys(item: models.CourseItem) -> list[models.Key]:
    return [(one["id"], one["record"]) for one in item.lessons]


def _leaves_under(
    institution_id: str, query: schemas.ItemQuery
) -> list[tuple[schemas.Training, models.Leaf, int]]:
    if query.training is None:
        return list(tree.items_in(_lessons_under(institution_id, query.course, query.lesson)))
    found = _training(institution_id, query.training)
    if found is None:
        return []
    training, leaves = found
    fits = query.lesson in (None, training.lesson_id) and query.course in (None, training.course_id)
    return [(training, leaf, at) for at, leaf in enumerate(leaves, start=1)] if fits else []


def _fits(item: models.CourseItem, query: schemas.LessonQuery) -> bool:
    course = item.resource
    return query.language in (None, course["language"]) and query.level in (None, course["cefr_level"])


def _of_tree(rows: Sequence[Any], show: Callable[[Sequence[Any]], list[T]]) -> Found[T]:
    """Rows that are known already; `show` reads what a page shows of them."""
    return Found(of_list([(f"{at:06}", row) for at, row in enumerate(rows)]), show, len(rows))


# Across courses


def _across(
    institution_id: str, kind: str, model: type[T], *filters: str | None, counted: bool = True
) -> Found[T]:
    lists = [models.list_of(kind, owner, *filters) for owner in owners_seen_by(institution_id)]
    return Found(models.reader(lists), _as(model), models.total_of(lists) if counted else None)


def _as(model: type[T]) -> Callable[[Sequence[Any]], list[T]]:
    return lambda rows: [model(**row) for row in rows]


def _searched(owners: Sequence[str], query: schemas.CourseQuery, q: str) -> Found[schemas.Course]:
    """Courses with all the words of `q`, in the order of the words that its longest begins."""
    words = words_of(q)
    if not words:
        raise Invalid({"q": ["has no letter and no digit"]})
    longest = max(words, key=len)

    def keep(row: Mapping[str, Any]) -> bool:
        has = row["words"].split()
        return (
            row["shared"] < len(longest)
            and query.language in (None, row["language"])
            and query.level in (None, row["level"])
            and all(any(one.startswith(word) for one in has) for word in words)
        )

    def show(keys: Sequence[models.Key]) -> list[schemas.Course]:
        rows = [
            (models.list_of("COURSES", pk.partition("#")[2], None, None), sk.rpartition("#")[2])
            for pk, sk in keys
        ]
        found = models.rows_of(rows)
        return [schemas.Course(**found[key]) for key in rows if key in found]

    return Found(
        models.chosen([models.words_list(owner) for owner in owners], longest, keep), show, full=False
    )
