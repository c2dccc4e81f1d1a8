"""What a learner's records tell: history, CEFR report, insights. Each reads the totals and a bounded number
of days, however many answers were given.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Literal, get_args

from chalicelib.catalogue.items import CefrLevel, Skill
from chalicelib.institutions.service import Learner
from chalicelib.learning import estimate, evidence, models
from chalicelib.learning.estimate import LEVELS, Estimate, Evidence
from chalicelib.learning.folding import skill_estimate
from chalicelib.learning.models import DayItem, LearnerItem

Status = Literal["proven", "not_proven", "not_enough_evidence", "self_assessed", "no_evidence"]
Granularity = Literal["day", "week", "month"]
INSIGHT_DAYS = 84
TREND_DAYS = 60
ENOUGH_FOR_WEAKNESS = 10
_SKILLS: tuple[Skill, ...] = get_args(Skill)
_Z90 = 1.645
_Z95 = 1.96


# History


@dataclass
class Period:
    """The days from `first` to `last`, summed up."""

    first: date
    last: date
    attempts: int = 0
    correct: int = 0
    items: int = 0
    xp: int = 0
    study_ms: int = 0
    active_days: int = 0

    def add(self, day: DayItem) -> None:
        self.attempts += int(day.attempts)
        self.correct += int(day.correct)
        self.items += int(day.items)
        self.xp += int(day.xp)
        self.study_ms += int(day.study_ms)
        self.active_days += 1


def history(learner: Learner, first: date, last: date, granularity: Granularity) -> list[Period]:
    """Every period from the first to the last day, in order, empty ones too. One query."""
    periods = _periods(first, last, granularity)
    ends = {period.first: period for period in periods}
    for day in models.days_of(learner.id, first, last):
        start = _start(date_of(day), granularity)
        ends[max(start, first)].add(day)
    return periods


def summed(periods: Iterable[Period], first: date, last: date) -> Period:
    """All of the periods as one."""
    whole = Period(first, last)
    for period in periods:
        whole.attempts += period.attempts
        whole.correct += period.correct
        whole.items += period.items
        whole.xp += period.xp
        whole.study_ms += period.study_ms
        whole.active_days += period.active_days
    return whole


def _periods(first: date, last: date, granularity: Granularity) -> list[Period]:
    found = []
    while first <= last:
        end = min(last, _end(first, granularity))
        found.append(Period(first, end))
        first = end + timedelta(days=1)
    return found


def _start(day: date, granularity: Granularity) -> date:
    if granularity == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if granularity == "month" else day


def _end(day: date, granularity: Granularity) -> date:
    if granularity == "week":
        return day + timedelta(days=6 - day.weekday())
    if granularity == "month":
        return (day.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)
    return day


def date_of(day: DayItem) -> date:
    """The local day that the row is of."""
    return date.fromisoformat(day.sk.removeprefix("DAY#"))


# CEFR


@dataclass(frozen=True)
class SkillReport:
    """One skill of one language."""

    skill: Skill
    estimate: Estimate
    reached: CefrLevel | None
    items: int

    @property
    def status(self) -> Status:
        if self.skill == "speaking" and self.estimate.answers == 0:
            return "self_assessed"
        if self.estimate.answers == 0:
            return "no_evidence"
        if not self.estimate.enough:
            return "not_enough_evidence"
        return "proven" if self.estimate.proven else "not_proven"


def cefr(totals: LearnerItem | None, today: date) -> dict[str, list[SkillReport]]:
    """Each language in which there is evidence, with all skills. Nothing is read."""
    if totals is None:
        return {}
    return {
        language: [
            SkillReport(
                skill,
                skill_estimate(totals, language, skill, today),
                totals.reached.get(language, {}).get(skill),
                sum(totals.items.get(language, {}).get(skill, {}).values()),
            )
            for skill in _SKILLS
        ]
        for language in sorted(totals.evidence)
    }


# Insights


@dataclass
class Insights:
    """What the last twelve weeks show. `study_ms` by weekday (Monday 0) and hour, in local time."""

    study_ms: dict[tuple[int, int], int] = field(default_factory=dict)
    active_days: int = 0
    weak_skills: list["Weakness"] = field(default_factory=list)
    weak_types: list["Weakness"] = field(default_factory=list)
    forecasts: list["Forecast"] = field(default_factory=list)


@dataclass(frozen=True)
class Weakness:
    """A success rate with its 95 % Wilson interval. `language` is None where all are counted together."""

    language: str | None
    name: str
    answers: int
    rate: float
    low: float
    high: float


@dataclass(frozen=True)
class Forecast:
    """When the next level would be reached at the pace of the last 60 days; no dates if that is not clear."""

    language: str
    skill: Skill
    next_level: CefrLevel | None
    expected_on: date | None
    earliest_on: date | None
    latest_on: date | None
    why_not: Literal["not_enough_evidence", "no_clear_trend", "highest_level"] | None


def insights(learner: Learner, totals: LearnerItem | None, now: datetime) -> Insights:
    """One query of at most 84 days."""
    today = now.astimezone(learner.zone).date()
    days = models.days_of(learner.id, today - timedelta(days=INSIGHT_DAYS - 1), today)
    found = Insights(active_days=len(days))
    for day in days:
        for hour, study in day.hours.items():
            key = (date_of(day).weekday(), int(hour))
            found.study_ms[key] = found.study_ms.get(key, 0) + study
    found.weak_skills = _weakest(_skill_rates(days))
    found.weak_types = _weakest(_type_rates(days))
    if totals is not None:
        found.forecasts = list(_forecasts(totals, days, today))
    return found


def _skill_rates(days: Iterable[DayItem]) -> dict[tuple[str | None, str], tuple[int, float]]:
    """Answers and the sum of their scores, of the day's first answers to each item."""
    sums: dict[tuple[str | None, str], tuple[int, float]] = {}
    for day in days:
        unit = estimate.weight_of(date_of(day)) * 10_000
        for language, skills in day.evidence.items():
            for skill, cells in skills.items():
                for cell in evidence.cells_of(cells).values():
                    count, score = sums.get((language, skill), (0, 0.0))
                    sums[language, skill] = (count + cell.count, score + cell.score / unit)
    return sums


