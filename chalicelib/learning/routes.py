"""Recording and reading learning: /api/trainingItems/{item}/attempts, /api/lessons/{lesson}/complete,
/api/progress/import, /api/courses/{course}/lesson-progress, /api/progress-history, /api/cefr/report,
/api/learning-insights, /api/reviews/due, /api/gamification/stats.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from chalice.app import Blueprint

from chalicelib.catalogue import service as catalogue
from chalicelib.core.clock import instant, rfc3339, shown
from chalicelib.core.errors import Invalid
from chalicelib.core.http import Call, endpoint
from chalicelib.core.paging import Page, of_list
from chalicelib.core.types import CourseId, ItemId, LessonId
from chalicelib.learning import achievements, importing, models, recording, reports, schemas, service, streaks
from chalicelib.learning.can_do import CAN_DO
from chalicelib.learning.estimate import LEVELS
from chalicelib.learning.folding import measures
from chalicelib.learning.models import AttemptItem, ItemItem, LearnerItem
from chalicelib.learning.recording import Submission
from chalicelib.learning.service import LessonState

api = Blueprint(__name__)

_LONGEST_RANGE = {"day": 366, "week": 106 * 7, "month": 60 * 31}
_DUE_COUNTED = 100


@endpoint(api, "POST", "/api/trainingItems/{item}/attempts", abilities=["progress:write"],
          body=schemas.AttemptCreate, returns=schemas.AttemptRecorded, status=201,
          idempotent=True)  # fmt: skip
def record_attempt(call: Call, body: schemas.AttemptCreate, item: ItemId) -> schemas.AttemptRecorded:
    """Grade and record a learner's answer. The answer tells what was right and what it changed."""
    learner = service.learner_for(call.caller, body.learner_id)
    attempt, _ = recording.record(
        call.transaction,
        call.caller,
        learner,
        Submission(item, body.answer, body.duration_ms, body.occurred_at, body.attempt_id, body.item_version),
        now=call.now,
        request_id=call.request_id,
    )
    return schemas.AttemptRecorded(attempt=_attempt(attempt), changes=schemas.Changes(**attempt.changes))


@endpoint(api, "POST", "/api/lessons/{lesson}/complete", abilities=["progress:write"],
          query=schemas.LearnerQuery, returns=schemas.LessonCompletion, idempotent=True)  # fmt: skip
def complete_lesson(call: Call, query: schemas.LearnerQuery, lesson: LessonId) -> schemas.LessonCompletion:
    """Complete a lesson that has no exercises: one to read. Others are completed by their exercises."""
    learner = service.learner_for(call.caller, query.learner_id)
    completed = recording.complete_lesson(
        call.transaction, call.caller, learner, lesson, now=call.now, request_id=call.request_id
    )
    return schemas.LessonCompletion(
        lesson_id=lesson, learner_id=learner.id, completed_at=completed.completed_at or rfc3339(call.now)
    )


@endpoint(api, "POST", "/api/progress/import", abilities=["progress:write"], body=schemas.ProgressImport,
          returns=schemas.ProgressImported)  # fmt: skip
def import_progress(call: Call, body: schemas.ProgressImport) -> schemas.ProgressImported:
    """Record past answers of members, with a result for each. A malformed body is refused as a whole."""
    rows = [
        importing.Row(
            row.learner_id,
            Submission(row.item_id, row.answer, row.duration_ms, row.occurred_at, row.attempt_id,
                       row.item_version, imported=True),
        )
        for row in body.rows
    ]  # fmt: skip
    outcomes = importing.bring_in(call.caller, rows, now=call.now, request_id=call.request_id)
    statuses = [outcome.status for outcome in outcomes]
    return schemas.ProgressImported(
        recorded=statuses.count("recorded"),
        duplicate=statuses.count("duplicate"),
        refused=statuses.count("refused"),
        not_processed=statuses.count("not_processed"),
        rows=[
            schemas.ImportResult(
                attempt_id=row.attempt_id,
                status=outcome.status,
                detail=outcome.refusal.detail if outcome.refusal else None,
                errors=importing.faults(outcome.refusal),
            )
            for row, outcome in zip(body.rows, outcomes, strict=True)
        ],
    )


@endpoint(api, "GET", "/api/courses/{course}/lesson-progress", abilities=["progress:read"],
          query=schemas.LessonProgressQuery, returns=Page[schemas.LessonProgress])  # fmt: skip
def lesson_progress(
    call: Call, query: schemas.LessonProgressQuery, course: CourseId
) -> Page[schemas.LessonProgress]:
    """Per-lesson progress for a course, of the caller or of a member."""
    learner = service.learner_for(call.caller, query.learner_id)
    found = service.lesson_progress(call.caller.institution_id, learner, course)
    rows = [(f"{lesson.position:06}", _lesson(lesson, course, learner.id)) for lesson in found]
    return call.listing(query).page(of_list(rows), len(rows))


