"""The events of learning."""

from typing import Annotated

from pydantic import Field

from chalicelib.core.events import EventData
from chalicelib.core.types import (
    AttemptId,
    Count,
    CourseId,
    ItemId,
    LessonId,
    MemberId,
    Milliseconds,
    Percent,
    Time,
    TrainingId,
    Version,
)

LocalDate = Annotated[
    str, Field(max_length=10, description="In the learner's time zone", examples=["2026-11-25"])
]


class ExerciseAnswered(EventData, type="exercise.answered"):
    """A learner's answer was graded and recorded."""

    attempt_id: AttemptId
    learner_id: MemberId
    course_id: CourseId
    lesson_id: LessonId
    training_id: TrainingId
    item_id: ItemId
    item_version: Version
    item_type: Annotated[str, Field(max_length=40, examples=["cloze"])]
    skill: Annotated[str, Field(max_length=40, examples=["grammar"])]
    cefr_level: Annotated[str, Field(max_length=2, examples=["A1"])]
    result: Annotated[str, Field(max_length=40, examples=["partial"])]
    score: Annotated[float, Field(ge=0, le=1, examples=[0.5])]
    xp: Annotated[Count, Field(description="XP that this answer added", examples=[5])]
    duration_ms: Annotated[Milliseconds, Field(examples=[4200])]
    occurred_at: Time
    local_date: LocalDate


class ProgressUpdated(EventData, type="progress.updated"):
    """An item was passed for the first time, so that lesson and course progress grew."""

    learner_id: MemberId
    course_id: CourseId
    lesson_id: LessonId
    lesson_items_passed: Count
    lesson_percent: Percent
    course_items_passed: Count
    course_percent: Percent


class LessonCompleted(EventData, type="lesson.completed"):
    """The last item of a lesson was passed. Told once, whatever the learner answers later."""

    learner_id: MemberId
    course_id: CourseId
    lesson_id: LessonId
    completed_at: Time


class CourseCompleted(EventData, type="course.completed"):
    """The last lesson of a course was completed. Told once."""

    learner_id: MemberId
    course_id: CourseId
    completed_at: Time


class LevelReached(EventData, type="cefr.level_reached"):
    """The evidence of a skill proves a CEFR level for the first time. Told once, also if it fades later."""

    learner_id: MemberId
    language: Annotated[str, Field(max_length=8, examples=["de"])]
    skill: Annotated[str, Field(max_length=40, examples=["grammar"])]
    level: Annotated[str, Field(max_length=2, examples=["A2"])]
    reached_at: Time


class AchievementUnlocked(EventData, type="achievement.unlocked"):
    """A milestone was reached. Told once."""

    learner_id: MemberId
    code: Annotated[str, Field(max_length=40, examples=["first_lesson"])]
    unlocked_at: Time


class StreakExtended(EventData, type="streak.extended"):
    """A day of activity made the learner's present streak longer."""

    learner_id: MemberId
    streak_days: Count
    local_date: LocalDate
