"""What leaderboards and totals look like on the wire, and the message that wakes them."""

from datetime import date
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from chalicelib.core.paging import Query
from chalicelib.core.types import Body, Count, CourseId, MemberId, Schema, Time

Day = Annotated[date, Field(examples=["2026-11-25"], json_schema_extra={"maxLength": 10})]
AskedDate = Annotated[
    date,
    Field(
        ge=date(2000, 1, 1),
        le=date(2199, 12, 31),
        examples=["2026-11-25"],
        json_schema_extra={"maxLength": 10},
    ),
]


class StandingMessage(Schema):
    """A learner has done something that counts on this local day, in its course or in any.

    `attempt_id` names the answer, if it was one.
    """

    model_config = ConfigDict(frozen=True)

    institution_id: str
    learner_id: str
    day: date
    every_course: bool = False
    attempt_id: str | None = None


class LeaderboardQuery(Query):
    """Which leaderboard, and how much of it."""

    period: Literal["week", "month", "all"] = Field("week", description="An ISO week, a month, or ever.")
    scope: Literal["platform", "institution", "course"] = Field("platform", description="Among whom.")
    course: CourseId | None = Field(None, description="For the scope `course`: which one.")
    on: AskedDate | None = Field(None, description="A day of the week or month; today by default.")
    top: int = Field(10, ge=1, le=100, description="How many of the best.")
    around: int = Field(2, ge=0, le=10, description="How many neighbours above and below.")


class LeaderboardRow(Schema):
    """Who it is, only members of the same institution are told; others show a label that stays the same."""

    rank: int = Field(ge=1, le=2_000_000_000, description="Equal XP share a rank: 1, 2, 2, 4.")
    xp: Count
    learner_id: MemberId | None = Field(examples=[None])
    label: str = Field(max_length=40, examples=["Learner 7KQ2"])
    is_you: bool


class Leaderboard(Schema):
    """Exact for every answer that has been entered; one takes half a minute, a minute and a half at most
    while a learner goes on answering.
    """

    period: Literal["week", "month", "all"]
    scope: Literal["platform", "institution", "course"]
    course_id: CourseId | None = Field(examples=[None])
    from_: Day | None = Field(serialization_alias="from", examples=["2026-11-23"])
    to: Day | None = Field(examples=["2026-11-29"])
    closes_at: Time | None = Field(description="What is recorded later earns XP, but no place.")
    as_of: Time
    participants: Count
    top: list[LeaderboardRow] = Field(max_length=100)
    above: list[LeaderboardRow] = Field(max_length=10, description="Right before you.")
    you: LeaderboardRow | None
    below: list[LeaderboardRow] = Field(max_length=10, description="Right after you.")


class GamificationSettings(Schema):
    """What a learner has chosen."""

    learner_id: MemberId
    leaderboards: bool = Field(description="Whether you are shown on leaderboards.")


class GamificationSettingsUpdate(Body):
    """What to choose."""

    leaderboards: bool = Field(description="Whether to be shown on leaderboards.")


class PlatformStats(Schema):
    """Platform-wide totals."""

    as_of: Time
    courses: Count = Field(description="Public courses; likewise the next two.")
    lessons: Count
    training_items: Count
    learners: Count = Field(description="Who have given at least one answer.")
    answers: Count
    lessons_completed: Count
    courses_completed: Count
    study_hours: Count
