"""/api/public/*, /api/courses*, /api/lessons*, /api/trainings*, /api/trainingItems*."""

from typing import Any, TypeVar

from chalice.app import Blueprint
from pydantic import BaseModel

from chalicelib.catalogue import authoring, schemas, service
from chalicelib.core.http import Call, endpoint
from chalicelib.core.paging import Page, PageQuery
from chalicelib.core.types import CourseId, ItemId, LessonId, TrainingId
from chalicelib.institutions.service import PUBLIC_INSTITUTION

api = Blueprint(__name__)

PUBLIC = "public, max-age=60"
PRIVATE = "private, no-cache"
"""May be kept by the client, who asks with `If-None-Match` whether it still holds."""

T = TypeVar("T", bound=BaseModel)


@endpoint(api, "GET", "/api/public/courses", abilities=None, query=schemas.CourseQuery,
          returns=Page[schemas.PublicCourse], cached=PUBLIC)  # fmt: skip
def list_public_courses(call: Call, query: schemas.CourseQuery) -> Page[schemas.PublicCourse]:
    """All published public courses, by slug unless you sort or search. No token is needed."""
    return page_of(call, query, service.courses(PUBLIC_INSTITUTION, query)).showing(_public)


@endpoint(api, "GET", "/api/public/courses/{slug}", abilities=None, returns=schemas.PublicCourseDetails,
          cached=PUBLIC)  # fmt: skip
def get_public_course(call: Call, slug: schemas.Slug) -> schemas.PublicCourseDetails:  # noqa: ARG001 (no token)
    """A public course and its lessons, by its slug. No token is needed."""
    return schemas.PublicCourseDetails(**dict(service.public_course_details(slug)))


@endpoint(api, "GET", "/api/courses", abilities=["catalogue:read"], query=schemas.OwnCourseQuery,
          returns=schemas.CoursePage, cached=PRIVATE)  # fmt: skip
def list_courses(call: Call, query: schemas.OwnCourseQuery) -> schemas.CoursePage:
    """The courses that your institution may use: its own first, then the public ones, by slug.

    With `updated_since`, what has changed or gone since then.
    """
    if query.updated_since is not None:
        return schemas.CoursePage(**_changes(call, query, "COURSES", schemas.Course))
    return schemas.CoursePage(**_listed(call, query, service.courses(call.caller.institution_id, query)))


@endpoint(api, "GET", "/api/courses/{course}", abilities=["catalogue:read"],
          returns=schemas.CourseDetails, cached=PRIVATE)  # fmt: skip
def get_course(call: Call, course: CourseId) -> schemas.CourseDetails:
    """A course with its lessons, and each lesson's trainings in brief."""
    return service.course_details(call.caller.institution_id, course)


@endpoint(api, "GET", "/api/lessons", abilities=["catalogue:read"], query=schemas.LessonQuery,
          returns=schemas.LessonPage, cached=PRIVATE)  # fmt: skip
def list_lessons(call: Call, query: schemas.LessonQuery) -> schemas.LessonPage:
    """Lessons in the order of their courses; those of one `course` if you name it.

    With `updated_since`, what has changed or gone since then.
    """
    if query.updated_since is not None:
        return schemas.LessonPage(**_changes(call, query, "LESSONS", schemas.Lesson))
    return schemas.LessonPage(**_listed(call, query, service.lessons(call.caller.institution_id, query)))


@endpoint(api, "GET", "/api/lessons/{lesson}", abilities=["catalogue:read"], returns=schemas.Lesson,
          cached=PRIVATE)  # fmt: skip
def get_lesson(call: Call, lesson: LessonId) -> schemas.Lesson:
    """A lesson, and its trainings in brief."""
    return service.lesson(call.caller.institution_id, lesson)


@endpoint(api, "GET", "/api/trainings", abilities=["catalogue:read"], query=schemas.TrainingQuery,
          returns=schemas.TrainingPage, cached=PRIVATE)  # fmt: skip
