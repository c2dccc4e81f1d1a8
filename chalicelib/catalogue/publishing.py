"""Publishing a course: every record that the catalogue's reads expect to find.

A course is too large for one transaction. Its records are written so that whoever follows a list always
arrives: items and places first; then what is gone is withdrawn; then comes the course with its totals, in
one transaction; and last the list rows. Meanwhile, about a second per 500 items, a row that moves may stand
at its old place, at both, or show what it was. A publication that died is completed by publishing again:
nothing is counted twice, and no version number is given to two contents.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import get_args

from pydantic import BaseModel, ValidationError

from chalicelib.catalogue import models, schemas
from chalicelib.catalogue.items import Item, ItemType
from chalicelib.core.clock import epoch, rfc3339
from chalicelib.core.errors import NotFound
from chalicelib.core.store import Table, Transaction
from chalicelib.institutions.service import PUBLIC_INSTITUTION

LAYOUT = 1
"""Grows when records are to be written differently: then the same content is written again."""

_VERSIONS_AT_ONCE = 50  # of up to 64 KiB each: a transaction may hold 4 MB
_DELETED_AT_ONCE = 100  # what a transaction may hold


@dataclass(frozen=True)
class Published:
    """The course, and whether anything had to be written."""

    course_id: str
    changed: bool


@dataclass(frozen=True)
class Layout:
    """The resources of a course, in order, and its items as authored. A path is a place in the lists."""

    course: schemas.Course
    lessons: list[tuple[str, schemas.Lesson]]
    trainings: list[tuple[str, schemas.Training]]
    items: list[tuple[str, schemas.TrainingItem]]
    authored: Mapping[str, Item]

    def course_rows(self) -> list[models.RowItem]:
        """The course in every list that a filter may choose."""
        course = self.course
        return [
            _row(models.courses_list(course.owner_institution_id, language, level), course.slug, course)
            for language in (course.language, None)
            for level in (course.cefr_level, None)
        ]

    def rows(self) -> Iterator[models.RowItem]:
        """Everything below the course in every list."""
        owner_id = self.course.owner_institution_id
        for path, lesson in self.lessons:
            yield _row(models.lessons_list(owner_id), path, lesson)
        for path, training in self.trainings:
            yield _row(models.trainings_list(owner_id), path, training)
        for path, item in self.items:
            yield _row(models.items_list(owner_id, None), path, item)
            yield _row(models.items_list(owner_id, item.type), path, item)

    def places(self) -> Iterator[models.PlaceItem]:
        """Where children are found."""
        yield self._place(self.course.id, self.course.slug, {models.ANY: len(self.lessons)})
        for path, lesson in self.lessons:
            yield self._place(lesson.id, path, {models.ANY: lesson.training_count})
        for path, training in self.trainings:
            types: Counter[str] = Counter(
                item.type for _, item in self.items if item.training_id == training.id
            )
            yield self._place(training.id, path, {models.ANY: training.item_count, **types})

    def heads(self) -> Iterator[models.HeadItem]:
        """What attempts are graded by."""
        item_counts = {lesson.id: lesson.item_count for _, lesson in self.lessons}
        for _, item in self.items:
            yield models.HeadItem(
                item.id,
                owner_id=self.course.owner_institution_id,
                version=item.version,
                item=self.authored[item.id].model_dump_json(),
                language=item.language,
                training_id=item.training_id,
                lesson_id=item.lesson_id,
                course_id=item.course_id,
                lesson_item_count=item_counts[item.lesson_id],
                course_item_count=self.course.item_count,
                course_lesson_count=self.course.lesson_count,
            )

    def outline(self) -> list[dict[str, object]]:
        fields = {"id", "title", "position", "item_count"}
        return [lesson.model_dump(include=fields) for _, lesson in self.lessons]

    def totals(self) -> dict[str, int]:
        """What this course adds to the counter of each list."""
        return dict(Counter(row.pk for row in (*self.course_rows(), *self.rows())))

    def _place(self, parent_id: str, path: str, totals: Mapping[str, int]) -> models.PlaceItem:
        owner_id = self.course.owner_institution_id
        return models.PlaceItem(parent_id, owner_id=owner_id, path=path, totals=dict(totals))


class VersionTaken(Exception):
    """This version of the item was written with another content, by a publication that died."""

    def __init__(self, item_id: str) -> None:
        super().__init__(item_id)
        self.item_id = item_id


def publish(content: schemas.CourseContent, owner_id: str, now: datetime) -> Published:
    """Make this the published content of the course with this owner and slug.

    The same content again changes nothing and costs one read. An item whose content, key or worth has
    changed gets the next version; earlier ones stay. Courses of the public institution are public, any
    other's are seen by its members only. One publisher per course at a time: raises `Stale` where
    another got in between, and is then to be called again.
    """
    course_id, digest = models.course_id(owner_id, content.slug), _digest(content)
    before = _course_before(course_id)
    if before is not None and before.digest == digest:
        return Published(course_id, changed=False)
    rows_before = _rows_before(owner_id, content.slug)
    layout = lay_out(content, owner_id, _versions(items_of(content, owner_id), now), now)
    rows = list(layout.rows())
    _put(list(layout.heads()))
    _put(list(layout.places()))
    _withdraw(rows_before, {row.resource["id"] for row in rows})
    revision = _put_course(layout, before)
    _put(rows)
    _delete_moved(rows_before, rows)
    _finish(course_id, revision, digest)
    return Published(course_id, changed=True)


def items_of(content: schemas.CourseContent, owner_id: str) -> dict[str, Item]:
    """Every item by its id, which it keeps wherever in its course it moves."""
    return {
        models.part_id("itm", owner_id, content.slug, entry.slug): entry.item
        for lesson in content.lessons
        for training in lesson.trainings
        for entry in training.items
    }


# The layout


def lay_out(
    content: schemas.CourseContent, owner_id: str, versions: Mapping[str, int], now: datetime
) -> Layout:
    """The course as it will be seen, its items in these versions (by item id)."""
    authored = items_of(content, owner_id)
    course = schemas.Course(
        id=models.course_id(owner_id, content.slug),
        slug=content.slug,
        title=content.title,
        description=content.description,
        language=content.language,
        taught_in=content.taught_in,
        cefr_level=content.cefr_level,
        lesson_count=len(content.lessons),
        item_count=len(authored),
        updated_at=rfc3339(now),
        owner_institution_id=owner_id,
        visibility="public" if owner_id == PUBLIC_INSTITUTION else "institution",
    )
    layout = Layout(course, [], [], [], authored)
    for position, lesson in enumerate(content.lessons, start=1):
        shown = _lesson(course, lesson, position)
        layout.lessons.append((models.path_of(course.slug, position), shown))
        for brief, training in zip(shown.trainings, lesson.trainings, strict=True):
            path = models.path_of(course.slug, position, brief.position)
            layout.trainings.append((path, _training(shown, brief, training.slug)))
            for at, entry in enumerate(training.items, start=1):
                item = _item(course, shown.id, brief.id, entry, at, versions)
                layout.items.append((models.path_of(course.slug, position, brief.position, at), item))
    return layout


def _lesson(course: schemas.Course, lesson: schemas.LessonContent, position: int) -> schemas.Lesson:
    owner_id = course.owner_institution_id
    trainings = [
        schemas.TrainingBrief(
            id=models.part_id("trn", owner_id, course.slug, training.slug),
            title=training.title,
            position=at,
            item_count=len(training.items),
        )
        for at, training in enumerate(lesson.trainings, start=1)
    ]
    return schemas.Lesson(
        id=models.part_id("lsn", owner_id, course.slug, lesson.slug),
        slug=lesson.slug,
        title=lesson.title,
        position=position,
        intro=lesson.intro,
        can_do=lesson.can_do,
        training_count=len(trainings),
        item_count=sum(training.item_count for training in trainings),
        trainings=trainings,
        course_id=course.id,
        language=course.language,
        cefr_level=course.cefr_level,
    )


def _training(lesson: schemas.Lesson, brief: schemas.TrainingBrief, slug: str) -> schemas.Training:
    return schemas.Training(
        **brief.model_dump(),
        slug=slug,
        course_id=lesson.course_id,
        lesson_id=lesson.id,
        language=lesson.language,
        cefr_level=lesson.cefr_level,
    )


def _item(
    course: schemas.Course,
    lesson_id: str,
    training_id: str,
    entry: schemas.ItemContent,
    position: int,
    versions: Mapping[str, int],
) -> schemas.TrainingItem:
    item, item_id = entry.item, models.part_id("itm", course.owner_institution_id, course.slug, entry.slug)
    return schemas.TrainingItem(
        id=item_id,
        slug=entry.slug,
        course_id=course.id,
        lesson_id=lesson_id,
        training_id=training_id,
        position=position,
        version=versions[item_id],
        type=item.type,
        skill=item.skill,
        language=course.language,
        cefr_level=item.cefr_level,
        points=item.points,
        content=item.content,
    )


def _row(of_list: str, path: str, resource: BaseModel) -> models.RowItem:
    return models.RowItem(of_list, path, resource=resource.model_dump(mode="json"))


# Writing it


def _digest(content: schemas.CourseContent) -> str:
    return sha256(f"{LAYOUT}\n{content.model_dump_json()}".encode()).hexdigest()


def _course_before(course_id: str) -> models.CourseItem | None:
    try:
        return models.course_of(course_id, consistent=True)
    except NotFound:
        return None


def _versions(authored: Mapping[str, Item], now: datetime) -> dict[str, int]:
    """The version of each item, once the records of new versions are written."""
    heads = models.heads_of(list(authored))
    versions = {item_id: int(head.version) for item_id, head in heads.items()}
    new = [item_id for item_id, item in authored.items() if not _is_published(heads.get(item_id), item)]
    for item_id in new:
        versions[item_id] = versions.get(item_id, 0) + 1
    for start in range(0, len(new), _VERSIONS_AT_ONCE):
        chunk = {item_id: authored[item_id] for item_id in new[start : start + _VERSIONS_AT_ONCE]}
        while taken := _write_versions(chunk, versions, now):
            versions[taken] += 1
    return versions


def _is_published(head: models.HeadItem | None, item: Item) -> bool:
    """Whether the head says the same as `item`, also where fields with a default came in meanwhile."""
    if head is None:
        return False
    try:
        return Item.model_validate_json(head.item) == item
    except ValidationError:
        return False


def _write_versions(chunk: Mapping[str, Item], versions: Mapping[str, int], now: datetime) -> str | None:
    """Write these versions; or nothing, and tell an item of which that version holds another content."""
    transaction = Transaction()
    for item_id, item in chunk.items():
        text = item.model_dump_json()
        transaction.put(
            models.VersionItem(
                item_id, models.version_key(versions[item_id]), item=text, published_at=epoch(now)
            ),
            models.VersionItem.pk.does_not_exist() | (models.VersionItem.item == text),
            VersionTaken(item_id),
        )
    try:
        transaction.commit()
    except VersionTaken as taken:
        return taken.item_id
    return None


def _put_course(layout: Layout, before: models.CourseItem | None) -> int:
    """Write the course, its rows, and what it adds to totals since `before`. Returns its revision."""
    totals, counted = layout.totals(), dict(before.totals) if before is not None else {}
    revision = int(before.revision) + 1 if before is not None else 1
    transaction = Transaction()
    transaction.put(
        models.CourseItem(
            layout.course.id,
            owner_id=layout.course.owner_institution_id,
            resource=layout.course.model_dump(mode="json"),
            outline=layout.outline(),
            totals=totals,
            revision=revision,
        ),
        models.CourseItem.pk.does_not_exist()
        if before is None
        else models.CourseItem.revision == before.revision,
    )
    rows = layout.course_rows()
    for row in rows:
        transaction.put(row)
    lists_left = [name for name in counted if models.is_courses_list(name) and name not in totals]
    for name in lists_left:
        transaction.delete(models.RowItem(name, layout.course.slug))
    for name in {*totals, *counted}:
        added = totals.get(name, 0) - counted.get(name, 0)
        if added:
            total = models.TotalItem(models.total_key(name), "TOTAL")
            transaction.update(total, [models.TotalItem.rows.add(added)])
    transaction.commit()
    return revision


def _rows_before(owner_id: str, slug: str) -> list[models.RowItem]:
    """Every list row below the course as it stands."""
    lists = [models.lessons_list(owner_id), models.trainings_list(owner_id)]
    lists += [models.items_list(owner_id, kind) for kind in (None, *get_args(ItemType))]
    return [row for name in lists for row in models.rows_under(name, f"{slug}#")]


def _withdraw(rows_before: Sequence[models.RowItem], living: set[str]) -> None:
    """Take what the course no longer has out of all lists and out of reach: each thing at one stroke."""
    gone: dict[str, list[models.RowItem]] = {}
    for row in rows_before:
        if row.resource["id"] not in living:
            gone.setdefault(row.resource["id"], []).append(row)
    transaction = Transaction()
    for gone_id, rows in gone.items():
        reached = models.HeadItem if gone_id.startswith("itm_") else models.PlaceItem
        if len(transaction) + 1 + len(rows) > _DELETED_AT_ONCE:
            transaction.commit()
            transaction = Transaction()
        for record in (reached(gone_id), *rows):
            transaction.delete(record)
    transaction.commit()


def _delete_moved(rows_before: Sequence[models.RowItem], rows: Sequence[models.RowItem]) -> None:
    """Delete the places that rows have left, now that they stand at their new ones."""
    kept, living = {(row.pk, row.sk) for row in rows}, {row.resource["id"] for row in rows}
    with models.RowItem.batch_write() as batch:
        for row in rows_before:
            if row.resource["id"] in living and (row.pk, row.sk) not in kept:
                batch.delete(row)


def _finish(course_id: str, revision: int, digest: str) -> None:
    """Note that this content is wholly in place."""
    transaction = Transaction()
    transaction.update(
        models.CourseItem(course_id),
        [models.CourseItem.digest.set(digest)],
        models.CourseItem.revision == revision,
    )
    transaction.commit()


def _put(records: Sequence[Table]) -> None:
    if records:
        with type(records[0]).batch_write() as batch:
            for record in records:
                batch.save(record)
