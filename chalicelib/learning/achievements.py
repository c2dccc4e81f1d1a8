"""Achievements: milestones that are reached once and kept.

Each is a threshold on a number that only grows, so it is unlocked by the same attempts in any order.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Measure = Literal["attempts", "items_passed", "lessons_completed", "courses_completed", "xp", "streak_days",
                  "levels"]  # fmt: skip


@dataclass(frozen=True)
class Achievement:
    """Unlocked when `measure` reaches `target`."""

    code: str
    title: str
    description: str
    measure: Measure
    target: int


ACHIEVEMENTS: tuple[Achievement, ...] = (
    Achievement("first_answer", "First words", "Answer an exercise.", "attempts", 1),
    Achievement("answers_100", "Warmed up", "Give 100 answers.", "attempts", 100),
    Achievement("answers_1000", "A thousand answers", "Give 1,000 answers.", "attempts", 1000),
    Achievement("items_50", "Fifty mastered", "Pass 50 different exercises.", "items_passed", 50),
    Achievement("items_250", "Broad ground", "Pass 250 different exercises.", "items_passed", 250),
    Achievement("first_lesson", "First lesson", "Complete a lesson.", "lessons_completed", 1),
    Achievement("lessons_10", "Ten lessons", "Complete 10 lessons.", "lessons_completed", 10),
    Achievement("first_course", "Course completed", "Complete a course.", "courses_completed", 1),
    Achievement("courses_3", "Three courses", "Complete 3 courses.", "courses_completed", 3),
    Achievement("xp_1000", "1,000 XP", "Earn 1,000 XP.", "xp", 1000),
    Achievement("xp_10000", "10,000 XP", "Earn 10,000 XP.", "xp", 10_000),
    Achievement("streak_7", "A week", "Learn on 7 days in a row.", "streak_days", 7),
    Achievement("streak_30", "A month", "Learn on 30 days in a row.", "streak_days", 30),
    Achievement("streak_100", "A hundred days", "Learn on 100 days in a row.", "streak_days", 100),
    Achievement("first_level", "First level", "Prove a CEFR level in a skill.", "levels", 1),
    Achievement("levels_4", "All round", "Prove a CEFR level in four skills.", "levels", 4),
)


def newly_unlocked(measures: Mapping[Measure, int], unlocked: Mapping[str, str]) -> list[Achievement]:
    """What has been reached and was not unlocked before."""
    return [one for one in ACHIEVEMENTS if one.code not in unlocked and measures[one.measure] >= one.target]