def list_trainings(call: Call, query: schemas.TrainingQuery) -> schemas.TrainingPage:
    """Training blocks in the order of their lessons; those of one `lesson` or `course` if you name it.

    With `updated_since`, what has changed or gone since then.
    """
    if query.updated_since is not None:
        return schemas.TrainingPage(**_changes(call, query, "TRAININGS", schemas.Training))
    return schemas.TrainingPage(**_listed(call, query, service.trainings(call.caller.institution_id, query)))


@endpoint(api, "GET", "/api/trainings/{training}", abilities=["catalogue:read"], returns=schemas.Training,
          cached=PRIVATE)  # fmt: skip
def get_training(call: Call, training: TrainingId) -> schemas.Training:
    """A training block. Its exercises: `GET /api/trainingItems?training=`."""
    return service.training(call.caller.institution_id, training)


@endpoint(api, "GET", "/api/trainingItems", abilities=["catalogue:read"], query=schemas.ItemQuery,
          returns=schemas.TrainingItemPage, cached=PRIVATE)  # fmt: skip
def list_training_items(call: Call, query: schemas.ItemQuery) -> schemas.TrainingItemPage:
    """Exercises in the order of their trainings.

    Name a `training`, `lesson` or `course` for its own; `type`, `skill`, `language` and `level` narrow any
    of these. With `updated_since`, what has changed or gone since then.
    """
    if query.updated_since is not None:
        return schemas.TrainingItemPage(**_changes(call, query, "ITEMS", schemas.TrainingItem))
    found = service.training_items(call.caller.institution_id, query)
    return schemas.TrainingItemPage(**_listed(call, query, found))


@endpoint(api, "GET", "/api/trainingItems/{item}", abilities=["catalogue:read"],
          returns=schemas.TrainingItem, cached=PRIVATE)  # fmt: skip
def get_training_item(call: Call, item: ItemId) -> schemas.TrainingItem:
    """An exercise, without its answer key."""
    return service.training_item(call.caller.institution_id, item)


# Courses as authors write them


@endpoint(api, "POST", "/api/courses", abilities=["catalogue:write"], body=schemas.CourseCreate,
          returns=schemas.CourseDraft, status=201, idempotent=True, tagged=True)  # fmt: skip
def create_course(call: Call, body: schemas.CourseCreate) -> schemas.CourseDraft:
    """Create a course, as a draft that only your institution's authors see.

    Add lessons, trainings and items, then publish it. Its slug cannot be changed.
    """
    made = authoring.create_course(call.transaction, call.caller.institution_id, body, call.now)
    return authoring.show_course(made)


@endpoint(api, "GET", "/api/courses/drafts", abilities=["catalogue:write"], query=schemas.DraftQuery,
          returns=Page[schemas.CourseDraft])  # fmt: skip
def list_course_drafts(call: Call, query: schemas.DraftQuery) -> Page[schemas.CourseDraft]:
    """Your institution's courses as authored, by slug: drafts, published and archived ones."""
    return page_of(call, query, authoring.course_drafts(call.caller.institution_id, query.state))


@endpoint(api, "GET", "/api/courses/{course}/draft", abilities=["catalogue:write"],
          returns=schemas.CourseDraft, tagged=True)  # fmt: skip
def get_course_draft(call: Call, course: CourseId) -> schemas.CourseDraft:
    """A course as authored."""
    return authoring.show_course(authoring.course_draft(call.caller.institution_id, course))


@endpoint(api, "PUT", "/api/courses/{course}", abilities=["catalogue:write"], body=schemas.CourseChange,
          returns=schemas.CourseDraft, tagged=True)  # fmt: skip
def update_course(call: Call, body: schemas.CourseChange, course: CourseId) -> schemas.CourseDraft:
    """Change a course's draft. What is left out stays; learners see it once it is published."""
    changed = authoring.change_course(
        call.transaction, call.caller.institution_id, course, body, call.must_be, call.now
    )
    return authoring.show_course(changed)


