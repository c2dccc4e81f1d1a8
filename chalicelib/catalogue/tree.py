"""A published course as a tree, and every record that follows from it.

A tree is made from authored content and the tree before it. What learners see unchanged keeps its
`updated_at`, an unchanged item its version, and an unchanged lesson its record.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from itertools import product
from typing import Any

from pydantic import BaseModel

from chalicelib.catalogue import models, schemas
from chalicelib.catalogue.items import Item
from chalicelib.catalogue.models import Leaf
from chalicelib.catalogue.words import title_key, words_of
from chalicelib.core.clock import instant, rfc3339
from chalicelib.institutions.service import PUBLIC_INSTITUTION

Key = tuple[str, str]
"""Partition and sort key."""


@dataclass(frozen=True)
class Lesson:
    """A lesson, its trainings, their items; `record` is the sort key of the record that holds it."""

    resource: schemas.Lesson
    trainings: Sequence[tuple[schemas.Training, Sequence[Leaf]]]
    record: str

    def leaves(self) -> Iterator[Leaf]:
        for _, leaves in self.trainings:
            yield from leaves

    def item(self) -> models.LessonItem:
        return models.LessonItem(
            self.resource.id,
            self.record,
            resource=self.resource.model_dump(mode="json"),
            trainings=[[training.model_dump(mode="json"), leaves] for training, leaves in self.trainings],
        )

    @classmethod
    def of(cls, item: models.LessonItem) -> "Lesson":
        return cls(
            schemas.Lesson(**item.resource),
            [
                (schemas.Training(**training), [Leaf(*leaf) for leaf in leaves])
                for training, leaves in item.trainings
            ],
            item.sk,
        )


@dataclass(frozen=True)
class Tree:
    """A course and its lessons, in order."""

    course: schemas.Course
    lessons: Sequence[Lesson]

    def leaves(self) -> dict[str, Leaf]:
        return {leaf.id: leaf for lesson in self.lessons for leaf in lesson.leaves()}

    def parts(self) -> dict[str, str]:
        """Everything below the course: id to when it last changed."""
        found: dict[str, str] = {}
        for lesson in self.lessons:
            found[lesson.resource.id] = lesson.resource.updated_at
            for training, leaves in lesson.trainings:
                found[training.id] = training.updated_at
                found |= {leaf.id: leaf.updated_at for leaf in leaves}
        return found

    def outline(self) -> list[dict[str, Any]]:
        """What the record of the course tells of its lessons."""
        return [
            {
                "id": lesson.resource.id,
                "title": lesson.resource.title,
                "position": lesson.resource.position,
                "item_count": lesson.resource.item_count,
                "record": lesson.record,
                "training_ids": [training.id for training, _ in lesson.trainings],
            }
            for lesson in self.lessons
        ]

    def counts(self) -> dict[str, int]:
        """What the course adds to the counter of each list that has one: of items, those of one filter."""
        course = self.course
        owner_id, place = course.owner_institution_id, (course.language, course.cefr_level)
        counted: Counter[str] = Counter()
        for kind, number in (
            ("COURSES", 1),
            ("LESSONS", len(self.lessons)),
            ("TRAININGS", sum(len(lesson.trainings) for lesson in self.lessons)),
        ):
            for values in _each_or_any(*place):
                counted[models.list_of(kind, owner_id, *values)] += number
        for leaf in self.leaves().values():
            whole = (course.language, leaf.level, leaf.type, leaf.skill)
            for values in _each_or_any(*whole):
                if sum(value is not None for value in values) <= 1:
                    counted[models.list_of("ITEMS", owner_id, *values)] += 1
        return {name: number for name, number in counted.items() if number}


def _each_or_any(*values: str) -> Iterator[tuple[str | None, ...]]:
    """Every combination of filters that finds something with these values."""
    return product(*((value, None) for value in values))


# Making a tree


def digest_of(item: Item) -> str:
    """Tells an item's content and key. Fields with a default that come in later do not change it."""
    return sha256(item.model_dump_json(exclude_defaults=True).encode()).hexdigest()[:24]


def items_of(content: schemas.CourseContent, owner_id: str) -> dict[str, schemas.ItemContent]:
    """Every item by its id, which it keeps wherever in its course it moves."""
    return {
        models.part_id("itm", owner_id, content.slug, entry.slug): entry
        for lesson in content.lessons
        for training in lesson.trainings
        for entry in training.items
    }