@endpoint(api, "GET", "/api/progress-history", abilities=["progress:read"], query=schemas.HistoryQuery,
          returns=schemas.ProgressHistory)  # fmt: skip
def progress_history(call: Call, query: schemas.HistoryQuery) -> schemas.ProgressHistory:
    """What was done by day, week or month, in the learner's time zone."""
    learner = service.learner_for(call.caller, query.learner_id)
    last = query.to or call.now.astimezone(learner.zone).date()
    first = query.from_ or last - timedelta(days=29)
    longest = _LONGEST_RANGE[query.granularity]
    if first > last:
        raise Invalid({"from": ["is after to"]})
    if (last - first).days >= longest:
        raise Invalid({"from": [f"is more than {longest} days before to"]})
    periods = reports.history(learner, first, last, query.granularity)
    return schemas.ProgressHistory(
        learner_id=learner.id,
        time_zone=learner.zone.key,
        granularity=query.granularity,
        periods=[_period(period) for period in periods],
        total=_period(reports.summed(periods, first, last)),
    )


@endpoint(api, "GET", "/api/cefr/report", abilities=["progress:read"], query=schemas.CefrQuery,
          returns=schemas.CefrReport)  # fmt: skip
def cefr_report(call: Call, query: schemas.CefrQuery) -> schemas.CefrReport:
    """The level of each skill that the evidence proves, how sure that is, and what it rests on."""
    learner = service.learner_for(call.caller, query.learner_id)
    found = reports.cefr(models.learner_of(learner.id), call.now.astimezone(learner.zone).date())
    return schemas.CefrReport(
        learner_id=learner.id,
        as_of=rfc3339(call.now),
        languages=[
            schemas.LanguageReport(language=language, skills=[_skill(skill) for skill in skills])
            for language, skills in found.items()
            if query.language in {None, language}
        ],
    )


@endpoint(api, "GET", "/api/learning-insights", abilities=["progress:read"], query=schemas.LearnerQuery,
          returns=schemas.LearningInsights)  # fmt: skip
