"""The events of learning."""

from typing import Annotated

from pydantic import Field

from chalicelib.core.events import EventData
from chalicelib.core.types import Id, Time

Count = Annotated[int, Field(ge=0, examples=[3])]
Percent = Annotated[int, Field(ge=0, le=100, examples=[37])]


class ExerciseAnswered(EventData, type="exercise.answered"):
    """A learner's answer was graded and recorded."""

    attempt_id: Id
    learner_id: Id
    course_id: Id
    lesson_id: Id
    training_id: Id
    item_id: Id
    item_version: Annotated[int, Field(ge=1, examples=[1])]
    item_type: Annotated[str, Field(examples=["cloze"])]
    skill: Annotated[str, Field(examples=["grammar"])]
    cefr_level: Annotated[str, Field(examples=["A1"])]
    result: Annotated[str, Field(examples=["partial"])]
    score: Annotated[float, Field(ge=0, le=1, examples=[0.5])]
    xp: Annotated[int, Field(ge=0, description="XP that this answer added", examples=[5])]
    duration_ms: Annotated[int, Field(ge=0, examples=[4200])]
    occurred_at: Time


class ProgressUpdated(EventData, type="progress.updated"):
    """An item was passed for the first time, so that lesson and course progress grew."""

    learner_id: Id
    course_id: Id
    lesson_id: Id
    lesson_items_passed: Count
    lesson_percent: Percent
    course_items_passed: Count
    course_percent: Percent


class LessonCompleted(EventData, type="lesson.completed"):
    """The last item of a lesson was passed. Told once, whatever the learner answers later."""

    learner_id: Id
    course_id: Id
    lesson_id: Id
    completed_at: Time


class CourseCompleted(EventData, type="course.completed"):
    """The last lesson of a course was completed. Told once."""

    learner_id: Id
    course_id: Id
    completed_at: Time
