"""What attempts and progress look like on the wire."""

from typing import Annotated, Any, Literal

from pydantic import Field, PlainValidator

from chalicelib.core.paging import PageQuery
from chalicelib.core.types import (
    AttemptId,
    Body,
    Count,
    CourseId,
    ItemId,
    LessonId,
    MemberId,
    Moment,
    Percent,
    Schema,
    Time,
    Version,
)
from chalicelib.learning.grading import LONGEST_ANSWER, Feedback, Result

LearnerId = Annotated[
    MemberId, Field(description="A member of the token's institution; the token's own by default.")
]


AnswerText = Annotated[str, Field(max_length=LONGEST_ANSWER)]
AnswerShape = (
    AnswerText
    | Annotated[list[AnswerText], Field(max_length=100)]
    | Annotated[dict[AnswerText, AnswerText], Field(max_length=100)]
)
"""Of any item type. Which one an item takes is grading's to say, in words that fit the item."""


class AttemptCreate(Body):
    """An answer, in the shape of the item's type; null is "I don't know"."""

    answer: Annotated[Any, PlainValidator(lambda value: value, AnswerShape | None)] = Field(
        description='multiple_choice "a"; multiple_select ["a","c"]; cloze ["bin","habe"] in gap order; '
        'matching {"a":"2","b":"1"}; ordering ["c","a","b"]; dictation and translation "text"; listening as '
        'its question; speaking_self_assessed and flashcard "again", "hard", "good" or "easy".',
        examples=["b"],
    )
    duration_ms: int = Field(ge=0, le=86_400_000, examples=[4200])
    occurred_at: Moment | None = Field(
        None, description="When it was answered, at most 90 days ago; now by default."
    )
    attempt_id: AttemptId | None = Field(
        None, description="The client's own id, for answers given offline: the same id is recorded once."
    )
    learner_id: LearnerId | None = None


class AttemptResult(Schema):
    """An answer as it was graded and recorded."""

    id: AttemptId
    learner_id: MemberId
    item_id: ItemId
    item_version: Version
    result: Result = Field(examples=["near_miss"])
    score: float = Field(ge=0, le=1, examples=[0.9])
    feedback: list[Feedback] = Field(max_length=2100)
    correct_answer: AnswerShape = Field(examples=["Buenos días, soy Ana"])
    occurred_at: Time
    recorded_at: Time


class Changes(Schema):
    """What the answer changed."""

    xp: Count = Field(
        description="XP that it added: the best answer of a day to an item earns.", examples=[9]
    )
    lesson_percent: Percent
    course_percent: Percent = Field(examples=[9])
    lesson_completed: bool = Field(description="Whether this answer completed the lesson.", examples=[False])
    course_completed: bool = Field(description="Whether this answer completed the course.", examples=[False])
    streak_days: Count


class AttemptRecorded(Schema):
    """What the answer was worth, and what it changed."""

    attempt: AttemptResult
    changes: Changes


class LessonProgressQuery(PageQuery):
    learner_id: LearnerId | None = None


class LessonProgress(Schema):
    """How far a learner is in one lesson."""

    lesson_id: LessonId
    course_id: CourseId
    learner_id: MemberId
    title: str = Field(max_length=200, examples=["Greetings and introducing yourself"])
    position: Count = Field(description="Place in the course, from 1.", examples=[1])
    status: Literal["not_started", "in_progress", "completed"] = Field(examples=["in_progress"])
    items_total: Count = Field(examples=[8])
    items_passed: Count
    percent: Percent = Field(description="The share of items that are passed, rounded down.")
    completed_at: Time | None = Field(examples=[None])
    last_activity_at: Time | None
