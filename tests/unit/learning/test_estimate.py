"""The CEFR estimate: order-free, honest about guessing, silent without evidence."""

import math
import random
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.catalogue.items import CefrLevel
from chalicelib.learning import estimate
from chalicelib.learning.estimate import CUTS, LEVELS, Cell, Estimate, Evidence

TODAY = date(2026, 11, 25)
MANY = dict.fromkeys(LEVELS, 50)

answers = st.lists(
    st.tuples(
        st.sampled_from(LEVELS),
        st.sampled_from(estimate.GUESS_CLASSES),
        st.integers(0, 400).map(lambda back: TODAY - timedelta(days=back)),
        st.sampled_from([0, 0.25, 0.3333, 0.9, 1]),
    ),
    min_size=1,
    max_size=30,
)
Answers = list[tuple[CefrLevel, int, date, float]]


def cells_of(given_answers: Answers) -> dict[Cell, Evidence]:
    cells: dict[Cell, Evidence] = {}
    for level, guess, day, score in given_answers:
        cells[level, guess] = cells.get((level, guess), Evidence()).plus(day, score)
    return cells


def simulated(ability: float, count: int, options: int, seed: int, day: date = TODAY) -> Estimate:
    """A learner of this ability, given items near it."""
    chance = random.Random(seed)  # noqa: S311
    level = min(LEVELS, key=lambda one: abs(CUTS[one] - 0.85 - ability))
    known = 0.98 / (1 + math.exp(-0.9 * (ability - CUTS[level] + 0.85)))
    right = (1 / options if options else 0) + (1 - (1 / options if options else 0)) * known
    return estimate.estimate(
        cells_of([(level, options, day, float(chance.random() < right)) for _ in range(count)]), MANY, TODAY
    )


@given(answers, st.randoms())
def test_order_changes_nothing_at_all(given_answers: Answers, rng: random.Random) -> None:
    shuffled = list(given_answers)
    rng.shuffle(shuffled)
    assert cells_of(given_answers) == cells_of(shuffled)


@given(answers)
def test_what_is_taken_away_was_never_there(given_answers: Answers) -> None:
    cells = cells_of(given_answers)
    for level, guess, day, score in given_answers:
        cells[level, guess] = cells[level, guess].minus(day, score)
    assert set(cells.values()) == {Evidence()}


@given(answers)
def test_chances_are_a_distribution(given_answers: Answers) -> None:
    found = estimate.estimate(cells_of(given_answers), MANY, TODAY)
    assert math.isclose(sum(found.chances.values()), 1, abs_tol=1e-9)
    assert all(chance >= -1e-12 for chance in found.chances.values())


def test_without_evidence_there_is_no_level() -> None:
    found = estimate.estimate({}, {}, TODAY)
    assert (found.answers, found.enough, found.proven) == (0, False, None)


@pytest.mark.parametrize("seed", range(20))
def test_who_clicks_at_random_has_no_level(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311
    clicks: Answers = [(LEVELS[n % 3], 4, TODAY, float(chance.random() < 0.25)) for n in range(200)]
    found = estimate.estimate(cells_of(clicks), MANY, TODAY)
    assert (found.likely, found.proven) == (None, None)


def test_forty_answers_find_the_level_of_most() -> None:
    """True ability half a level above B1's threshold: B1 is proven or, cautiously, A2; hardly ever B2."""
    found = [simulated(CUTS["B1"] + 0.75, 40, 4, seed) for seed in range(200)]
    assert sum(one.proven in {"A2", "B1"} for one in found) >= 180
    assert sum(one.proven == "B2" for one in found) <= 6
    assert sum(one.likely == "B1" for one in found) >= 120


def test_ten_answers_are_not_enough() -> None:
    assert not simulated(CUTS["A2"], 10, 0, 1).enough


def test_evidence_fades() -> None:
    fresh = simulated(CUTS["A2"] + 0.5, 60, 0, 3)
    old = simulated(CUTS["A2"] + 0.5, 60, 0, 3, TODAY - timedelta(days=45 * 3))
    assert math.isclose(old.effective_answers, fresh.effective_answers / 8, rel_tol=0.01)
    assert old.answers == fresh.answers
    assert not old.enough


def test_few_items_prove_nothing_however_often_they_are_answered() -> None:
    right: Answers = [("B1", 0, TODAY - timedelta(days=n % 30), 1.0) for n in range(60)]
    assert estimate.estimate(cells_of(right), {"B1": 4}, TODAY).proven is None
    assert estimate.estimate(cells_of(right), {"B1": 5}, TODAY).proven is not None
