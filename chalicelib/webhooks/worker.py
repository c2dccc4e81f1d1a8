"""Deliveries, woken by their queue and by the minute."""

from chalice.app import Blueprint

from chalicelib.core import clock
from chalicelib.core.logs import log
from chalicelib.core.workers import schedule, worker
from chalicelib.webhooks import delivering, service
from chalicelib.webhooks.models import Place

jobs = Blueprint(__name__)


@worker(jobs, queue=service.DELIVERIES_QUEUE, message=Place, batch_size=10, threads=10, concurrency=100)
def deliver(place: Place) -> None:
    """Send one attempt. Safe to repeat: the claim is conditional."""
    delivering.deliver(place)


@schedule(jobs, "rate(1 minute)")
def sweep_deliveries() -> None:
    """Wake deliveries whose message was lost, or whose worker died."""
    swept = service.sweep(clock.now())
    log.info("webhook.deliveries.swept", deliveries=swept)
