"""What courses, lessons, trainings and training items look like on the wire, and as they are authored.

A resource here is all that a learner may see. The answer key is part of `items.Item` alone, which no
response holds.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from chalicelib.catalogue.items import CefrLevel, Content, Frozen, Item, ItemType, LanguageCode, Skill
from chalicelib.core.paging import PageQuery
from chalicelib.core.types import (
    Count,
    CourseId,
    InstitutionId,
    ItemId,
    LessonId,
    Schema,
    Time,
    TrainingId,
    Version,
)

Slug = Annotated[
    str, Field(min_length=1, max_length=60, pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", examples=["german-a1"])
]
Title = Annotated[str, Field(min_length=1, max_length=120, examples=["Greetings and introducing yourself"])]
LongText = Annotated[
    str,
    Field(
        min_length=1,
        max_length=2000,
        examples=[
            "For people who begin with German: how to greet, to say who you are and to order a coffee."
        ],
    ),
]
Position = Annotated[int, Field(ge=1, le=100, description="Place among its siblings, from 1.", examples=[1])]

LESSONS_AT_MOST = 100
TRAININGS_AT_MOST = 30
ITEMS_AT_MOST = 100
_ITEM_BYTES_AT_MOST = 64 * 1024


# Queries


class CourseQuery(PageQuery):
    """Narrows a list of courses."""

    language: LanguageCode | None = Field(None, description="The language that is taught.")
    level: CefrLevel | None = Field(None, description="The CEFR level that the course belongs to.")


class LessonQuery(PageQuery):
    """Narrows a list of lessons; a course that you may not see has none."""

    course: CourseId | None = Field(None, description="Only lessons of this course.")


class TrainingQuery(PageQuery):
    """Narrows a list of trainings; a lesson that you may not see has none."""

    lesson: LessonId | None = Field(None, description="Only trainings of this lesson.")


class ItemQuery(PageQuery):
    """Narrows a list of training items; a training that you may not see has none."""

    training: TrainingId | None = Field(None, description="Only items of this training.")
    type: ItemType | None = Field(None, description="Only items of this type.")


# Resources


class TrainingBrief(Schema):
    """A training as its lesson shows it."""

    id: TrainingId
    title: Title = Field(examples=["Hello and goodbye"])
    position: Position
    item_count: Count


class LessonOutline(Schema):
    """A lesson within its course: its place, its texts, and its trainings in brief."""

    id: LessonId
    slug: Slug = Field(examples=["greetings"])
    title: Title
    position: Position
    intro: LongText = Field(
        description="What to know before the exercises, in the language of instruction.",
        examples=["Guten Morgen is said until about ten, Guten Tag until six, Guten Abend after that."],
    )
    can_do: LongText = Field(
        description="What the learner can do afterwards.",
        examples=["I can greet people, say goodbye, give my name and say where I come from."],
    )
    training_count: Count
    item_count: Count
    trainings: list[TrainingBrief] = Field(max_length=TRAININGS_AT_MOST)


class PublicCourse(Schema):
    """A published course, as anyone may see it."""

    id: CourseId
    slug: Slug
    title: Title = Field(examples=["German A1: First Steps"])
    description: LongText
    language: LanguageCode = Field(description="The language that is taught.")
    taught_in: LanguageCode = Field(description="The language of instruction.", examples=["en"])
    cefr_level: CefrLevel
    lesson_count: Count
    item_count: Count
    updated_at: Time = Field(description="When what it holds last changed.")


class PublicCourseDetails(PublicCourse):
    """A published course with its lessons."""

    lessons: list[LessonOutline] = Field(max_length=LESSONS_AT_MOST)


class Course(PublicCourse):
    """A course that the caller's institution may use."""

    owner_institution_id: InstitutionId
    visibility: Literal["public", "institution"] = Field(
        description="`institution`: only the owner's members see it."
    )


class CourseDetails(Course):
    """A course with its lessons."""

    lessons: list[LessonOutline] = Field(max_length=LESSONS_AT_MOST)


class Lesson(LessonOutline):
    """A lesson: a theme, and the trainings that practise it."""

    course_id: CourseId
    language: LanguageCode
    cefr_level: CefrLevel


class Training(TrainingBrief):
    """A block of exercises."""

    slug: Slug = Field(examples=["hello-and-goodbye"])
    course_id: CourseId
    lesson_id: LessonId
    language: LanguageCode
    cefr_level: CefrLevel


class TrainingItem(Schema):
    """One exercise. Its answer key stays on the server, which grades attempts."""

    id: ItemId
    slug: Slug = Field(examples=["good-morning"])
    course_id: CourseId
    lesson_id: LessonId
    training_id: TrainingId
    position: Position
    version: Version = Field(
        description="Grows by one with every change; name it in an attempt as `item_version`."
    )
    type: ItemType
    skill: Skill
    language: LanguageCode
    cefr_level: CefrLevel
    points: int = Field(ge=1, le=100, description="XP for a fully right answer.", examples=[10])
    content: Content


# Authoring


class ItemContent(Frozen):
    """An exercise as authored, key included. Its slug is unique in the course and keeps its id."""

    slug: Slug
    item: Item

    @model_validator(mode="after")
    def _fits_a_record(self) -> Self:
        if len(self.item.model_dump_json().encode()) > _ITEM_BYTES_AT_MOST:
            raise ValueError(f"{self.slug}: content and key may have at most {_ITEM_BYTES_AT_MOST} bytes")
        return self


class TrainingContent(Frozen):
    slug: Slug
    title: Title
    items: tuple[ItemContent, ...] = Field(min_length=1, max_length=ITEMS_AT_MOST)


class LessonContent(Frozen):
    slug: Slug
    title: Title
    intro: LongText
    can_do: LongText
    trainings: tuple[TrainingContent, ...] = Field(max_length=TRAININGS_AT_MOST)


class CourseContent(Frozen):
    """A whole course as authored; positions follow the order. Slugs are unique in it, kind by kind."""

    slug: Slug
    title: Title
    description: LongText
    language: LanguageCode
    taught_in: LanguageCode
    cefr_level: CefrLevel
    lessons: tuple[LessonContent, ...] = Field(max_length=LESSONS_AT_MOST)

    @model_validator(mode="after")
    def _slugs_differ(self) -> Self:
        trainings = [training for lesson in self.lessons for training in lesson.trainings]
        for kind, slugs in {
            "lesson": [lesson.slug for lesson in self.lessons],
            "training": [training.slug for training in trainings],
            "item": [item.slug for training in trainings for item in training.items],
        }.items():
            if twice := {slug for slug in slugs if slugs.count(slug) > 1}:
                raise ValueError(f"the {kind} slug {min(twice)} stands there twice")
        return self
