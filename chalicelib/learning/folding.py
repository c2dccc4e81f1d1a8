"""One answer folded into what the learner had before: pure, and the same for any order of answers.

    XP            of an item on a local day: the most that an answer to it earned
    passed        an item whose best score reaches the pass mark
    evidence      of an item on a local day: its earliest answer; later ones have seen the solution
    review        likewise the earliest answer of a day
    study time    the durations, at most five minutes for each answer

What is announced once (a lesson completed, a level reached) is a flag that stays.
"""

from dataclasses import dataclass, field
from datetime import date, datetime

from chalicelib.catalogue.items import CefrLevel
from chalicelib.catalogue.service import Exercise
from chalicelib.core.clock import instant, rfc3339
from chalicelib.core.store import Stale, Table, Transaction
from chalicelib.institutions.service import Learner
from chalicelib.learning import achievements, estimate, evidence, models, reviews, streaks
from chalicelib.learning.achievements import Achievement
from chalicelib.learning.estimate import LEVELS, Estimate
from chalicelib.learning.grading import Grade
from chalicelib.learning.models import LearnerItem, LessonState, State

PASS_MARK = 0.6
"""The score from which an item counts as passed; below it spaced repetition asks for it again."""
STUDY_AT_MOST_MS = 300_000


@dataclass(frozen=True)
class Answered:
    """A graded answer: to what, when, by what id. `imported` ones earn nothing on leaderboards."""

    attempt_id: str
    exercise: Exercise
    grade: Grade
    rating: reviews.Rating
    duration_ms: int
    occurred_at: datetime
    imported: bool = False


@dataclass
class Changes:
    """What one answer changed."""

    xp: int = 0
    passed: bool = False
    lesson_completed: bool = False
    course_completed: bool = False
    streak: streaks.Streak = field(default_factory=lambda: streaks.Streak(0, 0, None, 0, False, ()))
    streak_extended: bool = False
    estimate: Estimate | None = None
    level_reached: CefrLevel | None = None
    unlocked: list[Achievement] = field(default_factory=list)
    completions: list[models.CompletionItem] = field(default_factory=list)


def fold(state: State, learner: Learner, answered: Answered, now: datetime) -> Changes:
    """Change the rows of `state` by this answer, and tell what changed."""
    folding = _Fold(state, learner, answered, now)
    folding.item_day()
    folding.item()
    folding.day()
    folding.lesson_and_course()
    folding.totals()
    return folding.changes


def write(state: LessonState, changes: Changes, transaction: Transaction) -> None:
    """The rows of `state` and what was completed, if no other write of this learner has come in between."""
    learner = state.learner
    before = int(learner.version) - 1
    unchanged = LearnerItem.version == before if before else LearnerItem.pk.does_not_exist()
    transaction.put(learner, unchanged, Stale())
    rows: list[Table] = [state.lesson, state.course, *changes.completions]
    if isinstance(state, State):
        rows += [state.item, state.item_day, state.day]
    for row in rows:
        transaction.put(row)


def xp_of(points: int, score: float) -> int:
    """XP for an answer: its share of the item's points, half a point rounded up."""
    return int(points * score + 0.5)


