"""Who must hear of an event: the worker that enters what a learner has reached.

Apart from `entering`, so that whoever only passes events on does not load what reads learning.
"""

from chalicelib.core import queues
from chalicelib.core.events import Event
from chalicelib.core.settings import settings
from chalicelib.standings.schemas import StandingMessage

QUEUE = "standings"
_COUNTING = {"exercise.answered", "lesson.completed"}


def note(event: Event) -> None:
    """Wake the worker for the learner that an event is about, if it can change a standing."""
    if event.type not in _COUNTING:
        return
    data = event.data()
    day = data.get("local_date") or event.created_at.date().isoformat()
    message = StandingMessage(institution_id=event.institution_id, learner_id=data["learner_id"], day=day)
    (taken,) = queues.send(
        QUEUE, [queues.Outgoing(message, message.learner_id, settings().standings_delay_seconds)]
    )
    if not taken:
        raise ConnectionError("the queue of standings did not take the message")  # the event comes again
