"""One answer folded into what the learner had before: pure, and the same for any order of answers.

All that matters of an answer stands in its attempt, so what is stored can be folded again (`replay`).

    XP            of an item on a local day: the most that an answer to it earned
    passed        an item whose best score reaches the pass mark
    evidence      of an item on a local day: its earliest answer; later ones have seen the solution
    review        likewise the earliest answer of a day
    study time    the durations, at most five minutes for each answer

What is announced once (a lesson completed, a level reached) is a flag that stays.
"""

from dataclasses import dataclass, field
from datetime import date, datetime
from zoneinfo import ZoneInfo

from chalicelib.catalogue.items import SELF_ASSESSED, CefrLevel
from chalicelib.core.clock import instant, rfc3339
from chalicelib.core.store import Stale, Table, Transaction
from chalicelib.learning import achievements, estimate, evidence, models, periods, reviews, streaks
from chalicelib.learning.achievements import Achievement
from chalicelib.learning.estimate import LEVELS, Estimate
from chalicelib.learning.models import AttemptItem, LearnerItem, LessonState, ReadItem, State
from chalicelib.learning.periods import PERIODS, Period

PASS_MARK = 0.6
"""The score from which an item counts as passed; below it spaced repetition asks for it again."""
STUDY_AT_MOST_MS = 300_000


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


def fold(state: State, attempt: AttemptItem) -> Changes:
    """Change the rows of `state` by this answer, and tell what changed."""
    folding = _Fold(state, attempt)
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
    def __init__(self, state: State, attempt: AttemptItem) -> None:
        self.state, self.attempt = state, attempt
        self.zone = ZoneInfo(attempt.time_zone)
        self.now = datetime.fromisoformat(attempt.recorded_at)
        self.occurred_at = datetime.fromisoformat(attempt.occurred_at)
        self.local = self.occurred_at.astimezone(self.zone)
        self.at = instant(self.occurred_at)
        self.score = float(attempt.score)
        self.study_ms = min(int(attempt.duration_ms), STUDY_AT_MOST_MS)
        self.board_xp = dict.fromkeys(PERIODS, 0)
        self.changes = Changes()

    def item_day(self) -> None:
        """The day's best XP and earliest answer of this item."""
        row = self.state.item_day
        earned = xp_of(int(self.attempt.points), self.score)
        self.changes.xp = max(0, earned - int(row.xp))
        row.xp = int(row.xp) + self.changes.xp
        for period in PERIODS if not self.attempt.imported else ():
            best = row.board_xp.get(period, 0)
            if earned > best and periods.counts(period, self.local.date(), self.now):
                self.board_xp[period], row.board_xp[period] = earned - best, earned
        self.first_of_day = row.earliest is None
        stamp = f"{self.at}#{self.attempt.sk.removeprefix('ATTEMPT#')}"
        self.is_earliest = row.earliest is None or stamp < row.earliest
        if self.is_earliest:
            self._exchange_evidence()
            row.earliest, row.score, row.cell = stamp, self.score, self._cell()

    def _cell(self) -> list[str] | None:
        """Language, skill and cell that the answer is evidence for; None where it is none."""
        attempt = self.attempt
        if attempt.guess is None:
            return None
        return [attempt.language, attempt.skill, evidence.cell_name(attempt.cefr_level, int(attempt.guess))]

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
        row, attempt = self.state.item, self.attempt
        self.changes.passed = self.score >= PASS_MARK and float(row.score) < PASS_MARK
        row.score = max(float(row.score), self.score)
        row.attempts = int(row.attempts) + 1
        cell = self._cell()
        if cell is not None and cell not in row.cells:
            row.cells = sorted([*row.cells, cell])
            language, skill, _ = cell
            levels = self.state.learner.items.setdefault(language, {}).setdefault(skill, {})
            level = attempt.cefr_level
            levels[level] = levels.get(level, 0) + 1
        row.place = {
            "course_id": attempt.course_id,
            "lesson_id": attempt.lesson_id,
            "training_id": attempt.training_id,
            "type": attempt.item_type,
            "language": attempt.language,
            "skill": attempt.skill,
            "cefr_level": attempt.cefr_level,
        }
        if self.is_earliest:
            day = self.local.date().isoformat()
            row.reviews = reviews.with_review(row.reviews, day, self.at, self._rating())
            row.due_key = attempt.pk
            row.due_sort = f"{instant(reviews.due_at(row.reviews))}#{attempt.item_id}"

    def _rating(self) -> reviews.Rating:
        if self.attempt.item_type in SELF_ASSESSED and self.attempt.answer == "easy":
            return "easy"
        return reviews.rating_of(self.score)

    def day(self) -> None:
        """The sums of the local day."""
        row = self.state.day
        row.attempts = int(row.attempts) + 1
        row.correct = int(row.correct) + (self.attempt.result in {"correct", "near_miss"})
        row.items = int(row.items) + self.first_of_day
        row.xp = int(row.xp) + self.changes.xp
        bounded: tuple[Period, ...] = ("week", "month")
        for period in bounded:
            courses, course_id = row.boards.setdefault(period, {}), self.attempt.course_id
            courses[course_id] = courses.get(course_id, 0) + self.board_xp[period]
        row.study_ms = int(row.study_ms) + self.study_ms
        count, score = row.types.get(self.attempt.item_type, (0, 0))
        row.types[self.attempt.item_type] = [count + 1, score + round(self.score * 10_000)]
        hour = str(self.local.hour)
        row.hours[hour] = row.hours.get(hour, 0) + self.study_ms

    def lesson_and_course(self) -> None:
        attempt, lesson, course = self.attempt, self.state.lesson, self.state.course
        course.xp = int(course.xp) + self.changes.xp
        course.board_xp = int(course.board_xp) + self.board_xp["all"]
        course.attempts = int(course.attempts) + 1
        _touch(self.state, attempt, self.occurred_at)
        for row in (lesson, course):
            row.items_passed = int(row.items_passed) + self.changes.passed
        if int(lesson.items_passed) >= int(attempt.lesson_items):
            _complete_lesson(self.state, attempt, self.changes, self.now)

    def totals(self) -> None:
        totals, changes = self.state.learner, self.changes
        totals.xp = int(totals.xp) + changes.xp
        totals.board_xp = int(totals.board_xp) + self.board_xp["all"]
        totals.attempts = int(totals.attempts) + 1
        attempt = self.attempt
        totals.latest = [attempt.sk.removeprefix("ATTEMPT#"), attempt.local_date]
        totals.study_ms = int(totals.study_ms) + self.study_ms
        totals.items_passed = int(totals.items_passed) + changes.passed
        self._streak()
        self._level()
        _finish(totals, changes, self.attempt)

    def _streak(self) -> None:
        totals, zone = self.state.learner, self.zone
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
        totals, language, skill = self.state.learner, self.attempt.language, self.attempt.skill
        found = skill_estimate(totals, language, skill, self.now.astimezone(self.zone).date())
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