def learning_insights(call: Call, query: schemas.LearnerQuery) -> schemas.LearningInsights:
    """When one studies, what is weakest, when the next level may be reached, and what to review."""
    learner = service.learner_for(call.caller, query.learner_id)
    found = reports.insights(learner, models.learner_of(learner.id), call.now)
    today = call.now.astimezone(learner.zone).date()
    return schemas.LearningInsights(
        learner_id=learner.id,
        time_zone=learner.zone.key,
        from_=today - timedelta(days=reports.INSIGHT_DAYS - 1),
        to=today,
        active_days=found.active_days,
        study_seconds=sum(found.study_ms.values()) // 1000,
        study_hours=[
            schemas.StudyHour(weekday=weekday + 1, hour=hour, study_seconds=study // 1000)
            for (weekday, hour), study in sorted(found.study_ms.items())
        ],
        weakest_skills=[_rate(one) for one in found.weak_skills],
        weakest_types=[_rate(one) for one in found.weak_types],
        forecasts=[_forecast(one) for one in found.forecasts],
        reviews_due=models.due_count(learner.id, instant(call.now), _DUE_COUNTED),
    )


@endpoint(api, "GET", "/api/reviews/due", abilities=["progress:read"], query=schemas.DueQuery,
          returns=Page[schemas.DueReview])  # fmt: skip
def due_reviews(call: Call, query: schemas.DueQuery) -> Page[schemas.DueReview]:
    """Exercises to answer again, the most overdue first; those that were withdrawn are left out."""
    learner = service.learner_for(call.caller, query.learner_id)
    before = instant(query.before or call.now)

    def read(start: str | None, limit: int, *, backwards: bool) -> Sequence[tuple[str, ItemItem]]:
        found = models.due_items(learner.id, before, start, limit, backwards=backwards)
        return [(item.due_sort, item) for item in found]

    page = call.listing(query).page(read)
    still_there = catalogue.published([_item_id(item) for item in page.data])
    page.data = [item for item in page.data if _item_id(item) in still_there]
    return page.showing(_due)


@endpoint(api, "GET", "/api/gamification/stats", abilities=["progress:read"], query=schemas.LearnerQuery,
          returns=schemas.GamificationStats)  # fmt: skip
def gamification_stats(call: Call, query: schemas.LearnerQuery) -> schemas.GamificationStats:
    """XP, streak and achievements."""
    learner = service.learner_for(call.caller, query.learner_id)
    totals = models.learner_of(learner.id) or LearnerItem(learner.id)
    today = call.now.astimezone(learner.zone).date()
    week = models.days_of(learner.id, today - timedelta(days=today.weekday()), today)
    streak = streaks.evaluate(streaks.from_numbers(totals.active_days), today, learner.zone)
    reached = measures(totals, streak.longest)
    return schemas.GamificationStats(
        learner_id=learner.id,
        time_zone=learner.zone.key,
        xp=int(totals.xp),
        xp_today=sum(int(day.xp) for day in week if reports.date_of(day) == today),
        xp_this_week=sum(int(day.xp) for day in week),
        answers=int(totals.attempts),
        items_passed=int(totals.items_passed),
        lessons_completed=int(totals.lessons_completed),
        courses_completed=int(totals.courses_completed),
        study_seconds=int(totals.study_ms) // 1000,
        streak=schemas.StreakState(
            current_days=streak.current,
            longest_days=streak.longest,
            last_active_on=streak.last_day,
            at_risk=streak.at_risk,
            freezes=streak.freezes,
        ),
        achievements=[
            schemas.Achievement(
                code=one.code,
                title=one.title,
                description=one.description,
                progress=min(reached[one.measure], one.target),
                target=one.target,
                unlocked_at=totals.achievements.get(one.code),
            )
            for one in achievements.ACHIEVEMENTS
        ],
    )


def _attempt(item: AttemptItem) -> schemas.AttemptResult:
    return schemas.AttemptResult(
        id=item.sk.removeprefix("ATTEMPT#"),
        learner_id=item.pk,
        item_id=item.item_id,
        item_version=int(item.item_version),
        result=item.result,
        score=float(item.score),
        feedback=item.grade["feedback"],
        correct_answer=item.grade["correct_answer"],
        occurred_at=item.occurred_at,
        recorded_at=item.recorded_at,
    )


def _lesson(lesson: LessonState, course_id: str, learner_id: str) -> schemas.LessonProgress:
    started = "in_progress" if lesson.last_activity_at else "not_started"
    return schemas.LessonProgress(
        lesson_id=lesson.lesson_id,
        course_id=course_id,
        learner_id=learner_id,
        title=lesson.title,
        position=lesson.position,
        status="completed" if lesson.completed_at else started,
        items_total=lesson.items_total,
        items_passed=lesson.items_passed,
        percent=lesson.percent,
        completed_at=lesson.completed_at,
        last_activity_at=lesson.last_activity_at,
    )


def _period(period: reports.Period) -> schemas.HistoryPeriod:
    return schemas.HistoryPeriod(
        from_=period.first,
        to=period.last,
        active_days=period.active_days,
        attempts=period.attempts,
        correct=period.correct,
        items_practised=period.items,
        xp=period.xp,
        study_seconds=period.study_ms // 1000,
    )


def _skill(found: reports.SkillReport) -> schemas.SkillLevel:
    estimate = found.estimate
    proven = estimate.proven
    return schemas.SkillLevel(
        skill=found.skill,
        status=found.status,
        level=proven,
        likely_level=estimate.likely,
        probabilities=[
            schemas.LevelChance(level=level, probability=round(max(0.0, chance), 4))
            for level, chance in estimate.chances.items()
        ],
        level_reached=found.reached,
        ability=round(estimate.ability, 2),
        ability_sd=round(estimate.sd, 2),
        answers=estimate.answers,
        effective_answers=round(estimate.effective_answers, 1),
        items=found.items,
        can_do=[CAN_DO[found.skill][level] for level in LEVELS[: LEVELS.index(proven) + 1]] if proven else [],
    )


def _rate(one: reports.Weakness) -> schemas.SuccessRate:
    return schemas.SuccessRate(
        language=one.language,
        name=one.name,
        answers=one.answers,
        rate=round(one.rate, 4),
        low=round(one.low, 4),
        high=round(one.high, 4),
    )


def _forecast(one: reports.Forecast) -> schemas.LevelForecast:
    return schemas.LevelForecast(
        language=one.language,
        skill=one.skill,
        next_level=one.next_level,
        expected_on=one.expected_on,
        earliest_on=one.earliest_on,
        latest_on=one.latest_on,
        reason=one.why_not,
    )


def _item_id(item: ItemItem) -> str:
    return item.sk.removeprefix("ITEM#")


def _due(item: ItemItem) -> schemas.DueReview:
    due_at = datetime.fromisoformat(item.due_sort.partition("#")[0])
    return schemas.DueReview(
        item_id=_item_id(item),
        **item.place,
        due_at=shown(instant(due_at)) or "",
        last_answered_on=max(item.reviews),
        best_score=float(item.score),
    )
