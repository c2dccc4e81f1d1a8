"""What attempts and progress look like on the wire."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from chalicelib.core.paging import PageQuery
from chalicelib.core.types import Body, Id, Instant, Time
from chalicelib.learning.grading import Answer, Feedback, Result

AttemptId = Annotated[
    str,
    Field(
        pattern=r"^att_[0-9A-HJKMNP-TV-Z]{26}$",
        max_length=30,
        description="The client's own id, for answers given offline: the same id is recorded once.",
        examples=["att_01KAXG7Y0000000000000000A1"],
    ),
]
LearnerId = Annotated[
    str,
    Field(
        pattern=r"^mem_[0-9A-HJKMNP-TV-Z]{26}$",
        max_length=30,
        description="A member of the token's institution; the token's own by default.",
        examples=["mem_01KAXG7Y0000000000000000A1"],
    ),
]


class AttemptCreate(Body):
    """An answer, in the shape of the item's type; null is "I don't know"."""

    answer: Any = Field(
        description='multiple_choice "a"; multiple_select ["a","c"]; cloze ["bin","habe"] in gap order; '
        'matching {"a":"2","b":"1"}; ordering ["c","a","b"]; dictation and translation "text"; listening as '
        'its question; speaking_self_assessed and flashcard "again", "hard", "good" or "easy".',
        examples=["b"],
    )
    duration_ms: int = Field(ge=0, le=86_400_000, examples=[4200])
    occurred_at: Instant | None = Field(
        None, description="When it was answered, at most 90 days ago; now by default."
    )
    attempt_id: AttemptId | None = None
    learner_id: LearnerId | None = None


class AttemptResult(BaseModel):
    id: Id
    learner_id: Id
    item_id: Id
    item_version: int
    result: Result
    score: float = Field(ge=0, le=1)
    feedback: list[Feedback] = Field(max_length=2100)
    correct_answer: Answer
    occurred_at: Time
    recorded_at: Time


class Changes(BaseModel):
    """What the answer changed."""

    xp: int = Field(description="XP that it added: the best answer of a day to an item earns.")
    lesson_percent: int = Field(ge=0, le=100)
    course_percent: int = Field(ge=0, le=100)
    lesson_completed: bool = Field(description="Whether this answer completed the lesson.")
    course_completed: bool = Field(description="Whether this answer completed the course.")
    streak_days: int


class AttemptRecorded(BaseModel):
    attempt: AttemptResult
    changes: Changes


class LessonProgressQuery(PageQuery):
    learner_id: LearnerId | None = None


class LessonProgress(BaseModel):
    lesson_id: Id
    course_id: Id
    learner_id: Id
    title: str = Field(max_length=200)
    position: int
    status: Literal["not_started", "in_progress", "completed"]
    items_total: int
    items_passed: int
    percent: int = Field(ge=0, le=100)
    completed_at: Time | None
    last_activity_at: Time | None
