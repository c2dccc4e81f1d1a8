"""What attempts and progress look like on the wire."""

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import Field, PlainValidator

from chalicelib.catalogue.items import CefrLevel, ItemType, LanguageCode, Skill
from chalicelib.core.paging import PageQuery, Query
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
    TrainingId,
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


Fault = Annotated[str, Field(max_length=300, examples=["must be a list of texts"])]
Faults = Annotated[list[Fault], Field(max_length=20)]
CanDo = Annotated[str, Field(max_length=200, examples=["I use a few learned patterns for simple sentences."])]
AchievementCode = Annotated[str, Field(max_length=40, pattern=r"^[a-z0-9_]+$", examples=["first_lesson"])]
Date = Annotated[
    date,
    Field(
        description="In the learner's time zone.",
        examples=["2026-11-25"],
        json_schema_extra={"maxLength": 10},
    ),
]
AskedDate = Annotated[
    date,
    Field(
        ge=date(2000, 1, 1),
        le=date(2199, 12, 31),
        examples=["2026-11-25"],
        json_schema_extra={"maxLength": 10},
    ),
]
TimeZone = Annotated[str, Field(max_length=60, description="IANA name", examples=["Europe/Berlin"])]
Share = Annotated[float, Field(ge=0, le=1, examples=[0.83])]


class _Answer(Body):
    answer: Annotated[Any, PlainValidator(lambda value: value, AnswerShape | None)] = Field(
        description='multiple_choice "a"; multiple_select ["a","c"]; cloze ["bin","habe"] in gap order; '
        'matching {"a":"2","b":"1"}; ordering ["c","a","b"]; dictation and translation "text"; listening as '
        'its question; speaking_self_assessed and flashcard "again", "hard", "good" or "easy".',
        examples=["b"],
    )
    duration_ms: int = Field(ge=0, le=86_400_000, examples=[4200])
    item_version: Version | None = Field(
        None, description="The version that the learner saw; the present one by default."
    )


class AttemptCreate(_Answer):
    """An answer, in the shape of the item's type; null is "I don't know"."""

    occurred_at: Moment | None = Field(
        None, description="When it was answered, at most 90 days ago; now by default."
    )
    attempt_id: AttemptId | None = Field(
        None, description="The client's own id, for answers given offline: the same id is recorded once."
    )
    learner_id: LearnerId | None = None


class ImportRow(_Answer):
    """An answer of the past. Its `attempt_id` makes it safe to send again."""

    attempt_id: AttemptId
    learner_id: LearnerId
    item_id: ItemId
    occurred_at: Moment = Field(description="When it was answered, at most ten years ago.")


class ProgressImport(Body):
    """Up to 500 answers. They are graded as any, and earn XP, but nothing on leaderboards."""

    rows: list[ImportRow] = Field(min_length=1, max_length=500)


class ImportResult(Schema):
    """What became of one row. `not_processed`: time ran out; send it again."""

    attempt_id: AttemptId
    status: Literal["recorded", "duplicate", "refused", "not_processed"]
    detail: str | None = Field(max_length=1000, description="Why it was refused.", examples=[None])
    errors: dict[Annotated[str, Field(max_length=60)], Faults] = Field(
        max_length=20,
        description="Which fields were refused.",
        examples=[{"answer": ["must be a list of texts"]}],
    )


class ProgressImported(Schema):
    """How many rows became what, and each of them."""

    recorded: Count
    duplicate: Count
    refused: Count
    not_processed: Count
    rows: list[ImportResult] = Field(max_length=500, description="In the order of the request.")


class LessonCompletion(Schema):
    """A lesson that was completed."""

    lesson_id: LessonId
    learner_id: MemberId
    completed_at: Time


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
    skill: Skill = Field(description="What the exercise practises.")
    evidence_count: Count = Field(description="Answers that the CEFR estimate of this skill rests on.")
    level_reached: CefrLevel | None = Field(
        description="A level that this answer proved for the first time.", examples=[None]
    )
    achievements: list[AchievementCode] = Field(max_length=20, description="Unlocked by this answer.")
    review_due_at: Time = Field(description="When the exercise should be answered again.")


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


# What a learner's records tell


class LearnerQuery(Query):
    """Whose records."""

    learner_id: LearnerId | None = None


class HistoryQuery(LearnerQuery):
    """At most 366 days, 106 weeks or 60 months; the last 30 days by default."""

    from_: AskedDate | None = Field(None, alias="from", description="The first day.")
    to: AskedDate | None = Field(None, description="The last day; today by default.")
    granularity: Literal["day", "week", "month"] = Field("day", description="Sums of what.")


class HistoryPeriod(Schema):
    """A day, an ISO week or a month, cut to the range asked for."""

    from_: Date = Field(serialization_alias="from")
    to: Date
    active_days: Count
    attempts: Count
    correct: Count = Field(description="Answers that were right, near misses included.")
    items_practised: Count = Field(description="Exercises, each once a day.")
    xp: Count
    study_seconds: Count = Field(description="At most five minutes for each answer.")


class ProgressHistory(Schema):
    """Every period from the first day to the last, empty ones too."""

    learner_id: MemberId
    time_zone: TimeZone
    granularity: Literal["day", "week", "month"]
    periods: list[HistoryPeriod] = Field(max_length=366)
    total: HistoryPeriod


