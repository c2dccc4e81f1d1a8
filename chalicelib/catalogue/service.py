"""Reading the catalogue: who sees what, list by list, and what learning needs to know of it.

An institution sees its own courses, first, and the public ones. What it does not see is, for it, not there:
as a path it is 404, as a filter it matches nothing, exactly as an id that was never given out.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from chalicelib.catalogue import models, schemas
from chalicelib.catalogue.items import CefrLevel, Item, ItemType
from chalicelib.core.errors import NotFound
from chalicelib.core.ids import is_id
from chalicelib.core.paging import Reader, of_list
from chalicelib.institutions.service import PUBLIC_INSTITUTION

T = TypeVar("T")


@dataclass(frozen=True)
class Found(Generic[T]):
    """A list: how to read its rows, and how many there are."""

    read: Reader[T]
    total: int


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


@dataclass(frozen=True)
class Offered:
    """How much the public catalogue holds."""

    courses: int
    lessons: int
    items: int


def public_totals() -> Offered:
    """Three reads of counters."""
    return Offered(
        courses=models.total_of([models.courses_list(PUBLIC_INSTITUTION, None, None)]),
        lessons=models.total_of([models.lessons_list(PUBLIC_INSTITUTION)]),
        items=models.total_of([models.items_list(PUBLIC_INSTITUTION, None)]),
    )


def published(item_ids: Sequence[str]) -> frozenset[str]:
    """Which of at most 100 training items are published still. One read, none for no items."""
    return frozenset(models.heads_of(item_ids)) if item_ids else frozenset()


@dataclass(frozen=True)
class Lesson:
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
    head = models.head_of(item_id)
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
        language=head.language,
        lesson_item_count=int(head.lesson_item_count),
        course_item_count=int(head.course_item_count),
        course_lesson_count=int(head.course_lesson_count),
    )


def lesson(institution_id: str, lesson_id: str) -> Lesson:
    """A lesson and the size of its course. Three reads. Raises `NotFound`, also for a foreign one."""
    refused = NotFound("lesson")
    if not is_id(lesson_id, "lsn"):
        raise refused
    try:
        place = models.place_of(lesson_id)
    except NotFound:
        raise refused from None
    if place.owner_id not in owners_seen_by(institution_id):
        raise refused
    row = models.row_of(models.lessons_list(place.owner_id), place.path)
    course = _course_item(institution_id, row.resource["course_id"])
    return Lesson(
        id=lesson_id,
        course_id=course.pk,
        item_count=row.resource["item_count"],
        course_item_count=course.resource["item_count"],
        course_lesson_count=course.resource["lesson_count"],
    )


def course(institution_id: str, course_id: str) -> Course:
    """The course in outline. One read. Raises `NotFound`, also for another institution's."""
    item = _course_item(institution_id, course_id)
    return Course(
        id=item.pk,
        slug=item.resource["slug"],
        title=item.resource["title"],
        lessons=tuple(CourseLesson(**lesson) for lesson in item.outline),
        item_count=item.resource["item_count"],
    )


def course_details(institution_id: str, course_id: str) -> schemas.CourseDetails:
    """The course with its lessons. Two reads. Raises `NotFound`, also for another institution's."""
    item = _course_item(institution_id, course_id)
    lessons = models.reader(
        [models.lessons_list(item.owner_id)], schemas.Lesson.model_validate, f"{item.resource['slug']}#"
    )
    return schemas.CourseDetails(
        **item.resource,
        lessons=[lesson for _, lesson in lessons(None, schemas.LESSONS_AT_MOST, backwards=False)],
    )


def public_course_details(slug: str) -> schemas.CourseDetails:
    """The public course with this slug, with its lessons. Raises `NotFound`."""
    return course_details(PUBLIC_INSTITUTION, models.course_id(PUBLIC_INSTITUTION, slug))


def courses(institution_id: str, language: str | None, level: CefrLevel | None) -> Found[schemas.Course]:
    """The courses that this institution may use, by slug, its own first."""
    owners = owners_seen_by(institution_id)
    return _whole(
        [models.courses_list(owner, language, level) for owner in owners], schemas.Course.model_validate
    )


def lessons(institution_id: str, course_id: str | None) -> Found[schemas.Lesson]:
    """The lessons of a course, or of every course."""
    show = schemas.Lesson.model_validate
    if course_id is not None:
        return _children(institution_id, course_id, models.lessons_list, show)
    return _whole([models.lessons_list(owner) for owner in owners_seen_by(institution_id)], show)


def trainings(institution_id: str, lesson_id: str | None) -> Found[schemas.Training]:
    """The trainings of a lesson, or of every lesson."""
    show = schemas.Training.model_validate
    if lesson_id is not None:
        return _children(institution_id, lesson_id, models.trainings_list, show)
    return _whole([models.trainings_list(owner) for owner in owners_seen_by(institution_id)], show)


def training_items(
    institution_id: str, training_id: str | None, kind: ItemType | None
) -> Found[schemas.TrainingItem]:
    """The items of a training, or of every training; of one type, or of all."""
    show = schemas.TrainingItem.model_validate

    def items_list(owner_id: str) -> str:
        return models.items_list(owner_id, kind)

    if training_id is not None:
        return _children(institution_id, training_id, items_list, show, kind or models.ANY)
    return _whole([items_list(owner) for owner in owners_seen_by(institution_id)], show)


def owners_seen_by(institution_id: str) -> tuple[str, ...]:
    """Whose courses an institution may use: its own and the platform's, which are public."""
    if institution_id == PUBLIC_INSTITUTION:
        return (PUBLIC_INSTITUTION,)
    return (institution_id, PUBLIC_INSTITUTION)


def _course_item(institution_id: str, course_id: str) -> models.CourseItem:
    item = models.course_of(course_id)
    if item.owner_id not in owners_seen_by(institution_id):
        raise NotFound("course")
    return item


def _whole(lists: list[str], show: Callable[[Any], T]) -> Found[T]:
    """Whole lists, one after the other."""
    return Found(models.reader(lists, show), models.total_of(lists))


def _children(
    institution_id: str,
    parent_id: str,
    list_of: Callable[[str], str],
    show: Callable[[Any], T],
    counted: str = models.ANY,
) -> Found[T]:
    """The part of a list that stands under one parent; nothing where the parent is not seen."""
    try:
        place = models.place_of(parent_id)
    except NotFound:
        return Found(of_list([]), 0)
    if place.owner_id not in owners_seen_by(institution_id):
        return Found(of_list([]), 0)
    read = models.reader([list_of(place.owner_id)], show, f"{place.path}#")
    return Found(read, place.totals.get(counted, 0))
