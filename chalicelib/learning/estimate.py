"""How well a learner can use a language: a Bayesian estimate per skill from counts of answers.

Ability and difficulty share one scale of logits, on which CEFR levels lie 1.5 apart. Evidence is kept as
sums per cell (item level, guess class), so neither order nor repetition of a computation matters; the
posterior is computed on read over a grid. The model:

    P(right) = c + (1 - c) * 0.98 * sigmoid(0.9 * (ability - difficulty))

where c is the chance to guess. An answer's weight is 2^((its day - 2026-01-01) / 45) and is divided by that
of the present day on read: evidence loses half its weight in 45 days, and adding it stays commutative.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from itertools import accumulate, pairwise
from typing import get_args

from chalicelib.catalogue.items import CefrLevel

LEVELS: tuple[CefrLevel, ...] = get_args(CefrLevel)
GUESS_CLASSES = (0, 5, 4, 3, 2)
"""Among how many options a guess chooses; 0 where an answer is produced, which nobody guesses."""

HALF_LIFE_DAYS = 45
PROVEN = 0.8
ENOUGH_ANSWERS = 15
ENOUGH_ITEMS = 5

_EPOCH = date(2026, 1, 1)
_UNIT = 1000  # the weight of an answer on the epoch's day
_SCORE_UNIT = 10_000  # scores have four places
_STEP = 1.5
_DIFFICULTY = {level: -3.75 + _STEP * number for number, level in enumerate(LEVELS)}
CUTS: dict[CefrLevel, float] = {level: difficulty + 0.85 for level, difficulty in _DIFFICULTY.items()}
_GRID = [-6.5 + 0.125 * number for number in range(105)]
_LOG_PRIOR = [-((ability + 2.5) ** 2) / (2 * 2.2**2) for ability in _GRID]

Cell = tuple[CefrLevel, int]
"""An item's level and the guess class of its answers."""


@dataclass(frozen=True)
class Evidence:
    """The answers of one cell. `weight` and `score` are integers, weighted by day; `count` is plain."""

    count: int = 0
    weight: int = 0
    score: int = 0

    def plus(self, day: date, score: float) -> "Evidence":
        return self._added(day, score, 1)

    def minus(self, day: date, score: float) -> "Evidence":
        """Without an answer that was added before."""
        return self._added(day, score, -1)

    def _added(self, day: date, score: float, sign: int) -> "Evidence":
        weight = sign * weight_of(day)
        return Evidence(
            self.count + sign, self.weight + weight, self.score + weight * round(score * _SCORE_UNIT)
        )


@dataclass(frozen=True)
class Estimate:
    """What the evidence says of one skill.

    `proven` is the highest level that the learner has with a probability of at least 0.8, where there is
    enough evidence. `likely` is the most probable level, None below A1. `chances` gives each level's
    probability, None standing for below A1. `ability` and `sd` are logits; a level is 1.5 wide.
    """

    answers: int
    effective_answers: float
    ability: float
    sd: float
    proven: CefrLevel | None
    likely: CefrLevel | None
    chances: Mapping[CefrLevel | None, float]
    enough: bool


def weight_of(day: date) -> int:
    """The integer weight of an answer on this local day."""
    return round(_UNIT * _decay(day))


def guess_class(options: int) -> int:
    """The class of a choice among this many options; 0 means that none are shown."""
    return 0 if options == 0 else max(2, min(5, options))


def estimate(cells: Mapping[Cell, Evidence], items: Mapping[CefrLevel, int], today: date) -> Estimate:
    """The posterior on this day. `items` counts the different items answered at each level."""
    unit = _UNIT * _decay(today)
    answered = {
        cell: (found.weight / unit, found.score / unit / _SCORE_UNIT) for cell, found in cells.items()
    }
    effective = sum(weight for weight, _ in answered.values())
    chances = _posterior(answered)
    ability = sum(p * at for p, at in zip(chances, _GRID, strict=True))
    sd = math.sqrt(sum(p * (at - ability) ** 2 for p, at in zip(chances, _GRID, strict=True)))
    at_least = {level: _mass_above(chances, cut) for level, cut in CUTS.items()}
    steps = [1.0, *at_least.values(), 0.0]
    by_level = {
        level: above - beyond for level, (above, beyond) in zip((None, *LEVELS), pairwise(steps), strict=True)
    }
    enough = round(effective, 1) >= ENOUGH_ANSWERS
    return Estimate(
        answers=sum(found.count for found in cells.values()),
        effective_answers=effective,
        ability=ability,
        sd=sd,
        proven=_proven(at_least, items) if enough else None,
        likely=max(by_level, key=lambda level: by_level[level]),
        chances=by_level,
        enough=enough,
    )


def _proven(at_least: Mapping[CefrLevel, float], items: Mapping[CefrLevel, int]) -> CefrLevel | None:
    """The highest level that is probable enough and rests on enough items at or above it."""
    at_or_above = dict(zip(reversed(LEVELS), accumulate(items.get(level, 0) for level in reversed(LEVELS)),
                           strict=True))  # fmt: skip
    reached = [level for level in LEVELS if at_least[level] >= PROVEN and at_or_above[level] >= ENOUGH_ITEMS]
    return reached[-1] if reached else None


def _posterior(answered: Mapping[Cell, tuple[float, float]]) -> list[float]:
    logs = list(_LOG_PRIOR)
    for (level, options), (count, right) in answered.items():
        wrong = count - right
        for number, (log_right, log_wrong) in enumerate(_curve(level, options)):
            logs[number] += right * log_right + wrong * log_wrong
    top = max(logs)
    masses = [math.exp(value - top) for value in logs]
    whole = sum(masses)
    return [mass / whole for mass in masses]


def _mass_above(chances: Iterable[float], cut: float) -> float:
    return min(1.0, sum(p for p, at in zip(chances, _GRID, strict=True) if at >= cut))


@cache
def _curve(level: CefrLevel, options: int) -> list[tuple[float, float]]:
    """At each ability of the grid, the logarithms of the chances of a right and of a wrong answer."""
    guessed = 1 / options if options else 0.0
    curve = []
    for ability in _GRID:
        known = 0.98 / (1 + math.exp(-0.9 * (ability - _DIFFICULTY[level])))
        right = guessed + (1 - guessed) * known
        curve.append((math.log(right), math.log(1 - right)))
    return curve


def _decay(day: date) -> float:
    return float(2 ** ((day - _EPOCH).days / HALF_LIFE_DAYS))
