"""Recording an answer: graded, counted once, told to the world, all in one transaction."""

import hashlib
import json
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from chalicelib.catalogue import service as catalogue
from chalicelib.catalogue.service import Exercise
from chalicelib.core import outbox
from chalicelib.core.clock import instant, rfc3339
from chalicelib.core.errors import Conflict, Invalid
from chalicelib.core.events import EventData, new_event
from chalicelib.core.ids import new_id
from chalicelib.core.store import Stale, Transaction
from chalicelib.core.tokens import Principal
from chalicelib.institutions.service import Learner
from chalicelib.learning import events, evidence, folding, models, streaks
from chalicelib.learning.folding import Changes
from chalicelib.learning.grading import grade
from chalicelib.learning.models import AttemptItem, ReadItem, State

EARLIEST = timedelta(days=90)
EARLIEST_IMPORT = timedelta(days=3653)
CLOCK_SKEW = timedelta(minutes=5)


@dataclass(frozen=True)
class Submission:
    """An answer as it was sent. An imported one may be older, and counts on no leaderboard."""

    item_id: str
    answer: object
    duration_ms: int
    occurred_at: datetime | None
    attempt_id: str | None
    item_version: int | None = None
    imported: bool = False

    def digest(self) -> str:
        """Equal for the same submission sent again."""
        sent = [
            self.item_id,
            self.item_version,
            self.answer,
            self.duration_ms,
            self.occurred_at and rfc3339(self.occurred_at),
        ]
        return hashlib.sha256(json.dumps(sent, sort_keys=True).encode()).hexdigest()


def record(
    transaction: Transaction,
    actor: Principal,
    learner: Learner,
    submission: Submission,
    *,
    now: datetime,
    request_id: str,
) -> tuple[AttemptItem, bool]:
    """Grade and record an answer; one that was recorded before, by its `attempt_id`, changes nothing.

    Returns the attempt, and whether it is new. Raises `NotFound` for the item, `Invalid` for an answer
    that is not of its shape, a time out of bounds, or an `attempt_id` that was used for something else.
    """
    if submission.attempt_id is not None:
        earlier = models.attempt_of(learner.id, submission.attempt_id)
        if earlier is not None:
            return _recorded_before(earlier, submission), False
    occurred_at = _checked_time(submission, now)
    exercise = catalogue.exercise(actor.institution_id, submission.item_id, submission.item_version)
    attempt = _attempt(learner, exercise, submission, occurred_at, now)
    attempt.actor_id = actor.member_id
    state = models.state_of(
        learner.id,
        item_id=exercise.item_id,
        day=date.fromisoformat(attempt.local_date),
        course_id=exercise.course_id,
        lesson_id=exercise.lesson_id,
    )
    changes = folding.fold(state, attempt)
    attempt.xp, attempt.changes = changes.xp, _shown(state, attempt, changes)
    transaction.put(attempt, AttemptItem.pk.does_not_exist(), Stale())
    folding.write(state, changes, transaction)
    _tell(transaction, learner, _answer_events(state, attempt, changes), now, request_id)
    return attempt, True


def complete_lesson(
    transaction: Transaction,
    actor: Principal,
    learner: Learner,
    lesson_id: str,
    *,
    now: datetime,
    request_id: str,
) -> models.LessonItem:
    """Complete a lesson that has nothing to grade; one that is completed already stays as it is.

    Raises `NotFound` for the lesson, `Conflict` where it has exercises: passing those completes it.
    """
    lesson = catalogue.lesson_in_course(actor.institution_id, lesson_id)
    if lesson.item_count:
        raise Conflict("This lesson has exercises; it is completed by passing all of them.")
    state = models.lesson_state_of(learner.id, lesson.course_id, lesson_id)
    if state.lesson.completed_at is not None:
        return state.lesson
    read = ReadItem(
        learner.id,
        f"READ#{lesson_id}",
        institution_id=learner.institution_id,
        course_id=lesson.course_id,
        lesson_id=lesson_id,
        course_items=lesson.course_item_count,
        course_lessons=lesson.course_lesson_count,
        time_zone=learner.zone.key,
        recorded_at=rfc3339(now),
    )
    changes = folding.complete(state, read)
    transaction.put(read)
    folding.write(state, changes, transaction)
    where = {"learner_id": learner.id, "course_id": lesson.course_id}
    told: list[EventData] = [
        events.LessonCompleted(lesson_id=lesson_id, completed_at=state.lesson.completed_at, **where)
    ]
    told += _crossing_events(changes, where, rfc3339(now))
    _tell(transaction, learner, told, now, request_id)
    return state.lesson


