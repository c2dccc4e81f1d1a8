"""What courses, lessons, trainings and training items look like on the wire, and as they are authored.

A resource here is all that a learner may see. The answer key is part of `items.Item` alone, which no
response but an author's draft holds.
"""

from collections import Counter
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from chalicelib.catalogue.items import CefrLevel, Content, Frozen, Item, ItemType, Key, LanguageCode, Skill
from chalicelib.core.paging import Meta, Page, PageQuery
from chalicelib.core.types import (
    Body,
    Count,
    CourseId,
    InstitutionId,
    ItemId,
    LessonId,
    Moment,
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
Intro = Annotated[
    str,
    Field(
        min_length=1,
        max_length=2000,
        description="What to know before the exercises, in the language of instruction.",
        examples=["Guten Morgen is said until about ten, Guten Tag until six, Guten Abend after that."],
    ),
]
CanDo = Annotated[
    str,
    Field(
        min_length=1,
        max_length=2000,
        description="What the learner can do afterwards.",
        examples=["I can greet people, say goodbye, give my name and say where I come from."],
    ),
]
Points = Annotated[int, Field(ge=1, le=100, description="XP for a fully right answer.", examples=[10])]
Position = Annotated[int, Field(ge=1, le=100, description="Place among its siblings, from 1.", examples=[1])]
Revision = Annotated[
    int,
    Field(ge=1, le=2**31 - 1, description="Grows with every change; also the `ETag`.", examples=[3]),
]

LESSONS_AT_MOST = 100
TRAININGS_AT_MOST = 30
ITEMS_AT_MOST = 100
ARCHIVED_AT_MOST = 200
"""Archived parts that one parent remembers."""
COURSE_PARTS_AT_MOST = 5000
COURSE_BYTES_AT_MOST = 16 * 1024 * 1024
"""Of texts and exercises: what one process can publish."""
_ITEM_BYTES_AT_MOST = 64 * 1024


# Queries

Language = Annotated[LanguageCode | None, Field(description="The language that is taught.")]
Since = Annotated[
    Moment | None,
    Field(
        description="Instead of the list: what has changed since then, and tombstones of what is gone, "
        "oldest first. Go on with `meta.complete_until` of the last answer.",
        examples=["2026-11-25T12:00:00Z"],
    ),
]
CourseFilter = Annotated[CourseId | None, Field(description="Only what belongs to this course.")]
LessonFilter = Annotated[LessonId | None, Field(description="Only what belongs to this lesson.")]
Sort = Literal["slug", "-slug", "title", "-title", "updated_at", "-updated_at"]


class CourseQuery(PageQuery):
    """Narrows and orders a list of courses."""

    language: Language = None
    level: CefrLevel | None = Field(None, description="The CEFR level that the course belongs to.")
    q: str | None = Field(
        None,
        min_length=2,
        max_length=100,
        description="Words of title or description, each as far as you know it; accents and capitals do "
        "not matter. Courses come in the order of the longest word; pages may be short, so follow "
        "`links.next`.",
        examples=["first ste"],
    )
    sort: Sort | None = Field(
        None, description="Unsorted, by slug, your own courses first. With `-`, backwards. Not with `q`."
    )

    @model_validator(mode="after")
    def _search_has_its_order(self) -> Self:
        if self.q is not None and self.sort is not None:
            raise ValueError("sort: is not possible together with q")
        return self


class Changing(PageQuery):
    """A list that also tells what has changed."""

    updated_since: Since = None

    @model_validator(mode="after")
    def _changes_stand_alone(self) -> Self:
        others = self.model_fields_set - {"updated_since", "page", "per_page", "cursor"}
        if self.updated_since is not None and others:
            raise ValueError(f"updated_since: is not possible together with {min(others)}")
        return self


class OwnCourseQuery(CourseQuery, Changing):
    """Narrows and orders a list of courses, or tells what has changed."""


class LessonQuery(Changing):
    """Narrows a list of lessons; a course that you may not see has none."""

    course: CourseFilter = None
    language: Language = None
    level: CefrLevel | None = Field(None, description="The CEFR level of the course.")


class TrainingQuery(Changing):
    """Narrows a list of trainings; a lesson that you may not see has none."""

    course: CourseFilter = None
    lesson: LessonFilter = None
    language: Language = None
    level: CefrLevel | None = Field(None, description="The CEFR level of the course.")


class ItemQuery(Changing):
    """Narrows a list of training items; a training that you may not see has none."""

    course: CourseFilter = None
    lesson: LessonFilter = None
    training: TrainingId | None = Field(None, description="Only items of this training.")
    type: ItemType | None = Field(None, description="Only items of this type.")
    skill: Skill | None = Field(None, description="Only items that practise this skill.")
    language: Language = None
    level: CefrLevel | None = Field(None, description="The CEFR level of the item.")


# Resources

Updated = Annotated[Time, Field(description="When it last changed, as learners see it.")]


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
    intro: Intro
    can_do: CanDo
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
    updated_at: Updated


class Training(TrainingBrief):
    """A block of exercises."""

    slug: Slug = Field(examples=["hello-and-goodbye"])
    course_id: CourseId
    lesson_id: LessonId
    language: LanguageCode
    cefr_level: CefrLevel
    updated_at: Updated


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
    points: Points
    content: Content
    updated_at: Updated


class Tombstone(Schema):
    """What stands for a thing that is no longer there, in lists that are asked with `updated_since`."""

    id: CourseId | LessonId | TrainingId | ItemId
    deleted: Literal[True]
    deleted_at: Time


class ChangesMeta(Meta):
    """Where in the list this page stands, and up to when it tells what has changed."""

    complete_until: Time | None = Field(
        description="With `updated_since`: the next `updated_since` that misses nothing, the same on "
        "every page of a walk. What changed after it may show up again then."
    )


class CoursePage(Page[Course | Tombstone]):
    meta: ChangesMeta


class LessonPage(Page[Lesson | Tombstone]):
    meta: ChangesMeta


class TrainingPage(Page[Training | Tombstone]):
    meta: ChangesMeta


class TrainingItemPage(Page[TrainingItem | Tombstone]):
    meta: ChangesMeta


# A course as its files say it


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
            if twice := [slug for slug, times in Counter(slugs).items() if times > 1]:
                raise ValueError(f"the {kind} slug {min(twice)} stands there twice")
        return self


# Drafts

State = Literal["draft", "published", "archived"]


class DraftQuery(PageQuery):
    """Narrows the list of your institution's courses."""

    state: State | None = Field(None, description="`draft`: never published.")


class CourseCreate(Body):
    """A new course. Its slug is unique among your institution's and stays; its id follows from it."""

    slug: Slug
    title: Title
    description: LongText
    language: LanguageCode = Field(description="The language that is taught.")
    taught_in: LanguageCode = Field(description="The language of instruction.", examples=["en"])
    cefr_level: CefrLevel


class LessonCreate(Body):
    """A new lesson, the last of its course unless it has a position. Its slug is unique in the course."""

    course_id: CourseId
    slug: Slug
    title: Title
    intro: Intro
    can_do: CanDo
    position: Position | None = None


class TrainingCreate(Body):
    """A new training, the last of its lesson unless it has a position. Its slug is unique in the course."""

    lesson_id: LessonId
    slug: Slug
    title: Title
    position: Position | None = None


class ItemCreate(Item):
    """A new exercise, the last of its training unless it has a position. Its slug is unique in the course."""

    training_id: TrainingId
    slug: Slug
    position: Position | None = None


class _Change(Body):
    """What is left out stays as it is; nothing can be null."""

    @model_validator(mode="after")
    def _nothing_is_null(self) -> Self:
        for name in sorted(self.model_fields_set):
            if getattr(self, name) is None:
                raise ValueError(f"{name}: leave it out instead of sending null")
        return self


class CourseChange(_Change):
    """What is left out stays as it is."""

    title: Title | None = None
    description: LongText | None = None
    language: LanguageCode | None = None
    taught_in: LanguageCode | None = None
    cefr_level: CefrLevel | None = None


class LessonChange(_Change):
    """What is left out stays as it is. A `position` moves it among its siblings."""

    title: Title | None = None
    intro: Intro | None = None
    can_do: CanDo | None = None
    position: Position | None = None


class TrainingChange(_Change):
    """What is left out stays as it is. A `position` or another `lesson_id` of the course moves it."""

    title: Title | None = None
    lesson_id: LessonId | None = None
    position: Position | None = None


class ItemChange(_Change):
    """What is left out stays as it is. Content and key are replaced whole, and must fit each other then.
    A `position` or another `training_id` of the course moves it.
    """

    content: Content | None = None
    key: Key | None = None
    cefr_level: CefrLevel | None = None
    skill: Skill | None = None
    points: Points | None = None
    training_id: TrainingId | None = None
    position: Position | None = None


class _Draft(Schema):
    slug: Slug
    revision: Revision
    created_at: Time
    updated_at: Time


class CourseDraft(_Draft):
    """A course as its authors see it. Learners see what was last published."""

    id: CourseId
    title: Title
    description: LongText
    language: LanguageCode
    taught_in: LanguageCode
    cefr_level: CefrLevel
    state: State = Field(description="`draft`: never published.")
    lesson_ids: list[LessonId] = Field(max_length=LESSONS_AT_MOST, description="In order.")
    archived_lesson_ids: list[LessonId] = Field(max_length=ARCHIVED_AT_MOST)


class LessonDraft(_Draft):
    """A lesson as its authors see it."""

    id: LessonId
    course_id: CourseId
    title: Title
    intro: Intro
    can_do: CanDo
    training_ids: list[TrainingId] = Field(max_length=TRAININGS_AT_MOST, description="In order.")
    archived_training_ids: list[TrainingId] = Field(max_length=ARCHIVED_AT_MOST)
    archived_at: Time | None


class TrainingDraft(_Draft):
    """A block of exercises as its authors see it."""

    id: TrainingId
    course_id: CourseId
    lesson_id: LessonId
    title: Title
    item_ids: list[ItemId] = Field(max_length=ITEMS_AT_MOST, description="In order.")
    archived_item_ids: list[ItemId] = Field(max_length=ARCHIVED_AT_MOST)
    archived_at: Time | None


class ItemDraft(_Draft):
    """An exercise as its authors see it, with its answer key."""

    id: ItemId
    course_id: CourseId
    training_id: TrainingId
    content: Content
    key: Key
    cefr_level: CefrLevel
    skill: Skill
    points: Points
    archived_at: Time | None


class Publication(Schema):
    """What learners see of a course."""

    course_id: CourseId
    state: State = Field(description="`draft`: never published.")
    edition: Count = Field(description="How often it was published; 0 before the first time.")
    has_unpublished_changes: bool
    in_progress: bool = Field(
        description="Lists across courses still follow; the course itself changes at one stroke."
    )
    published_at: Time | None
    archived_at: Time | None