@endpoint(api, "GET", "/api/courses/{course}/publication", abilities=["catalogue:write"],
          returns=schemas.Publication)  # fmt: skip
def get_publication(call: Call, course: CourseId) -> schemas.Publication:
    """What learners see of a course, and whether its drafts say something else by now."""
    from chalicelib.catalogue import publishing  # on few paths

    return publishing.publication(call.caller.institution_id, course)


@endpoint(api, "POST", "/api/courses/{course}/publish", abilities=["catalogue:write"],
          returns=schemas.Publication)  # fmt: skip
def publish_course(call: Call, course: CourseId) -> schemas.Publication:
    """Publish a course with its lessons, trainings and items, all at one stroke.

    Archived parts are left out, a changed item gets its next version. Repeat it as you like: the same
    again changes nothing. An archived course comes back.
    """
    from chalicelib.catalogue import publishing  # on few paths

    return publishing.publish_draft(call.caller.institution_id, course, call.now)


@endpoint(api, "POST", "/api/courses/{course}/archive", abilities=["catalogue:write"],
          returns=schemas.Publication)  # fmt: skip
def archive_course(call: Call, course: CourseId) -> schemas.Publication:
    """Take a course from learners. Its drafts stay, and so do progress in it and exports of it."""
    from chalicelib.catalogue import publishing  # on few paths

    return publishing.archive(call.caller.institution_id, course, call.now)


# Lessons as authors write them


@endpoint(api, "POST", "/api/lessons", abilities=["catalogue:write"], body=schemas.LessonCreate,
          returns=schemas.LessonDraft, status=201, idempotent=True, tagged=True)  # fmt: skip
def create_lesson(call: Call, body: schemas.LessonCreate) -> schemas.LessonDraft:
    """Add a lesson to a course, at a position or as the last."""
    made = authoring.create_part(
        call.transaction, call.caller.institution_id, authoring.LESSON, body.course_id, body, call.now
    )
    return authoring.show_lesson(made)


@endpoint(api, "GET", "/api/courses/{course}/draft/lessons", abilities=["catalogue:write"],
          query=PageQuery, returns=Page[schemas.LessonDraft])  # fmt: skip
def list_lesson_drafts(call: Call, query: PageQuery, course: CourseId) -> Page[schemas.LessonDraft]:
    """The lessons of a course as authored, in order, without archived ones."""
    found = authoring.child_drafts(call.caller.institution_id, authoring.LESSON, course)
    return page_of(call, query, found)


@endpoint(api, "GET", "/api/lessons/{lesson}/draft", abilities=["catalogue:write"],
          returns=schemas.LessonDraft, tagged=True)  # fmt: skip
def get_lesson_draft(call: Call, lesson: LessonId) -> schemas.LessonDraft:
    """A lesson as authored."""
    return authoring.show_lesson(authoring.part_draft(call.caller.institution_id, authoring.LESSON, lesson))


@endpoint(api, "PUT", "/api/lessons/{lesson}", abilities=["catalogue:write"], body=schemas.LessonChange,
          returns=schemas.LessonDraft, tagged=True)  # fmt: skip
def update_lesson(call: Call, body: schemas.LessonChange, lesson: LessonId) -> schemas.LessonDraft:
    """Change or move a lesson. What is left out stays; learners see it once the course is published."""
    changed = authoring.change_part(
        call.transaction, call.caller.institution_id, authoring.LESSON, lesson, body, call.must_be, call.now
    )
    return authoring.show_lesson(changed)


@endpoint(api, "POST", "/api/lessons/{lesson}/archive", abilities=["catalogue:write"],
          returns=schemas.LessonDraft, tagged=True)  # fmt: skip
def archive_lesson(call: Call, lesson: LessonId) -> schemas.LessonDraft:
    """Leave a lesson out of what is published next."""
    archived = authoring.archive_part(
        call.transaction, call.caller.institution_id, authoring.LESSON, lesson, call.must_be, call.now
    )
    return authoring.show_lesson(archived)


