"""Whose learning may be seen and recorded, and how far a learner is in a course."""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date

from chalicelib.catalogue import service as catalogue
from chalicelib.core.abilities import Role
from chalicelib.core.errors import NotFound
from chalicelib.core.store import RawItem, Table
from chalicelib.core.tokens import Principal
from chalicelib.core.types import Held
from chalicelib.institutions import service as institutions
from chalicelib.institutions.service import Learner
from chalicelib.learning import folding, models, periods, replay, reports
from chalicelib.learning.reports import SkillReport

SHARDS = models.SHARDS
attempts_key = models.attempts_key
completions_key = models.completions_key
courses_key = models.courses_key
learners_page = models.learners_page
export_page = models.export_page
percent = folding.percent
PERIODS = periods.PERIODS
Period = periods.Period
Span = periods.Span
span_of = periods.span_of
differences = replay.differences


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


@dataclass(frozen=True)
class Record:
    """What a learner's standing rests on: XP that counts on leaderboards, and counts.

    `days` holds it by local day, period and course; `course_xp` that of all time, of the courses that were
    asked for.
    """

    xp: int
    answers: int
    lessons_completed: int
    courses_completed: int
    study_ms: int
    days: Mapping[date, Mapping[Period, Mapping[str, int]]]
    course_xp: Mapping[str, int]


def record_of(learner_id: str, day: date, first: date, last: date, *, every_course: bool) -> Record:
    """As it is at this moment, with the days from `first` to `last`, and the courses of `day` or all.

    Two reads, three for all courses. Raises `NotFound` for a learner who has been erased.
    """
    days = {_date_of(row): row.boards for row in models.days_of(learner_id, first, last)}
    of_day = {course_id for courses in days.get(day, {}).values() for course_id in courses}
    course_ids = models.courses_of(learner_id) if every_course else sorted(of_day)
    return _record(*models.totals_of(learner_id, course_ids), days)


@dataclass(frozen=True)
class Latest:
    """The answer that was committed last."""

    attempt_id: str
    local_date: date


def latest_of(learner_id: str) -> Latest | None:
    """One read."""
    totals = models.learner_of(learner_id)
    if totals is None or totals.latest is None:
        return None
    attempt_id, local_date = totals.latest
    return Latest(attempt_id, date.fromisoformat(local_date))


def record_anew(learner_id: str) -> tuple[str, Record]:
    """The institution and the whole record, by what the learner has done alone.

    Raises `NotFound` for a learner who has been erased.
    """
    rows = replay.fold_all(models.facts_of(learner_id))
    totals = next(row for row in rows.values() if isinstance(row, models.LearnerItem))
    courses = {
        row.sk.removeprefix("COURSE#"): row for row in rows.values() if isinstance(row, models.CourseItem)
    }
    days = {_date_of(row): row.boards for row in rows.values() if isinstance(row, models.DayItem)}
    return totals.institution_id, _record(totals, courses, days)


def _date_of(row: models.DayItem) -> date:
    return date.fromisoformat(row.sk.removeprefix("DAY#"))


def _record(
    totals: models.LearnerItem,
    courses: Mapping[str, models.CourseItem],
    days: Mapping[date, Mapping[Period, Mapping[str, int]]],
) -> Record:
    return Record(
        xp=int(totals.board_xp),
        answers=int(totals.attempts),
        lessons_completed=int(totals.lessons_completed),
        courses_completed=int(totals.courses_completed),
        study_ms=int(totals.study_ms),
        days=days,
        course_xp={course_id: int(row.board_xp) for course_id, row in courses.items()},
    )


def levels_of(item: RawItem, today: date) -> Iterator[tuple[str, SkillReport]]:
    """Language and report of each skill, from a learner's totals as they are stored."""
    totals = models.LearnerItem.from_raw_data(dict(item))
    for language, skills in reports.cefr(totals, today).items():
        for skill in skills:
            yield language, skill


def learner_for(actor: Principal, learner_id: str | None) -> Learner:
    """Whom the actor acts for. Raises `NotFound` for a foreign member, and where a learner names another."""
    wanted = learner_id or actor.member_id
    if wanted != actor.member_id and actor.role is Role.LEARNER:
        raise NotFound("learner")
    return institutions.learner(actor.institution_id, wanted)


def lesson_progress(institution_id: str, learner: Learner, course_id: str) -> list[LessonState]:
    """Progress in each lesson of a course, in its order. Raises `NotFound` for the course."""
    course = catalogue.course(institution_id, course_id)
    reached = models.lessons_of(learner.id, course_id)
    found = []
    for lesson in course.lessons:
        item = reached.get(lesson.id)
        passed = min(int(item.items_passed), lesson.item_count) if item else 0
        completed_at = item.completed_at if item else None
        found.append(
            LessonState(
                lesson_id=lesson.id,
                title=lesson.title,
                position=lesson.position,
                items_total=lesson.item_count,
                items_passed=passed,
                percent=100 if completed_at and not lesson.item_count else percent(passed, lesson.item_count),
                completed_at=completed_at,
                last_activity_at=item.last_activity_at if item else None,
            )
        )
    return found


_UNSHOWN = {
    "pk", "sk", "institution_key", "institution_sort", "due_key", "due_sort", "request_hash", "version"
}  # fmt: skip
"""How rows are stored, which says nothing of the learner."""


def personal_data(learner_id: str) -> Held:
    """Every row of a learner, a table for each kind."""
    rows = models.everything_of(learner_id)
    for kind, of_kind in itertools.groupby(rows, key=lambda pair: pair[0]):
        yield f"learning-{kind.lower()}", (_facts(item) for _, item in of_kind)


def _facts(item: Table) -> Mapping[str, object]:
    values = item.attribute_values
    facts = {name: values.get(name) for name in item.get_attributes() if name not in _UNSHOWN}
    return {"id": str(values["sk"]).partition("#")[2], **facts}


def erase(institution_id: str, learner_id: str) -> None:
    """Forget all that a learner has done; a mark stays, after which nothing is written. Safe to repeat."""
    models.close(learner_id, institution_id)
    models.forget(learner_id)
