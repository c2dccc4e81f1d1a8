"""Recording an answer: graded, counted once, told to the world, all in one transaction."""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from chalicelib.catalogue import service as catalogue
from chalicelib.catalogue.items import SELF_ASSESSED
from chalicelib.core import outbox
from chalicelib.core.clock import instant, rfc3339
from chalicelib.core.errors import Conflict, Invalid
from chalicelib.core.events import EventData, new_event
from chalicelib.core.ids import new_id
from chalicelib.core.store import Stale, Transaction
from chalicelib.core.tokens import Principal
from chalicelib.institutions.service import Learner
from chalicelib.learning import events, evidence, folding, models, reviews, streaks
from chalicelib.learning.folding import Answered, Changes
from chalicelib.learning.grading import grade
from chalicelib.learning.models import AttemptItem, State

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
    graded = grade(exercise.item.content, exercise.item.key, submission.answer)
    self_rated = exercise.item.type in SELF_ASSESSED and submission.answer == "easy"
    answered = Answered(
        attempt_id=submission.attempt_id or new_id("att", now),
        exercise=exercise,
        grade=graded,
        rating="easy" if self_rated else reviews.rating_of(graded.score),
        duration_ms=submission.duration_ms,
        occurred_at=occurred_at,
        imported=submission.imported,
    )
    state = models.state_of(
        learner.id,
        item_id=exercise.item_id,
        day=occurred_at.astimezone(learner.zone).date(),
        course_id=exercise.course_id,
        lesson_id=exercise.lesson_id,
    )
    changes = folding.fold(state, learner, answered, now)
    attempt = _attempt(state, learner, answered, changes, actor, submission, now)
    transaction.put(attempt, AttemptItem.pk.does_not_exist(), Stale())
    folding.write(state, changes, transaction)
    _tell(transaction, learner, _answer_events(state, attempt, answered, changes), now, request_id)
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
    changes = folding.complete(
        state, learner, lesson.course_id, lesson.course_item_count, lesson.course_lesson_count, now
    )
    folding.write(state, changes, transaction)
    where = {"learner_id": learner.id, "course_id": lesson.course_id}
    told: list[EventData] = [
        events.LessonCompleted(lesson_id=lesson_id, completed_at=state.lesson.completed_at, **where)
    ]
    told += _crossing_events(changes, where, rfc3339(now))
    _tell(transaction, learner, told, now, request_id)
    return state.lesson


def _attempt(
    state: State,
    learner: Learner,
    answered: Answered,
    changes: Changes,
    actor: Principal,
    submission: Submission,
    now: datetime,
) -> AttemptItem:
    exercise, item, graded = answered.exercise, answered.exercise.item, answered.grade
    shard = models.shard_of(learner.id)
    return AttemptItem(
        learner.id,
        f"ATTEMPT#{answered.attempt_id}",
        institution_id=learner.institution_id,
        institution_key=models.attempts_key(learner.institution_id, now.date(), shard),
        institution_sort=f"{instant(now)}#{answered.attempt_id}",
        actor_id=actor.member_id,
        course_id=exercise.course_id,
        lesson_id=exercise.lesson_id,
        training_id=exercise.training_id,
        item_id=exercise.item_id,
        item_version=exercise.version,
        item_type=item.type,
        skill=item.skill,
        cefr_level=item.cefr_level,
        points=item.points,
        guess=evidence.guess_of(item),
        imported=submission.imported,
        answer=submission.answer,
        result=graded.result,
        score=graded.score,
        xp=changes.xp,
        duration_ms=answered.duration_ms,
        occurred_at=rfc3339(answered.occurred_at),
        local_date=answered.occurred_at.astimezone(learner.zone).date().isoformat(),
        recorded_at=rfc3339(now),
        request_hash=submission.digest(),
        grade=graded.model_dump(mode="json"),
        changes=_shown(state, answered, changes),
    )


def _shown(state: State, answered: Answered, changes: Changes) -> dict[str, Any]:
    """What the response tells of the changes, as it is kept with the attempt."""
    exercise, found = answered.exercise, changes.estimate
    return {
        "xp": changes.xp,
        "lesson_percent": folding.percent(int(state.lesson.items_passed), exercise.lesson_item_count),
        "course_percent": folding.percent(int(state.course.items_passed), exercise.course_item_count),
        "lesson_completed": changes.lesson_completed,
        "course_completed": changes.course_completed,
        "streak_days": changes.streak.current,
        "skill": exercise.item.skill,
        "evidence_count": found.answers if found else 0,
        "level_reached": changes.level_reached,
        "achievements": [one.code for one in changes.unlocked],
        "review_due_at": rfc3339(datetime.fromisoformat(state.item.due_sort.partition("#")[0])),
    }


def _answer_events(
    state: State, attempt: AttemptItem, answered: Answered, changes: Changes
) -> list[EventData]:
    exercise, item = answered.exercise, answered.exercise.item
    where = {"learner_id": attempt.pk, "course_id": exercise.course_id}
    told: list[EventData] = [
        events.ExerciseAnswered(
            attempt_id=answered.attempt_id,
            lesson_id=exercise.lesson_id,
            training_id=exercise.training_id,
            item_id=exercise.item_id,
            item_version=exercise.version,
            item_type=item.type,
            skill=item.skill,
            cefr_level=item.cefr_level,
            result=answered.grade.result,
            score=answered.grade.score,
            xp=changes.xp,
            duration_ms=answered.duration_ms,
            occurred_at=attempt.occurred_at,
            local_date=attempt.local_date,
            **where,
        )
    ]
    if changes.passed:
        told.append(
            events.ProgressUpdated(
                lesson_id=exercise.lesson_id,
                lesson_items_passed=int(state.lesson.items_passed),
                lesson_percent=attempt.changes["lesson_percent"],
                course_items_passed=int(state.course.items_passed),
                course_percent=attempt.changes["course_percent"],
                **where,
            )
        )
    if changes.lesson_completed:
        told.append(
            events.LessonCompleted(lesson_id=exercise.lesson_id, completed_at=attempt.recorded_at, **where)
        )
    told += _crossing_events(changes, where, attempt.recorded_at)
    if changes.streak_extended:
        told.append(_streak_event(attempt.pk, changes.streak))
    if changes.level_reached:
        told.append(
            events.LevelReached(
                learner_id=attempt.pk,
                language=exercise.language,
                skill=item.skill,
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
