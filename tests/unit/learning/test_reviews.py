"""When an item is due: the same for any order of answers, later for better ones."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.core.clock import instant
from chalicelib.learning import reviews
from chalicelib.learning.reviews import Rating

START = datetime(2026, 6, 1, 9, tzinfo=UTC)
answered = st.lists(
    st.tuples(
        st.integers(0, 24 * 120).map(lambda hours: START + timedelta(hours=hours)),
        st.sampled_from(["again", "hard", "good", "easy"]),
    ),
    min_size=1,
    max_size=25,
    unique_by=lambda one: one[0],
)


def kept(answers: list[tuple[datetime, Rating]]) -> dict[str, Any]:
    """As recording does it: a later answer of a day is no review."""
    known: dict[str, Any] = {}
    for at, rating in answers:
        day = at.date().isoformat()
        if day not in known or instant(at) < known[day][0]:
            known = json.loads(json.dumps(reviews.with_review(known, day, instant(at), rating)))
    return known


@given(answered, st.randoms())
def test_any_order_gives_the_same_due_time(answers: list[tuple[datetime, Rating]], random: Any) -> None:
    shuffled = list(answers)
    random.shuffle(shuffled)
    assert kept(answers) == kept(shuffled)
    assert reviews.due_at(kept(answers)) == reviews.due_at(kept(shuffled))


@given(answered)
def test_due_is_after_the_last_answer_and_within_a_year(answers: list[tuple[datetime, Rating]]) -> None:
    known = kept(answers)
    last = datetime.fromisoformat(max(at for at, _ in known.values()))
    assert last < reviews.due_at(known) <= last + reviews.LONGEST


def test_better_answers_come_back_later() -> None:
    ratings: list[Rating] = ["again", "hard", "good", "easy"]
    due = [reviews.due_at(kept([(START, rating)])) for rating in ratings]
    assert due == sorted(due)
    assert due[0] < due[-1]


def test_a_card_remembers_its_latest_days() -> None:
    known = kept([(START + timedelta(days=n), "good") for n in range(100)])
    assert len(known) == reviews.KEPT
    assert max(known) == (START + timedelta(days=99)).date().isoformat()


@pytest.mark.parametrize(
    ("score", "rating"),
    [(0, "again"), (0.59, "again"), (0.6, "hard"), (0.84, "hard"), (0.85, "good"), (1, "good")],
)
def test_scores_become_ratings(score: float, rating: str) -> None:
    assert reviews.rating_of(score) == rating