def _type_rates(days: Iterable[DayItem]) -> dict[tuple[str | None, str], tuple[int, float]]:
    sums: dict[tuple[str | None, str], tuple[int, float]] = {}
    for day in days:
        for kind, (more, score) in day.types.items():
            count, known = sums.get((None, kind), (0, 0.0))
            sums[None, kind] = (count + more, known + score / 10_000)
    return sums


def _weakest(rates: Mapping[tuple[str | None, str], tuple[int, float]]) -> list[Weakness]:
    """By the upper bound of the rate, so that what is only unlucky does not come first."""
    found = []
    for (language, name), (count, score) in rates.items():
        if count >= ENOUGH_FOR_WEAKNESS:
            low, high = wilson(score / count, count)
            found.append(Weakness(language, name, count, score / count, low, high))
    return sorted(found, key=lambda one: (one.high, one.name, one.language or ""))


def wilson(rate: float, count: int, z: float = _Z95) -> tuple[float, float]:
    """The Wilson score interval of a success rate (E. B. Wilson, 1927)."""
    middle = rate + z * z / (2 * count)
    half = z * math.sqrt(rate * (1 - rate) / count + z * z / (4 * count * count))
    whole = 1 + z * z / count
    return max(0.0, (middle - half) / whole), min(1.0, (middle + half) / whole)


def _forecasts(totals: LearnerItem, days: Sequence[DayItem], today: date) -> Iterable[Forecast]:
    since = today - timedelta(days=TREND_DAYS)
    for language, skills in sorted(totals.evidence.items()):
        for skill in _SKILLS:
            if skill in skills:
                now = skill_estimate(totals, language, skill, today)
                then = _estimate_before(totals, days, language, skill, since)
                yield _forecast(language, skill, now, then, today)


def _estimate_before(
    totals: LearnerItem, days: Sequence[DayItem], language: str, skill: str, since: date
) -> Estimate:
    """The estimate of that day: all evidence less what the days after it have added."""
    cells = evidence.cells_of(totals.evidence[language][skill])
    for day in days:
        if date_of(day) > since:
            for cell, added in evidence.cells_of(day.evidence.get(language, {}).get(skill, {})).items():
                known = cells[cell]
                cells[cell] = Evidence(
                    known.count - added.count, known.weight - added.weight, known.score - added.score
                )
    return estimate.estimate(cells, {}, since)


def _forecast(language: str, skill: Skill, now: Estimate, then: Estimate, today: date) -> Forecast:
    """A straight line through the two estimates; none where its 90 % interval allows for standing still."""
    above = [level for level in LEVELS if estimate.CUTS[level] > now.ability]
    if not now.enough or then.effective_answers < estimate.ENOUGH_ANSWERS:
        return Forecast(language, skill, above[0] if above else None, None, None, None, "not_enough_evidence")
    if not above:
        return Forecast(language, skill, None, None, None, None, "highest_level")
    grown = now.ability - then.ability
    error = _Z90 * math.hypot(now.sd, then.sd)
    if grown - error <= 0:
        return Forecast(language, skill, above[0], None, None, None, "no_clear_trend")
    missing = estimate.CUTS[above[0]] - now.ability

    def reached_at(growth: float) -> date:
        return today + timedelta(days=min(3650, math.ceil(missing / growth * TREND_DAYS)))

    return Forecast(
        language,
        skill,
        above[0],
        reached_at(grown),
        reached_at(grown + error),
        reached_at(grown - error),
        None,
    )
