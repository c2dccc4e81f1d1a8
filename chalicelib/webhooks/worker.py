"""Deliveries and recoveries, woken by their queues and by the minute."""

from chalice.app import Blueprint

from chalicelib.core import clock
from chalicelib.core.logs import log
from chalicelib.core.workers import schedule, worker
from chalicelib.webhooks import delivering, recovery, service, sweeping
from chalicelib.webhooks.models import Place

jobs = Blueprint(__name__)


@worker(jobs, queue=service.DELIVERIES_QUEUE, message=Place, batch_size=10, threads=10, concurrency=100)
def deliver(place: Place) -> None:
    """Send one attempt. Safe to repeat: the claim is conditional."""
    delivering.deliver(place)


@worker(jobs, queue=recovery.RECOVERIES_QUEUE, message=recovery.RecoveryMessage, concurrency=10)
def recover(message: recovery.RecoveryMessage) -> None:
    """Send again what was not delivered, some at a time. Safe to repeat: each is sent again once."""
    recovery.run(message, clock.now())


@schedule(jobs, "rate(1 minute)")
def sweep_deliveries() -> None:
    """Wake what was forgotten, and let go what is parked."""
    swept = sweeping.sweep(clock.now())
    log.info("webhook.deliveries.swept", deliveries=swept)
