"""Recording an answer: graded, counted once, told to the world, all in one transaction.

Totals are functions of the set of attempts, not of their order: XP is the sum over items and local
days of the best score's XP, a lesson's progress the share of its items whose best score passes.
"""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from chalicelib.catalogue import service as catalogue
from chalicelib.catalogue.service import Exercise
from chalicelib.core import outbox
from chalicelib.core.abilities import Role
from chalicelib.core.clock import instant, rfc3339
from chalicelib.core.errors import Invalid, NotFound
from chalicelib.core.events import EventData, new_event
from chalicelib.core.ids import new_id
from chalicelib.core.store import Stale, Transaction
from chalicelib.core.tokens import Principal
from chalicelib.institutions import service as institutions
from chalicelib.institutions.service import Learner
from chalicelib.learning import events, models, streaks
from chalicelib.learning.grading import Grade, grade
from chalicelib.learning.models import AttemptItem, BestItem, CourseItem, LearnerItem, LessonItem, State

SHARDS = models.SHARDS
attempts_key = models.attempts_key
courses_key = models.courses_key
export_page = models.export_page

PASS_MARK = 0.6
"""The score from which an item counts as passed; below it spaced repetition asks for it again."""
EARLIEST = timedelta(days=90)
CLOCK_SKEW = timedelta(minutes=5)