class CefrQuery(LearnerQuery):
    """Whose report, of which language."""

    language: LanguageCode | None = Field(None, description="Only this language.")


class LevelChance(Schema):
    """How probable a level is."""

    level: CefrLevel | None = Field(description="Null: below A1.")
    probability: Share


class SkillLevel(Schema):
    """`level` is what the evidence proves: at least 80 % probable, on enough answers. Null: not proven."""

    skill: Skill
    status: Literal["proven", "not_proven", "not_enough_evidence", "self_assessed", "no_evidence"]
    level: CefrLevel | None
    likely_level: CefrLevel | None = Field(
        description="The most probable level, proven or not; null: below A1."
    )
    probabilities: list[LevelChance] = Field(max_length=7)
    level_reached: CefrLevel | None = Field(description="The highest level that was ever proven.")
    ability: float = Field(
        ge=-10, le=10, description="Logits; a level is 1.5 wide, A1 begins at -2.9.", examples=[-0.7]
    )
    ability_sd: float = Field(ge=0, le=10, description="Its standard deviation.", examples=[0.5])
    answers: Count = Field(description="First answers of a day to an exercise.")
    effective_answers: float = Field(
        ge=0, le=2_000_000_000, description="The same, older ones counting less: half after 45 days."
    )
    items: Count = Field(description="Different exercises.")
    can_do: list[
        Annotated[str, Field(max_length=200, examples=["I use a few learned patterns for simple sentences."])]
    ] = Field(max_length=6, description="What the proven level and those below it mean.")


class LanguageReport(Schema):
    """Every skill of a language in which there is evidence."""

    language: LanguageCode
    skills: list[SkillLevel] = Field(max_length=6)


class CefrReport(Schema):
    """Levels by language and skill."""

    learner_id: MemberId
    as_of: Time
    languages: list[LanguageReport] = Field(max_length=100)


class StudyHour(Schema):
    """Study in one hour of the week."""

    weekday: int = Field(ge=1, le=7, description="ISO 8601: Monday is 1.")
    hour: int = Field(ge=0, le=23)
    study_seconds: Count


class SuccessRate(Schema):
    """Its 95 % interval after Wilson; sorted by `high`, so the surest weakness comes first."""

    language: LanguageCode | None
    name: Annotated[str, Field(max_length=40, examples=["grammar"])]
    answers: Count
    rate: Share
    low: Share
    high: Share


class LevelForecast(Schema):
    """If the next 60 days go as the last 60 did; null dates where that cannot be said, and why."""

    language: LanguageCode
    skill: Skill
    next_level: CefrLevel | None
    expected_on: Date | None
    earliest_on: Date | None
    latest_on: Date | None
    reason: Literal["not_enough_evidence", "no_clear_trend", "highest_level"] | None


class LearningInsights(Schema):
    """The last twelve weeks."""

    learner_id: MemberId
    time_zone: TimeZone
    from_: Date = Field(serialization_alias="from")
    to: Date
    active_days: Count
    study_seconds: Count
    study_hours: list[StudyHour] = Field(max_length=168, description="Hours with any study, local time.")
    weakest_skills: list[SuccessRate] = Field(
        max_length=600, description="With at least ten first answers of a day."
    )
    weakest_types: list[SuccessRate] = Field(max_length=20, description="With at least ten answers.")
    forecasts: list[LevelForecast] = Field(max_length=600)
    reviews_due: Count = Field(description="Exercises due for review, at most 100 are counted.")


class DueQuery(PageQuery):
    """Whose reviews, due until when."""

    learner_id: LearnerId | None = None
    before: Moment | None = Field(None, description="Due before this time; now by default.")


class DueReview(Schema):
    """An exercise to answer again, the most overdue first."""

    item_id: ItemId
    course_id: CourseId
    lesson_id: LessonId
    training_id: TrainingId
    type: ItemType
    language: LanguageCode
    skill: Skill
    cefr_level: CefrLevel
    due_at: Time
    last_answered_on: Date
    best_score: Share


# Gamification


class StreakState(Schema):
    """Days of activity in a row, in the learner's time zone."""

    current_days: Count
    longest_days: Count
    last_active_on: Date | None
    at_risk: bool = Field(description="No activity today so far.")
    freezes: int = Field(
        ge=0, le=2, description="Missed days that can be bridged; one for every 7 active days."
    )


class Achievement(Schema):
    """A milestone, reached or on the way."""

    code: AchievementCode
    title: str = Field(max_length=60, examples=["First lesson"])
    description: str = Field(max_length=200, examples=["Complete a lesson."])
    progress: Count
    target: Count
    unlocked_at: Time | None = Field(examples=[None])


class GamificationStats(Schema):
    """XP, streak and achievements of a learner."""

    learner_id: MemberId
    time_zone: TimeZone
    xp: Count
    xp_today: Count
    xp_this_week: Count = Field(description="Since Monday.")
    answers: Count
    items_passed: Count
    lessons_completed: Count
    courses_completed: Count
    study_seconds: Count
    streak: StreakState
    achievements: list[Achievement] = Field(max_length=50)