@endpoint(api, "POST", "/api/lessons/{lesson}/restore", abilities=["catalogue:write"],
          returns=schemas.LessonDraft, tagged=True)  # fmt: skip
def restore_lesson(call: Call, lesson: LessonId) -> schemas.LessonDraft:
    """Take a lesson back that was archived, as the last of its siblings."""
    restored = authoring.restore_part(
        call.transaction, call.caller.institution_id, authoring.LESSON, lesson, call.must_be, call.now
    )
    return authoring.show_lesson(restored)


# Trainings as authors write them


@endpoint(api, "POST", "/api/trainings", abilities=["catalogue:write"], body=schemas.TrainingCreate,
          returns=schemas.TrainingDraft, status=201, idempotent=True, tagged=True)  # fmt: skip
def create_training(call: Call, body: schemas.TrainingCreate) -> schemas.TrainingDraft:
    """Add a training to a lesson, at a position or as the last."""
    made = authoring.create_part(
        call.transaction, call.caller.institution_id, authoring.TRAINING, body.lesson_id, body, call.now
    )
    return authoring.show_training(made)


@endpoint(api, "GET", "/api/lessons/{lesson}/draft/trainings", abilities=["catalogue:write"],
          query=PageQuery, returns=Page[schemas.TrainingDraft])  # fmt: skip
def list_training_drafts(call: Call, query: PageQuery, lesson: LessonId) -> Page[schemas.TrainingDraft]:
    """The trainings of a lesson as authored, in order, without archived ones."""
    found = authoring.child_drafts(call.caller.institution_id, authoring.TRAINING, lesson)
    return page_of(call, query, found)


@endpoint(api, "GET", "/api/trainings/{training}/draft", abilities=["catalogue:write"],
          returns=schemas.TrainingDraft, tagged=True)  # fmt: skip
def get_training_draft(call: Call, training: TrainingId) -> schemas.TrainingDraft:
    """A training as authored."""
    return authoring.show_training(
        authoring.part_draft(call.caller.institution_id, authoring.TRAINING, training)
    )


@endpoint(api, "PUT", "/api/trainings/{training}", abilities=["catalogue:write"], body=schemas.TrainingChange,
          returns=schemas.TrainingDraft, tagged=True)  # fmt: skip
def update_training(call: Call, body: schemas.TrainingChange, training: TrainingId) -> schemas.TrainingDraft:
    """Change or move a training. What is left out stays; learners see it once the course is published."""
    changed = authoring.change_part(
        call.transaction,
        call.caller.institution_id,
        authoring.TRAINING,
        training,
        body,
        call.must_be,
        call.now,
    )
    return authoring.show_training(changed)


@endpoint(api, "POST", "/api/trainings/{training}/archive", abilities=["catalogue:write"],
          returns=schemas.TrainingDraft, tagged=True)  # fmt: skip
def archive_training(call: Call, training: TrainingId) -> schemas.TrainingDraft:
    """Leave a training out of what is published next."""
    archived = authoring.archive_part(
        call.transaction, call.caller.institution_id, authoring.TRAINING, training, call.must_be, call.now
    )
    return authoring.show_training(archived)


@endpoint(api, "POST", "/api/trainings/{training}/restore", abilities=["catalogue:write"],
          returns=schemas.TrainingDraft, tagged=True)  # fmt: skip
def restore_training(call: Call, training: TrainingId) -> schemas.TrainingDraft:
    """Take a training back that was archived, as the last of its siblings."""
    restored = authoring.restore_part(
        call.transaction, call.caller.institution_id, authoring.TRAINING, training, call.must_be, call.now
    )
    return authoring.show_training(restored)


# Items as authors write them


@endpoint(api, "POST", "/api/trainingItems", abilities=["catalogue:write"], body=schemas.ItemCreate,
          returns=schemas.ItemDraft, status=201, idempotent=True, tagged=True)  # fmt: skip
