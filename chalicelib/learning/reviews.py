"""When an item should be answered again: FSRS over the learner's earliest answer to it of each day.

FSRS depends on the order of reviews, answers arrive in any. So the reviews are kept with the card, one per
local day, and the card is worked out anew from them in their order.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal, cast

from chalicelib.core.aws import once

if TYPE_CHECKING:
    from fsrs import Scheduler

Rating = Literal["again", "hard", "good", "easy"]
Reviews = Mapping[str, tuple[str, Rating]]
"""Local date: when it was answered, and how."""

KEPT = 60
"""Days of reviews that a card remembers; older ones have no say in the next interval worth its bytes."""
LONGEST = timedelta(days=365)


def rating_of(score: float) -> Rating:
    """How well a graded answer was recalled; `easy` is only for learners to say of themselves."""
    if score < 0.6:
        return "again"
    return "hard" if score < 0.85 else "good"


def with_review(reviews: Reviews, day: str, at: str, rating: Rating) -> dict[str, tuple[str, Rating]]:
    """The reviews with this one, the earliest of its day so far; the latest days are kept."""
    days = sorted({*reviews, day})[-KEPT:]
    return {one: (at, rating) if one == day else reviews[one] for one in days}


def due_at(reviews: Reviews) -> datetime:
    """When the item is due next, by the reviews from first to last."""
    from fsrs import Card, Rating

    card = Card(card_id=0, due=datetime.min.replace(tzinfo=UTC))
    for _, (at, rating) in sorted(reviews.items()):
        moment = datetime.fromisoformat(at).astimezone(UTC)
        card, _ = _scheduler().review_card(card, Rating[cast("str", rating).capitalize()], moment)
    return card.due


@once
def _scheduler() -> "Scheduler":
    """Without fuzzing, whose random days a rebuild could not repeat; without steps of minutes, as a day
    counts once.
    """
    from fsrs import Scheduler

    return Scheduler(
        enable_fuzzing=False, learning_steps=(), relearning_steps=(), maximum_interval=LONGEST.days
    )
