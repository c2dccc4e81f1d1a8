"""Leaderboards and totals, woken by what learners do."""

from chalice.app import Blueprint

from chalicelib.core import clock
from chalicelib.core.workers import worker
from chalicelib.standings import entering, service
from chalicelib.standings.schemas import StandingMessage

jobs = Blueprint(__name__)


@worker(jobs, queue=service.QUEUE, message=StandingMessage, batch_size=10, threads=10, concurrency=100)
def refresh_standings(message: StandingMessage) -> None:
    """Enter a learner's present scores. Safe to repeat: what is entered already is left alone."""
    entering.refresh(message, clock.now())
