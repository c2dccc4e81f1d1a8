"""/api/public/*, /api/courses*, /api/lessons*, /api/trainings*, /api/trainingItems*."""

from chalice.app import Blueprint

from chalicelib.catalogue import schemas, service
from chalicelib.core.http import Call, endpoint
from chalicelib.core.paging import Page
from chalicelib.core.types import CourseId
from chalicelib.institutions.service import PUBLIC_INSTITUTION

api = Blueprint(__name__)

PUBLIC = "public, max-age=60"
PRIVATE = "private, no-cache"
"""May be kept by the client, who asks with `If-None-Match` whether it still holds."""


@endpoint(api, "GET", "/api/public/courses", abilities=None, query=schemas.CourseQuery,
          returns=Page[schemas.PublicCourse], cached=PUBLIC)  # fmt: skip
def list_public_courses(call: Call, query: schemas.CourseQuery) -> Page[schemas.PublicCourse]:
    """All published public courses, by slug. No token is needed."""
    found = service.courses(PUBLIC_INSTITUTION, query.language, query.level)
    return call.listing(query).page(found.read, found.total).showing(_public)


@endpoint(api, "GET", "/api/public/courses/{slug}", abilities=None, returns=schemas.PublicCourseDetails,
          cached=PUBLIC)  # fmt: skip
def get_public_course(call: Call, slug: schemas.Slug) -> schemas.PublicCourseDetails:  # noqa: ARG001 (no token)
    """A public course and its lessons, by its slug. No token is needed."""
    return schemas.PublicCourseDetails(**dict(service.public_course_details(slug)))


@endpoint(api, "GET", "/api/courses", abilities=["catalogue:read"], query=schemas.CourseQuery,
          returns=Page[schemas.Course], cached=PRIVATE)  # fmt: skip
def list_courses(call: Call, query: schemas.CourseQuery) -> Page[schemas.Course]:
    """The courses that your institution may use: its own first, then the public ones, by slug."""
    found = service.courses(call.caller.institution_id, query.language, query.level)
    return call.listing(query).page(found.read, found.total)


@endpoint(api, "GET", "/api/courses/{course}", abilities=["catalogue:read"],
          returns=schemas.CourseDetails, cached=PRIVATE)  # fmt: skip
def get_course(call: Call, course: CourseId) -> schemas.CourseDetails:
    """A course with its lessons, and each lesson's trainings in brief."""
    return service.course_details(call.caller.institution_id, course)


@endpoint(api, "GET", "/api/lessons", abilities=["catalogue:read"], query=schemas.LessonQuery,
          returns=Page[schemas.Lesson], cached=PRIVATE)  # fmt: skip
def list_lessons(call: Call, query: schemas.LessonQuery) -> Page[schemas.Lesson]:
    """Lessons in the order of their courses; those of one `course` if you name it."""
    found = service.lessons(call.caller.institution_id, query.course)
    return call.listing(query).page(found.read, found.total)


@endpoint(api, "GET", "/api/trainings", abilities=["catalogue:read"], query=schemas.TrainingQuery,
          returns=Page[schemas.Training], cached=PRIVATE)  # fmt: skip
def list_trainings(call: Call, query: schemas.TrainingQuery) -> Page[schemas.Training]:
    """Training blocks in the order of their lessons; those of one `lesson` if you name it."""
    found = service.trainings(call.caller.institution_id, query.lesson)
    return call.listing(query).page(found.read, found.total)


@endpoint(api, "GET", "/api/trainingItems", abilities=["catalogue:read"], query=schemas.ItemQuery,
          returns=Page[schemas.TrainingItem], cached=PRIVATE)  # fmt: skip
def list_training_items(call: Call, query: schemas.ItemQuery) -> Page[schemas.TrainingItem]:
    """Exercises in the order of their trainings; those of one `training`, and of one `type`."""
    found = service.training_items(call.caller.institution_id, query.training, query.type)
    return call.listing(query).page(found.read, found.total)


def _public(course: schemas.Course) -> schemas.PublicCourse:
    return schemas.PublicCourse(**dict(course))
