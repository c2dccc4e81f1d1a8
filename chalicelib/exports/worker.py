"""Exports, made from their queue and swept by the minute."""

from chalice.app import Blueprint

from chalicelib.core import clock
from chalicelib.core.logs import log
from chalicelib.core.workers import schedule, worker
from chalicelib.exports import making, service
from chalicelib.exports.models import Place

jobs = Blueprint(__name__)


@worker(jobs, queue=service.EXPORTS_QUEUE, message=Place)
def make_export(place: Place) -> None:
    """Make one file. Safe to repeat: the claim is conditional."""
    making.make(place)


@schedule(jobs, "rate(1 minute)")
def sweep_exports() -> None:
    """Wake jobs whose message was lost, or whose worker died."""
    swept = service.sweep(clock.now())
    log.info("exports.swept", exports=swept)