def grow(
    content: schemas.CourseContent,
    owner_id: str,
    versions: Mapping[str, int],
    before: Tree | None,
    record: str,
    now: datetime,
) -> Tree:
    """The tree of this content, its items in these versions; changed lessons get the `record` so named."""
    course = schemas.Course(
        id=models.course_id(owner_id, content.slug),
        slug=content.slug,
        title=content.title,
        description=content.description,
        language=content.language,
        taught_in=content.taught_in,
        cefr_level=content.cefr_level,
        lesson_count=len(content.lessons),
        item_count=sum(len(training.items) for lesson in content.lessons for training in lesson.trainings),
        updated_at=rfc3339(now),
        owner_institution_id=owner_id,
        visibility="public" if owner_id == PUBLIC_INSTITUTION else "institution",
    )
    growing = _Growing(course, versions, _Before.of(before), record, rfc3339(now))
    return Tree(
        course, [growing.lesson(lesson, position) for position, lesson in enumerate(content.lessons, start=1)]
    )


@dataclass(frozen=True)
class _Before:
    """What stood there: by id, the part, and for an item also its training and position."""

    lessons: Mapping[str, Lesson] = field(default_factory=dict)
    trainings: Mapping[str, schemas.Training] = field(default_factory=dict)
    items: Mapping[str, tuple[Leaf, str, int]] = field(default_factory=dict)
    language: str | None = None

    @classmethod
    def of(cls, tree: Tree | None) -> "_Before":
        if tree is None:
            return cls()
        branches = [branch for lesson in tree.lessons for branch in lesson.trainings]
        return cls(
            {lesson.resource.id: lesson for lesson in tree.lessons},
            {training.id: training for training, _ in branches},
            {
                leaf.id: (leaf, training.id, position)
                for training, leaves in branches
                for position, leaf in enumerate(leaves, start=1)
            },
            tree.course.language,
        )


@dataclass(frozen=True)
class _Growing:
    course: schemas.Course
    versions: Mapping[str, int]
    before: _Before
    record: str
    now: str

    def lesson(self, content: schemas.LessonContent, position: int) -> Lesson:
        lesson_id = self._id("lsn", content.slug)
        trainings = [
            self._training(lesson_id, training, at) for at, training in enumerate(content.trainings, start=1)
        ]
        made = schemas.Lesson(
            id=lesson_id,
            slug=content.slug,
            title=content.title,
            position=position,
            intro=content.intro,
            can_do=content.can_do,
            training_count=len(trainings),
            item_count=sum(len(leaves) for _, leaves in trainings),
            trainings=[
                schemas.TrainingBrief(**training.model_dump(include={*schemas.TrainingBrief.model_fields}))
                for training, _ in trainings
            ],
            course_id=self.course.id,
            language=self.course.language,
            cefr_level=self.course.cefr_level,
            updated_at=self.now,
        )
        earlier = self.before.lessons.get(lesson_id)
        resource = self._dated(made, earlier.resource if earlier else None)
        if earlier and (earlier.resource, list(earlier.trainings)) == (resource, trainings):
            return earlier
        return Lesson(resource, trainings, self.record)

    def _training(
        self, lesson_id: str, content: schemas.TrainingContent, position: int
    ) -> tuple[schemas.Training, list[Leaf]]:
        training_id = self._id("trn", content.slug)
        made = schemas.Training(
            id=training_id,
            title=content.title,
            position=position,
            item_count=len(content.items),
            slug=content.slug,
            course_id=self.course.id,
            lesson_id=lesson_id,
            language=self.course.language,
            cefr_level=self.course.cefr_level,
            updated_at=self.now,
        )
        training = self._dated(made, self.before.trainings.get(training_id))
        moved = training.updated_at == self.now  # its items may name another lesson or language
        return training, [
            self._leaf(training, entry, at, moved=moved) for at, entry in enumerate(content.items, start=1)
        ]

    def _leaf(
        self, training: schemas.Training, entry: schemas.ItemContent, position: int, *, moved: bool
    ) -> Leaf:
        item, item_id = entry.item, self._id("itm", entry.slug)
        made = Leaf(
            item_id,
            self.versions[item_id],
            item.type,
            item.skill,
            item.cefr_level,
            self.now,
            digest_of(item),
        )
        earlier = self.before.items.get(item_id)
        if earlier is None:
            return made
        leaf, training_id, at = earlier
        before = self.before.trainings[training_id]
        same_place = (training_id, at) == (training.id, position) and (
            not moved or (before.lesson_id, before.language) == (training.lesson_id, training.language)
        )
        return leaf if same_place and leaf.version == made.version else made

    def _dated(self, made: Any, earlier: Any) -> Any:
        """With the time when it last changed."""
        if earlier is None:
            return made
        dated = made.model_copy(update={"updated_at": earlier.updated_at})
        return dated if dated == earlier else made

    def _id(self, prefix: str, slug: str) -> str:
        return models.part_id(prefix, self.course.owner_institution_id, self.course.slug, slug)