def percent(passed: int, total: int) -> int:
    """Whole percent, rounded down, so that 100 means all; 0 of 0 is 0."""
    return 0 if total == 0 else min(100, passed * 100 // total)


class _Fold:
    def __init__(self, state: State, learner: Learner, answered: Answered, now: datetime) -> None:
        self.state, self.learner, self.answered, self.now = state, learner, answered, now
        self.exercise, self.score = answered.exercise, answered.grade.score
        self.local = answered.occurred_at.astimezone(learner.zone)
        self.at = instant(answered.occurred_at)
        self.study_ms = min(answered.duration_ms, STUDY_AT_MOST_MS)
        self.changes = Changes()

    def item_day(self) -> None:
        """The day's best XP and earliest answer of this item."""
        row, answered = self.state.item_day, self.answered
        earned = xp_of(self.exercise.item.points, self.score)
        self.changes.xp = max(0, earned - int(row.xp))
        self.board_xp = 0 if answered.imported else max(0, earned - int(row.board_xp))
        self.first_of_day = row.earliest is None
        row.xp = int(row.xp) + self.changes.xp
        row.board_xp = int(row.board_xp) + self.board_xp
        stamp = f"{self.at}#{answered.attempt_id}"
        self.is_earliest = row.earliest is None or stamp < row.earliest
        if self.is_earliest:
            self._exchange_evidence()
            row.earliest, row.score, row.cell = stamp, self.score, self._cell()

    def _cell(self) -> list[str] | None:
        """Language, skill and cell that the answer is evidence for; None where it is none."""
        guess = evidence.guess_of(self.exercise.item)
        if guess is None:
            return None
        item = self.exercise.item
        return [self.exercise.language, item.skill, evidence.cell_name((item.cefr_level, guess))]

    def _exchange_evidence(self) -> None:
        """The evidence of the day's earliest answer, in place of what was the earliest before."""
        row, day = self.state.item_day, self.local.date()
        for stored in (self.state.learner.evidence, self.state.day.evidence):
            if row.cell is not None:
                evidence.change(stored, row.cell, lambda known: known.minus(day, float(row.score)))
            if (cell := self._cell()) is not None:
                evidence.change(stored, cell, lambda known: known.plus(day, self.score))

    def item(self) -> None:
        """The item's best score, and when it is to be answered again."""
        row, exercise = self.state.item, self.exercise
        self.changes.passed = self.score >= PASS_MARK and float(row.score) < PASS_MARK
        row.score = max(float(row.score), self.score)
        row.attempts = int(row.attempts) + 1
        cell = self._cell()
        if cell is not None and cell not in row.cells:
            row.cells = sorted([*row.cells, cell])
            language, skill, _ = cell
            levels = self.state.learner.items.setdefault(language, {}).setdefault(skill, {})
            level = exercise.item.cefr_level
            levels[level] = levels.get(level, 0) + 1
        row.place = {
            "course_id": exercise.course_id,
            "lesson_id": exercise.lesson_id,
            "training_id": exercise.training_id,
            "type": exercise.item.type,
            "language": exercise.language,
            "skill": exercise.item.skill,
            "cefr_level": exercise.item.cefr_level,
        }
        if self.is_earliest:
            day = self.local.date().isoformat()
            row.reviews = reviews.with_review(row.reviews, day, self.at, self.answered.rating)
            row.due_key = self.learner.id
            row.due_sort = f"{instant(reviews.due_at(row.reviews))}#{exercise.item_id}"

    def day(self) -> None:
        """The sums of the local day."""
        row = self.state.day
        row.attempts = int(row.attempts) + 1
        row.correct = int(row.correct) + (self.answered.grade.result in {"correct", "near_miss"})
        row.items = int(row.items) + self.first_of_day
        row.xp = int(row.xp) + self.changes.xp
        row.board_xp = int(row.board_xp) + self.board_xp
        course_id = self.exercise.course_id
        row.courses[course_id] = row.courses.get(course_id, 0) + self.board_xp
        row.study_ms = int(row.study_ms) + self.study_ms
        count, score = row.types.get(self.exercise.item.type, (0, 0))
        row.types[self.exercise.item.type] = [count + 1, score + round(self.score * 10_000)]
        hour = str(self.local.hour)
        row.hours[hour] = row.hours.get(hour, 0) + self.study_ms

    def lesson_and_course(self) -> None:
        exercise, lesson, course = self.exercise, self.state.lesson, self.state.course
        course.xp = int(course.xp) + self.changes.xp
        course.board_xp = int(course.board_xp) + self.board_xp
        course.attempts = int(course.attempts) + 1
        course.items_total, course.lessons_total = exercise.course_item_count, exercise.course_lesson_count
        _touch(self.state, self.learner, exercise.course_id, self.answered.occurred_at)
        for row in (lesson, course):
            row.items_passed = int(row.items_passed) + self.changes.passed
        if int(lesson.items_passed) >= exercise.lesson_item_count:
            _complete_lesson(self.state, self.learner, self.exercise.course_id, self.changes, self.now)

    def totals(self) -> None:
        totals, changes = self.state.learner, self.changes
        totals.xp = int(totals.xp) + changes.xp
        totals.board_xp = int(totals.board_xp) + self.board_xp
        totals.attempts = int(totals.attempts) + 1
        totals.study_ms = int(totals.study_ms) + self.study_ms
        totals.items_passed = int(totals.items_passed) + changes.passed
        self._streak()
        self._level()
        _finish(totals, self.learner, changes, self.now)

    def _streak(self) -> None:
        totals, zone = self.state.learner, self.learner.zone
        today = self.now.astimezone(zone).date()
        runs = streaks.from_numbers(totals.active_days)
        before = streaks.evaluate(runs, today, zone)
        runs = streaks.with_day(runs, self.local.date())
        totals.active_days = streaks.to_numbers(runs)
        self.changes.streak = streaks.evaluate(runs, today, zone)
        self.changes.streak_extended = self.changes.streak.current > before.current

    def _level(self) -> None:
        """The estimate of the skill that was practised, and whether it proves a level for the first time."""
        if self._cell() is None:
            return
        totals, language, skill = self.state.learner, self.exercise.language, self.exercise.item.skill
        found = skill_estimate(totals, language, skill, self.now.astimezone(self.learner.zone).date())
        self.changes.estimate = found
        levels = totals.reached.setdefault(language, {})
        before = LEVELS.index(levels[skill]) if skill in levels else -1
        if found.proven and LEVELS.index(found.proven) > before:
            levels[skill] = self.changes.level_reached = found.proven


def skill_estimate(totals: LearnerItem, language: str, skill: str, today: date) -> Estimate:
    """What the learner's evidence says of one skill on this local day."""
    return estimate.estimate(
        evidence.cells_of(totals.evidence.get(language, {}).get(skill, {})),
        totals.items.get(language, {}).get(skill, {}),
        today,
    )


def complete(
    state: LessonState, learner: Learner, course_id: str, items_total: int, lessons_total: int, now: datetime
) -> Changes:
    """Complete a lesson that has no exercises, and tell what changed."""
    changes = Changes()
    course, totals = state.course, state.learner
    course.items_total, course.lessons_total = items_total, lessons_total
    _touch(state, learner, course_id, now)
    _complete_lesson(state, learner, course_id, changes, now)
    runs = streaks.from_numbers(totals.active_days)
    changes.streak = streaks.evaluate(runs, now.astimezone(learner.zone).date(), learner.zone)
    _finish(totals, learner, changes, now)
    return changes


def _touch(state: LessonState, learner: Learner, course_id: str, at: datetime) -> None:
    """There was activity in this lesson and its course."""
    course, occurred = state.course, rfc3339(at)
    course.institution_key = models.courses_key(learner.institution_id, models.shard_of(learner.id))
    course.institution_sort = f"{learner.id}#{course_id}"
    course.started_at = min(course.started_at or occurred, occurred, key=datetime.fromisoformat)
    for row in (state.lesson, course):
        row.last_activity_at = max(row.last_activity_at or occurred, occurred, key=datetime.fromisoformat)


def _complete_lesson(
    state: LessonState, learner: Learner, course_id: str, changes: Changes, now: datetime
) -> None:
    """Note the lesson as completed, and the course if it was the last one."""
    lesson, course, totals = state.lesson, state.course, state.learner
    if lesson.completed_at is not None:
        return
    lesson_id = lesson.sk.rpartition("#")[2]
    changes.completions.append(
        models.completion(learner.id, learner.institution_id, course_id, lesson_id, now)
    )
    lesson.completed_at = rfc3339(now)
    changes.lesson_completed = True
    course.lessons_completed = int(course.lessons_completed) + 1
    totals.lessons_completed = int(totals.lessons_completed) + 1
    if course.completed_at is None and int(course.lessons_completed) >= int(course.lessons_total):
        course.completed_at = rfc3339(now)
        changes.course_completed = True
        changes.completions.append(
            models.completion(learner.id, learner.institution_id, course_id, None, now)
        )
        totals.courses_completed = int(totals.courses_completed) + 1


def _finish(totals: LearnerItem, learner: Learner, changes: Changes, now: datetime) -> None:
    """Achievements, and the next version."""
    totals.institution_id = learner.institution_id
    changes.unlocked = achievements.newly_unlocked(
        measures(totals, changes.streak.longest), totals.achievements
    )
    totals.achievements |= {one.code: rfc3339(now) for one in changes.unlocked}
    totals.version = int(totals.version) + 1


def measures(totals: LearnerItem, longest_streak: int) -> dict[achievements.Measure, int]:
    """What achievements are measured by."""
    return {
        "attempts": int(totals.attempts),
        "items_passed": int(totals.items_passed),
        "lessons_completed": int(totals.lessons_completed),
        "courses_completed": int(totals.courses_completed),
        "xp": int(totals.xp),
        "streak_days": longest_streak,
        "levels": sum(len(skills) for skills in totals.reached.values()),
    }
