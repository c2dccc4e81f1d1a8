"""Requests for personal data, from their queue and swept by the minute."""

from chalice.app import Blueprint

from chalicelib.core import clock
from chalicelib.core.logs import log
from chalicelib.core.workers import schedule, worker
from chalicelib.personal_data import making, service
from chalicelib.personal_data.models import Place

jobs = Blueprint(__name__)


@worker(jobs, queue=service.QUEUE, message=Place)
def answer_data_request(place: Place) -> None:
    """Make an archive, or erase a person. Safe to repeat."""
    making.fulfil(place)


@schedule(jobs, "rate(5 minutes)")
def sweep_data_requests() -> None:
    """Wake requests whose message was lost, or whose worker failed."""
    swept = service.sweep(clock.now())
    log.info("personal_data.swept", requests=swept)
