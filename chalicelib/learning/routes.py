"""/api/trainingItems/{item}/attempts and /api/courses/{course}/lesson-progress."""

from chalice.app import Blueprint

from chalicelib.core.http import Call, endpoint
from chalicelib.core.paging import Page, of_list
from chalicelib.core.types import CourseId, ItemId
from chalicelib.learning import schemas, service
from chalicelib.learning.models import AttemptItem
from chalicelib.learning.service import LessonState, Submission

api = Blueprint(__name__)


@endpoint(api, "POST", "/api/trainingItems/{item}/attempts", abilities=["progress:write"],
          body=schemas.AttemptCreate, returns=schemas.AttemptRecorded, status=201,
          idempotent=True)  # fmt: skip
def record_attempt(call: Call, body: schemas.AttemptCreate, item: ItemId) -> schemas.AttemptRecorded:
    """Grade and record a learner's answer. The answer tells what was right and what it changed."""
    learner = service.learner_for(call.caller, body.learner_id)
    attempt = service.record(
        call.transaction,
        call.caller,
        learner,
        Submission(item, body.answer, body.duration_ms, body.occurred_at, body.attempt_id),
        now=call.now,
        request_id=call.request_id,
    )
    return schemas.AttemptRecorded(attempt=_attempt(attempt), changes=schemas.Changes(**attempt.changes))


@endpoint(api, "GET", "/api/courses/{course}/lesson-progress", abilities=["progress:read"],
          query=schemas.LessonProgressQuery, returns=Page[schemas.LessonProgress])  # fmt: skip
def lesson_progress(
    call: Call, query: schemas.LessonProgressQuery, course: CourseId
) -> Page[schemas.LessonProgress]:
    """Per-lesson progress for a course, of the caller or of a member."""
    learner = service.learner_for(call.caller, query.learner_id)
    found = service.lesson_progress(call.caller.institution_id, learner, course)
    rows = [(f"{lesson.position:06}", _lesson(lesson, course, learner.id)) for lesson in found]
    return call.listing(query).page(of_list(rows), len(rows))


def _attempt(item: AttemptItem) -> schemas.AttemptResult:
    return schemas.AttemptResult(
        id=item.sk.removeprefix("ATTEMPT#"),
        learner_id=item.pk,
        item_id=item.item_id,
        item_version=int(item.item_version),
        result=item.result,
        score=float(item.score),
        feedback=item.grade["feedback"],
        correct_answer=item.grade["correct_answer"],
        occurred_at=item.occurred_at,
        recorded_at=item.recorded_at,
    )


def _lesson(lesson: LessonState, course_id: str, learner_id: str) -> schemas.LessonProgress:
    started = "in_progress" if lesson.last_activity_at else "not_started"
    return schemas.LessonProgress(
        lesson_id=lesson.lesson_id,
        course_id=course_id,
        learner_id=learner_id,
        title=lesson.title,
        position=lesson.position,
        status="completed" if lesson.completed_at else started,
        items_total=lesson.items_total,
        items_passed=lesson.items_passed,
        percent=lesson.percent,
        completed_at=lesson.completed_at,
        last_activity_at=lesson.last_activity_at,
    )