def create_training_item(call: Call, body: schemas.ItemCreate) -> schemas.ItemDraft:
    """Add an exercise with its answer key to a training, at a position or as the last."""
    made = authoring.create_part(
        call.transaction, call.caller.institution_id, authoring.ITEM, body.training_id, body, call.now
    )
    return authoring.show_item(made)


@endpoint(api, "GET", "/api/trainings/{training}/draft/items", abilities=["catalogue:write"],
          query=PageQuery, returns=Page[schemas.ItemDraft])  # fmt: skip
def list_training_item_drafts(call: Call, query: PageQuery, training: TrainingId) -> Page[schemas.ItemDraft]:
    """The training items of a training as authored, in order, without archived ones."""
    found = authoring.child_drafts(call.caller.institution_id, authoring.ITEM, training)
    return page_of(call, query, found)


@endpoint(api, "GET", "/api/trainingItems/{item}/draft", abilities=["catalogue:write"],
          returns=schemas.ItemDraft, tagged=True)  # fmt: skip
def get_training_item_draft(call: Call, item: ItemId) -> schemas.ItemDraft:
    """An exercise as authored, with its answer key."""
    return authoring.show_item(authoring.part_draft(call.caller.institution_id, authoring.ITEM, item))


@endpoint(api, "PUT", "/api/trainingItems/{item}", abilities=["catalogue:write"], body=schemas.ItemChange,
          returns=schemas.ItemDraft, tagged=True)  # fmt: skip
def update_training_item(call: Call, body: schemas.ItemChange, item: ItemId) -> schemas.ItemDraft:
    """Change or move an exercise. What is left out stays; learners see it once the course is published."""
    changed = authoring.change_part(
        call.transaction, call.caller.institution_id, authoring.ITEM, item, body, call.must_be, call.now
    )
    return authoring.show_item(changed)


@endpoint(api, "POST", "/api/trainingItems/{item}/archive", abilities=["catalogue:write"],
          returns=schemas.ItemDraft, tagged=True)  # fmt: skip
def archive_training_item(call: Call, item: ItemId) -> schemas.ItemDraft:
    """Leave an exercise out of what is published next."""
    archived = authoring.archive_part(
        call.transaction, call.caller.institution_id, authoring.ITEM, item, call.must_be, call.now
    )
    return authoring.show_item(archived)


@endpoint(api, "POST", "/api/trainingItems/{item}/restore", abilities=["catalogue:write"],
          returns=schemas.ItemDraft, tagged=True)  # fmt: skip
def restore_training_item(call: Call, item: ItemId) -> schemas.ItemDraft:
    """Take an exercise back that was archived, as the last of its siblings."""
    restored = authoring.restore_part(
        call.transaction, call.caller.institution_id, authoring.ITEM, item, call.must_be, call.now
    )
    return authoring.show_item(restored)


# Pages


def page_of(call: Call, query: PageQuery, found: service.Found[T]) -> Page[T]:
    """The page asked for, of a list that a service has found."""
    page = call.listing(query).page(found.read, found.total, full=found.full)
    return Page(data=found.show(page.data), links=page.links, meta=page.meta)


def _listed(call: Call, query: PageQuery, found: service.Found[Any]) -> dict[str, Any]:
    return _with_meta(page_of(call, query, found), None)


def _changes(call: Call, query: schemas.Changing, kind: str, model: type[BaseModel]) -> dict[str, Any]:
    since = query.updated_since or call.now
    read = service.Changes(call.caller.institution_id, kind, since, call.now)
    page = page_of(call, query, service.Found(read, lambda rows: service.changed(model, rows)))
    return _with_meta(page, read.complete_until)


def _with_meta(page: Page[Any], complete_until: str | None) -> dict[str, Any]:
    meta = schemas.ChangesMeta(**dict(page.meta), complete_until=complete_until)
    return {"data": page.data, "links": page.links, "meta": meta}


def _public(course: schemas.Course) -> schemas.PublicCourse:
    return schemas.PublicCourse(**dict(course))