def _attempt(
    learner: Learner, exercise: Exercise, submission: Submission, occurred_at: datetime, now: datetime
) -> AttemptItem:
    """The answer, graded."""
    item = exercise.item
    graded = grade(item.content, item.key, submission.answer)
    attempt_id, shard = submission.attempt_id or new_id("att", now), models.shard_of(learner.id)
    return AttemptItem(
        learner.id,
        f"ATTEMPT#{attempt_id}",
        institution_id=learner.institution_id,
        institution_key=models.attempts_key(learner.institution_id, now.date(), shard),
        institution_sort=f"{instant(now)}#{attempt_id}",
        course_id=exercise.course_id,
        lesson_id=exercise.lesson_id,
        training_id=exercise.training_id,
        item_id=exercise.item_id,
        item_version=exercise.version,
        item_type=item.type,
        language=exercise.language,
        skill=item.skill,
        cefr_level=item.cefr_level,
        lesson_items=exercise.lesson_item_count,
        course_items=exercise.course_item_count,
        course_lessons=exercise.course_lesson_count,
        points=item.points,
        guess=evidence.guess_of(item),
        imported=submission.imported,
        answer=submission.answer,
        result=graded.result,
        score=graded.score,
        duration_ms=submission.duration_ms,
        occurred_at=rfc3339(occurred_at),
        local_date=occurred_at.astimezone(learner.zone).date().isoformat(),
        time_zone=learner.zone.key,
        recorded_at=rfc3339(now),
        request_hash=submission.digest(),
        grade=graded.model_dump(mode="json"),
    )


def _shown(state: State, attempt: AttemptItem, changes: Changes) -> dict[str, Any]:
    """What the response tells of the changes, as it is kept with the attempt."""
    found = changes.estimate
    return {
        "xp": changes.xp,
        "lesson_percent": folding.percent(int(state.lesson.items_passed), int(attempt.lesson_items)),
        "course_percent": folding.percent(int(state.course.items_passed), int(attempt.course_items)),
        "lesson_completed": changes.lesson_completed,
        "course_completed": changes.course_completed,
        "streak_days": changes.streak.current,
        "skill": attempt.skill,
        "evidence_count": found.answers if found else 0,
        "level_reached": changes.level_reached,
        "achievements": [one.code for one in changes.unlocked],
        "review_due_at": rfc3339(datetime.fromisoformat(state.item.due_sort.partition("#")[0])),
    }


def _answer_events(state: State, attempt: AttemptItem, changes: Changes) -> list[EventData]:
    where = {"learner_id": attempt.pk, "course_id": attempt.course_id}
    told: list[EventData] = [
        events.ExerciseAnswered(
            attempt_id=attempt.sk.removeprefix("ATTEMPT#"),
            lesson_id=attempt.lesson_id,
            training_id=attempt.training_id,
            item_id=attempt.item_id,
            item_version=int(attempt.item_version),
            item_type=attempt.item_type,
            skill=attempt.skill,
            cefr_level=attempt.cefr_level,
            result=attempt.result,
            score=float(attempt.score),
            xp=changes.xp,
            duration_ms=int(attempt.duration_ms),
            occurred_at=attempt.occurred_at,
            local_date=attempt.local_date,
            **where,
        )
    ]
    if changes.passed:
        told.append(
            events.ProgressUpdated(
                lesson_id=attempt.lesson_id,
                lesson_items_passed=int(state.lesson.items_passed),
                lesson_percent=attempt.changes["lesson_percent"],
                course_items_passed=int(state.course.items_passed),
                course_percent=attempt.changes["course_percent"],
                **where,
            )
        )
    if changes.lesson_completed:
        told.append(
            events.LessonCompleted(lesson_id=attempt.lesson_id, completed_at=attempt.recorded_at, **where)
        )
    told += _crossing_events(changes, where, attempt.recorded_at)
    if changes.streak_extended:
        told.append(_streak_event(attempt.pk, changes.streak))
    if changes.level_reached:
        told.append(
            events.LevelReached(
                learner_id=attempt.pk,
                language=attempt.language,
                skill=attempt.skill,
                level=changes.level_reached,
                reached_at=attempt.recorded_at,
            )
        )
    return told


def _crossing_events(changes: Changes, where: dict[str, str], at: str) -> list[EventData]:
    """What a lesson's completion may bring with it."""
    told: list[EventData] = []
    if changes.course_completed:
        told.append(events.CourseCompleted(completed_at=at, **where))
    told += [
        events.AchievementUnlocked(learner_id=where["learner_id"], code=one.code, unlocked_at=at)
        for one in changes.unlocked
    ]
    return told


def _streak_event(learner_id: str, streak: streaks.Streak) -> EventData:
    last_day = streak.last_day.isoformat() if streak.last_day else ""
    return events.StreakExtended(learner_id=learner_id, streak_days=streak.current, local_date=last_day)


def _tell(
    transaction: Transaction, learner: Learner, told: list[EventData], now: datetime, request_id: str
) -> None:
    outbox.add(
        transaction,
        *(
            new_event(data, institution_id=learner.institution_id, now=now, request_id=request_id)
            for data in told
        ),
    )


def _checked_time(submission: Submission, now: datetime) -> datetime:
    occurred_at = submission.occurred_at
    earliest = EARLIEST_IMPORT if submission.imported else EARLIEST
    if occurred_at is None:
        return now
    if occurred_at > now + CLOCK_SKEW:
        raise Invalid({"occurred_at": ["is in the future"]})
    if occurred_at < now - earliest:
        raise Invalid({"occurred_at": [f"is more than {earliest.days} days ago"]})
    return occurred_at


def _recorded_before(attempt: AttemptItem, submission: Submission) -> AttemptItem:
    if attempt.request_hash != submission.digest():
        raise Invalid({"attempt_id": ["was used before for another answer"]})
    return attempt
