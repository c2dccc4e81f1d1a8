"""What happens to an event once it is committed."""

from datetime import timedelta

from chalice.app import Blueprint

from chalicelib.core import clock, outbox
from chalicelib.core.logs import log
from chalicelib.core.outbox import EVENTS_QUEUE, EventMessage
from chalicelib.core.settings import settings
from chalicelib.core.workers import schedule, worker
from chalicelib.institutions import service as institutions
from chalicelib.standings import service as standings
from chalicelib.webhooks import service as webhooks

jobs = Blueprint(__name__)


@worker(jobs, queue=EVENTS_QUEUE, message=EventMessage, batch_size=10, threads=10, concurrency=50)
def fan_out(message: EventMessage) -> None:
    """Hand an event to everyone whom it concerns. Safe to repeat: each makes one record of it."""
    event = outbox.event_of(message.institution_id, message.event_id)
    institutions.follow(event)
    webhooks.fan_out(event, clock.now())
    standings.note(event)


@schedule(jobs, "rate(1 minute)")
def sweep_outbox() -> None:
    """Publish the events whose process died between commit and publication."""
    swept = outbox.sweep(clock.now(), timedelta(seconds=settings().outbox_grace_seconds))
    log.info("outbox.swept", events=swept)