def complete(state: LessonState, read: ReadItem) -> Changes:
    """Complete a lesson that has no exercises, and tell what changed."""
    changes = Changes()
    totals, zone, now = state.learner, ZoneInfo(read.time_zone), datetime.fromisoformat(read.recorded_at)
    _touch(state, read, now)
    _complete_lesson(state, read, changes, now)
    runs = streaks.from_numbers(totals.active_days)
    changes.streak = streaks.evaluate(runs, now.astimezone(zone).date(), zone)
    _finish(totals, changes, read)
    return changes


def _touch(state: LessonState, fact: AttemptItem | ReadItem, at: datetime) -> None:
    """There was activity in this lesson and its course."""
    course, occurred = state.course, rfc3339(at)
    course.items_total, course.lessons_total = int(fact.course_items), int(fact.course_lessons)
    course.institution_key = models.courses_key(fact.institution_id, models.shard_of(fact.pk))
    course.institution_sort = f"{fact.pk}#{fact.course_id}"
    course.started_at = min(course.started_at or occurred, occurred, key=datetime.fromisoformat)
    for row in (state.lesson, course):
        row.last_activity_at = max(row.last_activity_at or occurred, occurred, key=datetime.fromisoformat)


def _complete_lesson(
    state: LessonState, fact: AttemptItem | ReadItem, changes: Changes, now: datetime
) -> None:
    """Note the lesson as completed, and the course if it was the last one."""
    lesson, course, totals = state.lesson, state.course, state.learner
    if lesson.completed_at is not None:
        return
    changes.completions.append(models.completion(fact, fact.lesson_id, now))
    lesson.completed_at = rfc3339(now)
    changes.lesson_completed = True
    course.lessons_completed = int(course.lessons_completed) + 1
    totals.lessons_completed = int(totals.lessons_completed) + 1
    if course.completed_at is None and int(course.lessons_completed) >= int(course.lessons_total):
        course.completed_at = rfc3339(now)
        changes.course_completed = True
        changes.completions.append(models.completion(fact, None, now))
        totals.courses_completed = int(totals.courses_completed) + 1


def _finish(totals: LearnerItem, changes: Changes, fact: AttemptItem | ReadItem) -> None:
    """Achievements, and the next version, which is the fact's number."""
    totals.institution_id = fact.institution_id
    longest = streaks.longest(streaks.from_numbers(totals.active_days), ZoneInfo(fact.time_zone))
    changes.unlocked = achievements.newly_unlocked(measures(totals, longest), totals.achievements)
    totals.achievements |= {one.code: fact.recorded_at for one in changes.unlocked}
    totals.version = fact.number = int(totals.version) + 1


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
