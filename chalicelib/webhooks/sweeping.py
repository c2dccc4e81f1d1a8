"""What a minute finds overdue: deliveries that nobody came for, endpoints to look at, jobs that stand."""

from datetime import datetime

from chalicelib.core.errors import NotFound
from chalicelib.core.logs import log
from chalicelib.webhooks import endpoints, models, recovery, service


def sweep(now: datetime) -> int:
    """Bring on what is overdue. How many deliveries were woken."""
    overdue = list(models.overdue(now))
    woken = service.wake_overdue([item for item in overdue if item.sk.startswith("dlv_")], now)
    for item in overdue:
        if not item.sk.startswith("dlv_"):
            _look(item.pk, item.sk, now)
    return woken


def _look(webhook_id: str, sk: str, now: datetime) -> None:
    """At an endpoint or a job. One that we fail at keeps none of the others waiting."""
    try:
        if sk == "HEALTH":
            endpoints.look(webhook_id, now)
        else:
            recovery.wake(models.recovery_of(webhook_id, sk, now))
    except NotFound:
        return
    except Exception:
        log.exception("webhook.sweep.failed", webhook_id=webhook_id)