@dataclass(frozen=True)
class Submission:
    """An answer as it was sent."""

    item_id: str
    answer: object
    duration_ms: int
    occurred_at: datetime | None
    attempt_id: str | None

    def digest(self) -> str:
        """Equal for the same submission sent again."""
        sent = [
            self.item_id,
            self.answer,
            self.duration_ms,
            self.occurred_at and rfc3339(self.occurred_at),
        ]
        return hashlib.sha256(json.dumps(sent, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class LessonState:
    """How far a learner is in one lesson."""

    lesson_id: str
    title: str
    position: int
    items_total: int
    items_passed: int
    percent: int
    completed_at: str | None
    last_activity_at: str | None


def learner_for(actor: Principal, learner_id: str | None) -> Learner:
    """Whom the actor acts for. Raises `NotFound` for a foreign member, and where a learner names another."""
    wanted = learner_id or actor.member_id
    if wanted != actor.member_id and actor.role is Role.LEARNER:
        raise NotFound("learner")
    return institutions.learner(actor.institution_id, wanted)


def record(
    transaction: Transaction,
    actor: Principal,
    learner: Learner,
    submission: Submission,
    *,
    now: datetime,
    request_id: str,
) -> AttemptItem:
    """Grade and record an answer; one that was recorded before, by its `attempt_id`, changes nothing.

    Raises `NotFound` for the item, `Invalid` for an answer that is not of its shape, a time out of
    bounds, or an `attempt_id` that was used for something else.
    """
    if submission.attempt_id is not None:
        earlier = models.attempt_of(learner.id, submission.attempt_id)
        if earlier is not None:
            return _recorded_before(earlier, submission)
    occurred_at = _checked_time(submission.occurred_at, now)
    exercise = catalogue.exercise(actor.institution_id, submission.item_id)
    graded = grade(exercise.item.content, exercise.item.key, submission.answer)
    state = models.state_of(
        learner.id,
        item_id=exercise.item_id,
        day=occurred_at.astimezone(learner.zone).date(),
        course_id=exercise.course_id,
        lesson_id=exercise.lesson_id,
    )
    fold = _Fold(state, learner, exercise, graded, occurred_at, now)
    attempt = fold.attempt(submission.attempt_id or new_id("att", now), actor, submission)
    transaction.put(attempt, AttemptItem.pk.does_not_exist(), Stale())
    fold.write(transaction)
    told = [
        new_event(data, institution_id=learner.institution_id, now=now, request_id=request_id)
        for data in fold.events(attempt)
    ]
    outbox.add(transaction, *told)
    return attempt


def lesson_progress(institution_id: str, learner: Learner, course_id: str) -> list[LessonState]:
    """Progress in each lesson of a course, in its order. Raises `NotFound` for the course."""
    course = catalogue.course(institution_id, course_id)
    reached = models.lessons_of(learner.id, course_id)
    found = []
    for lesson in course.lessons:
        item = reached.get(lesson.id)
        passed = min(int(item.items_passed), lesson.item_count) if item else 0
        found.append(
            LessonState(
                lesson_id=lesson.id,
                title=lesson.title,
                position=lesson.position,
                items_total=lesson.item_count,
                items_passed=passed,
                percent=percent(passed, lesson.item_count),
                completed_at=item.completed_at if item else None,
                last_activity_at=item.last_activity_at if item else None,
            )
        )
    return found


def percent(passed: int, total: int) -> int:
    """Whole percent, rounded down, so that 100 means all; 0 of 0 is 0."""
    return 0 if total == 0 else min(100, passed * 100 // total)


def xp_of(points: int, score: float) -> int:
    """XP for an answer: its share of the item's points, half a point rounded up."""
    return int(points * score + 0.5)


class _Fold:
    """One answer folded into what the learner had before."""

    def __init__(
        self,
        state: State,
        learner: Learner,
        exercise: Exercise,
        graded: Grade,
        occurred_at: datetime,
        now: datetime,
    ) -> None:
        self.learner, self.exercise, self.graded = learner, exercise, graded
        self.occurred_at, self.now = occurred_at, now
        self.day = occurred_at.astimezone(learner.zone).date()
        self.version = int(state.learner.version) if state.learner else 0
        self.best_before = float(state.best.score) if state.best else None
        self.best_of_day_before = float(state.best_of_day.score) if state.best_of_day else None
        self.totals = state.learner or LearnerItem(learner.id, institution_id=learner.institution_id)
        self.lesson = state.lesson or LessonItem(
            learner.id, f"LESSON#{exercise.course_id}#{exercise.lesson_id}"
        )
        self.course = state.course or self._new_course()
        self._apply()

    def _new_course(self) -> CourseItem:
        return CourseItem(
            self.learner.id,
            f"COURSE#{self.exercise.course_id}",
            institution_key=models.courses_key(self.learner.institution_id, models.shard_of(self.learner.id)),
            institution_sort=f"{self.learner.id}#{self.exercise.course_id}",
            started_at=rfc3339(self.occurred_at),
        )

    def _apply(self) -> None:
        score, item = self.graded.score, self.exercise.item
        earned_before = xp_of(item.points, self.best_of_day_before or 0)
        self.xp = max(0, xp_of(item.points, score) - earned_before)
        self.passed_now = score >= PASS_MARK and (self.best_before or 0) < PASS_MARK
        runs = streaks.with_day(streaks.from_text(self.totals.active_days or []), self.day)
        self.streak_days = streaks.current(runs, self.now.astimezone(self.learner.zone).date())
        self.totals.active_days = streaks.to_text(runs)
        self.totals.xp = int(self.totals.xp) + self.xp
        self.totals.attempts = int(self.totals.attempts) + 1
        self.totals.version = self.version + 1
        self._apply_to_course()

    def _apply_to_course(self) -> None:
        exercise, lesson, course = self.exercise, self.lesson, self.course
        at, occurred = rfc3339(self.now), rfc3339(self.occurred_at)
        course.xp = int(course.xp) + self.xp
        course.attempts = int(course.attempts) + 1
        course.items_total, course.lessons_total = exercise.course_item_count, exercise.course_lesson_count
        course.started_at = min(course.started_at, occurred, key=datetime.fromisoformat)
        for one in (lesson, course):
            before = one.last_activity_at or occurred
            one.last_activity_at = max(before, occurred, key=datetime.fromisoformat)
            one.items_passed = int(one.items_passed) + self.passed_now
        self.lesson_completed = (
            lesson.completed_at is None and int(lesson.items_passed) >= exercise.lesson_item_count
        )
        if self.lesson_completed:
            lesson.completed_at = at
            course.lessons_completed = int(course.lessons_completed) + 1
        self.course_completed = (
            course.completed_at is None and int(course.lessons_completed) >= exercise.course_lesson_count
        )
        if self.course_completed:
            course.completed_at = at

    @property
    def lesson_percent(self) -> int:
        return percent(int(self.lesson.items_passed), self.exercise.lesson_item_count)

    @property
    def course_percent(self) -> int:
        return percent(int(self.course.items_passed), self.exercise.course_item_count)

    def attempt(self, attempt_id: str, actor: Principal, submission: Submission) -> AttemptItem:
        exercise, recorded_at = self.exercise, rfc3339(self.now)
        shard = models.shard_of(self.learner.id)
        return AttemptItem(
            self.learner.id,
            f"ATTEMPT#{attempt_id}",
            institution_id=self.learner.institution_id,
            institution_key=models.attempts_key(self.learner.institution_id, self.now.date(), shard),
            institution_sort=f"{instant(self.now)}#{attempt_id}",
            actor_id=actor.member_id,
            course_id=exercise.course_id,
            lesson_id=exercise.lesson_id,
            training_id=exercise.training_id,
            item_id=exercise.item_id,
            item_version=exercise.version,
            item_type=exercise.item.type,
            skill=exercise.item.skill,
            cefr_level=exercise.item.cefr_level,
            answer=submission.answer,
            result=self.graded.result,
            score=self.graded.score,
            xp=self.xp,
            duration_ms=submission.duration_ms,
            occurred_at=rfc3339(self.occurred_at),
            local_date=self.day.isoformat(),
            recorded_at=recorded_at,
            request_hash=submission.digest(),
            grade=self.graded.model_dump(mode="json"),
            changes={
                "xp": self.xp,
                "lesson_percent": self.lesson_percent,
                "course_percent": self.course_percent,
                "lesson_completed": self.lesson_completed,
                "course_completed": self.course_completed,
                "streak_days": self.streak_days,
            },
        )

    def write(self, transaction: Transaction) -> None:
        score, item_id = self.graded.score, self.exercise.item_id
        unchanged = LearnerItem.version == self.version if self.version else LearnerItem.pk.does_not_exist()
        transaction.put(self.totals, unchanged, Stale())
        if self.best_before is None or score > self.best_before:
            transaction.put(BestItem(self.learner.id, f"ITEM#{item_id}", score=score))
        if self.best_of_day_before is None or score > self.best_of_day_before:
            transaction.put(BestItem(self.learner.id, f"DAY#{self.day}#{item_id}", score=score))
        transaction.put(self.lesson)
        transaction.put(self.course)

    def events(self, attempt: AttemptItem) -> list[EventData]:
        exercise = self.exercise
        where: dict[str, Any] = {"learner_id": self.learner.id, "course_id": exercise.course_id}
        told: list[EventData] = [
            events.ExerciseAnswered(
                attempt_id=attempt.sk.removeprefix("ATTEMPT#"),
                lesson_id=exercise.lesson_id,
                training_id=exercise.training_id,
                item_id=exercise.item_id,
                item_version=exercise.version,
                item_type=exercise.item.type,
                skill=exercise.item.skill,
                cefr_level=exercise.item.cefr_level,
                result=self.graded.result,
                score=self.graded.score,
                xp=self.xp,
                duration_ms=int(attempt.duration_ms),
                occurred_at=attempt.occurred_at,
                **where,
            )
        ]
        if self.passed_now:
            told.append(
                events.ProgressUpdated(
                    lesson_id=exercise.lesson_id,
                    lesson_items_passed=int(self.lesson.items_passed),
                    lesson_percent=self.lesson_percent,
                    course_items_passed=int(self.course.items_passed),
                    course_percent=self.course_percent,
                    **where,
                )
            )
        at = attempt.recorded_at
        if self.lesson_completed:
            told.append(events.LessonCompleted(lesson_id=exercise.lesson_id, completed_at=at, **where))
        if self.course_completed:
            told.append(events.CourseCompleted(completed_at=at, **where))
        return told


def _checked_time(occurred_at: datetime | None, now: datetime) -> datetime:
    if occurred_at is None:
        return now
    if occurred_at > now + CLOCK_SKEW:
        raise Invalid({"occurred_at": ["is in the future"]})
    if occurred_at < now - EARLIEST:
        raise Invalid({"occurred_at": [f"is more than {EARLIEST.days} days ago"]})
    return occurred_at


def _recorded_before(attempt: AttemptItem, submission: Submission) -> AttemptItem:
    if attempt.request_hash != submission.digest():
        raise Invalid({"attempt_id": ["was used before for another answer"]})
    return attempt