# What follows from it


def shown(entry: schemas.ItemContent) -> dict[str, Any]:
    """What learners may see of an item, wherever it stands."""
    whole = entry.item.model_dump(mode="json", exclude={"key"})
    return {**whole, "slug": entry.slug, "type": entry.item.type}


def training_item(
    training: schemas.Training, leaf: Leaf, position: int, shown: Mapping[str, Any]
) -> schemas.TrainingItem:
    """The item as the API shows it, `shown` being what its version says."""
    return schemas.TrainingItem(
        **shown,
        id=leaf.id,
        course_id=training.course_id,
        lesson_id=training.lesson_id,
        training_id=training.id,
        position=position,
        version=leaf.version,
        language=training.language,
        updated_at=leaf.updated_at,
    )


def items_in(lessons: Iterable[Lesson]) -> Iterator[tuple[schemas.Training, Leaf, int]]:
    """Each item with its training and position, in order."""
    for lesson in lessons:
        for training, leaves in lesson.trainings:
            for position, leaf in enumerate(leaves, start=1):
                yield training, leaf, position


def resources(lessons: Sequence[Lesson], shown_by_id: Mapping[str, Any]) -> dict[str, BaseModel]:
    """Everything in these lessons as the API shows it, by id; of items, those that are `shown`."""
    found: dict[str, BaseModel] = {lesson.resource.id: lesson.resource for lesson in lessons}
    found |= {training.id: training for lesson in lessons for training, _ in lesson.trainings}
    for training, leaf, position in items_in(lessons):
        if leaf.id in shown_by_id:
            found[leaf.id] = training_item(training, leaf, position, shown_by_id[leaf.id])
    return found


def course_rows(course: schemas.Course) -> dict[Key, BaseModel]:
    """The course in every list of courses, by slug, title and time."""
    changed = moment_key(course.updated_at)
    found: dict[Key, BaseModel] = {}
    for values in _each_or_any(course.language, course.cefr_level):
        name = models.list_of("COURSES", course.owner_institution_id, *values)
        found[name, course.slug] = course
        # with the id, as a title is not unique
        found[models.sorted_list(name, "title"), f"{title_key(course.title)}#{course.id}"] = course
        found[models.sorted_list(name, "updated"), f"{changed}#{course.id}"] = course
    found[models.changes_list("COURSES", course.owner_institution_id), f"{changed}#{course.id}"] = course
    return found


def rows(course: schemas.Course, lessons: Sequence[Lesson]) -> dict[Key, tuple[str, str]]:
    """Every row that these lessons have in lists across courses: which part it shows, as of when."""
    owner_id, slug, language = course.owner_institution_id, course.slug, course.language
    found: dict[Key, tuple[str, str]] = {}

    def add(kind: str, part: tuple[str, str], path: str, *values: str) -> None:
        for combination in _each_or_any(*values):
            found[models.list_of(kind, owner_id, *combination), path] = part
        part_id, updated_at = part
        found[models.changes_list(kind, owner_id), f"{moment_key(updated_at)}#{part_id}"] = part

    for lesson in lessons:
        resource = lesson.resource
        path = models.path_of(slug, resource.position)
        add("LESSONS", (resource.id, resource.updated_at), path, language, course.cefr_level)
        for training, leaves in lesson.trainings:
            path = models.path_of(slug, resource.position, training.position)
            add("TRAININGS", (training.id, training.updated_at), path, language, course.cefr_level)
            for position, leaf in enumerate(leaves, start=1):
                path = models.path_of(slug, resource.position, training.position, position)
                part = (leaf.id, leaf.updated_at)
                add("ITEMS", part, path, language, leaf.level, leaf.type, leaf.skill)
    return found


def word_rows(course: schemas.Course) -> dict[Key, dict[str, Any]]:
    """A row for each word of title and description.

    `shared` is how many letters it begins with that also begin the word before it, of this course: a
    search for as few letters finds the course there already.
    """
    words = words_of(f"{course.title} {course.description}")
    ordered = sorted(words)
    told = {"words": " ".join(words), "language": course.language, "level": course.cefr_level}
    return {
        (models.words_list(course.owner_institution_id), f"{word}#{course.slug}"): {
            **told,
            "shared": _shared(word, earlier),
        }
        for word, earlier in zip(ordered, ["", *ordered], strict=False)
    }


def _shared(one: str, other: str) -> int:
    number = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        number += 1
    return number


def moment_key(shown_at: str) -> str:
    """A time as sort keys hold it."""
    return instant(datetime.fromisoformat(shown_at))
