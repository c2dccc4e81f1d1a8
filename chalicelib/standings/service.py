"""Who must hear of an event: the worker that enters what a learner has reached.

Apart from `entering`, so that whoever only passes events on does not load what reads learning.
"""

from chalicelib.core import queues
from chalicelib.core.events import Event
from chalicelib.core.settings import settings
from chalicelib.core.types import Held
from chalicelib.standings.schemas import StandingMessage

QUEUE = "standings"
_COUNTING = {"exercise.answered", "lesson.completed"}


def note(event: Event) -> None:
    """Wake the worker for the learner that an event is about, if it can change a standing."""
    if event.type not in _COUNTING:
        return
    data = event.data()
    day = data.get("local_date") or event.created_at.date().isoformat()
    message = StandingMessage(
        institution_id=event.institution_id,
        learner_id=data["learner_id"],
        day=day,
        attempt_id=data.get("attempt_id"),
    )
    wake(message, settings().standings_delay_seconds)


def wake(message: StandingMessage, delay: int = 0) -> None:
    """Have the learner entered by the worker."""
    (taken,) = queues.send(QUEUE, [queues.Outgoing(message, message.learner_id, delay)])
    if not taken:
        raise ConnectionError("the queue of standings did not take the message")  # what led here comes again


def personal_data(learner_id: str) -> Held:
    """The boards that a learner is on, and whether it wants to be."""
    from chalicelib.standings import models

    boards = [
        {"board": place.board, "xp": int(place.score)}
        for place in models.all_places_of(learner_id)
        if place.score is not None
    ]
    yield "leaderboards", boards
    setting = models.setting_of(learner_id)
    yield "leaderboard-settings", [{"leaderboards": setting.leaderboards, "since": setting.since}]


def erase(institution_id: str, learner_id: str) -> None:
    """Take a learner off every leaderboard, for good; the platform's totals stay. Safe to repeat.

    Comes after its learning is erased: then nothing is entered any more.
    """
    from chalicelib.standings import entering, models

    entering.hide_from_boards(institution_id, learner_id)
    models.forget(learner_id)
