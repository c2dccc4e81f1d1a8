"""Sending again what was not delivered: one delivery by hand, or all of a time by a job in the background.

What is sent again is a new delivery of the same event: the same bytes and `webhook-id`. The old one keeps its
state and names the new one; a job takes nothing that names one already.
"""

import hashlib
from datetime import UTC, datetime, timedelta

from pydantic import BaseModel, ConfigDict
from ulid import ULID

from chalicelib.core import outbox, queues
from chalicelib.core.clock import epoch, instant
from chalicelib.core.errors import Conflict, Invalid, NotFound
from chalicelib.core.ids import moment_of, new_id
from chalicelib.core.logs import log
from chalicelib.core.store import Stale, Transaction
from chalicelib.webhooks import models, service
from chalicelib.webhooks.models import DeliveryItem, RecoveryItem

RECOVERIES_QUEUE = "webhook-recoveries"
FINAL = ("delivered", "failed", "skipped", "cancelled")
RECOVERED = ("failed", "skipped")
REACHES_BACK = timedelta(days=14)
AT_MOST = 10_000
STEP = 50
STEPS_A_RUN = 10
ASKED_AFTER = timedelta(minutes=2)
"""How long a job may take no step until the sweeper wakes it."""
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = datetime(9998, 1, 1, tzinfo=UTC)


class RecoveryMessage(BaseModel):
    """Which job is to go on."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    webhook_id: str
    recovery_id: str


def resend(
    transaction: Transaction,
    institution_id: str,
    webhook_id: str,
    delivery_id: str,
    *,
    request_id: str,
    now: datetime,
) -> DeliveryItem:
    """A new delivery of the same event, due at once.

    Raises `NotFound`; `Conflict` where the delivery is not final, the webhook disabled or the event gone.
    """
    hook = models.webhook_of(institution_id, webhook_id)
    old = models.delivery_of(hook.sk, delivery_id, now)
    if old.status not in FINAL:
        raise Conflict(f"This delivery is {old.status}: it is still being sent by itself.")
    _check_enabled(hook.status)
    try:
        outbox.event_of(institution_id, old.event_id)
    except NotFound:
        raise Conflict("The event of this delivery is older than 90 days and gone.") from None
    new = _again(old, new_id("dlv", now), "manual", request_id, now)
    transaction.put(new)
    transaction.update(
        DeliveryItem(old.pk, old.sk), [DeliveryItem.resent_as.set(new.sk)], DeliveryItem.pk.exists()
    )
    transaction.after(lambda: service.wake([service.place_of(new)]))
    return new


def recover(
    transaction: Transaction,
    institution_id: str,
    webhook_id: str,
    *,
    since: datetime,
    until: datetime | None,
    request_id: str,
    now: datetime,
) -> RecoveryItem:
    """A job that sends again what failed or was skipped. Raises `NotFound`, `Invalid`, `Conflict`."""
    hook = models.webhook_of(institution_id, webhook_id)
    _check_enabled(hook.status)
    ends = now if until is None else until
    if since < now - REACHES_BACK:
        raise Invalid({"since": [f"is more than {REACHES_BACK.days} days ago"]})
    if since >= ends:
        raise Invalid({"until": ["must be later than since"]} if until else {"since": ["is in the future"]})
    job = RecoveryItem(
        hook.sk,
        new_id("rcv", now),
        institution_id=institution_id,
        since=instant(since),
        until=instant(min(ends, now)),
        request_id=request_id,
        created_at=instant(now),
        expires_at=epoch(now + models.KEPT),
    )
    models.set_due(job, now + ASKED_AFTER)
    transaction.put(job)
    transaction.after(lambda: wake(job))
    return job


def _check_enabled(status: str) -> None:
    if status != "enabled":
        raise Conflict("The webhook is disabled; enable it first.")


def wake(job: RecoveryItem) -> None:
    """Ask for the job to go on. A lost message is made good by the sweeper."""
    message = RecoveryMessage(webhook_id=job.pk, recovery_id=job.sk)
    queues.send(RECOVERIES_QUEUE, [queues.Outgoing(message, job.institution_id)])


def run(message: RecoveryMessage, now: datetime) -> None:
    """Some steps of a job, and a message for the rest. Safe to repeat, also by two at once."""
    try:
        job = models.recovery_of(message.webhook_id, message.recovery_id, now)
    except NotFound:
        return
    for _ in range(STEPS_A_RUN):
        if job.status == "completed" or not _step(job, now):
            return
    if job.status != "completed":
        wake(job)


def _step(job: RecoveryItem, now: datetime) -> bool:
    """Send one handful again and note how far it came. False where another worker is at it."""
    status = RECOVERED[int(job.phase)]
    low, high = ids_between(datetime.fromisoformat(job.since), datetime.fromisoformat(job.until))
    asked = min(STEP, AT_MOST - int(job.resent))
    found = models.deliveries_of(job.pk, status=status, between=(low, high), start=job.cursor, limit=asked)
    new = []
    for old in models.whole(job.pk, found):
        made = _resend_once(job, old)
        if made is None:
            job.passed_over += 1
        else:
            job.resent += 1
            new.append(made)
    service.wake([service.place_of(one) for one in new])
    if len(found) == asked:
        job.cursor = found[-1]
    else:
        job.cursor = None
        job.phase += 1
    job.status = "running"
    job.limit_reached = job.resent >= AT_MOST and job.phase < len(RECOVERED)
    if job.limit_reached or job.phase == len(RECOVERED):
        job.status, job.finished_at = "completed", instant(now)
        models.set_due(job, None)
        log.info("webhook.recovery.completed", webhook_id=job.pk, recovery_id=job.sk, resent=int(job.resent))
    else:
        models.set_due(job, now + ASKED_AFTER)
    return models.advance(job)


def _resend_once(job: RecoveryItem, old: DeliveryItem) -> DeliveryItem | None:
    """The new delivery; None for what has one already, or was a test."""
    new_delivery_id = recovered_id(job.sk, old.sk)
    new = _again(old, new_delivery_id, "recovery", job.request_id, moment_of(job.sk))
    if old.trigger == "test" or old.resent_as not in (None, new_delivery_id):
        return None
    if old.resent_as == new_delivery_id:  # an earlier run of this step died before it was noted
        return new
    transaction = Transaction()
    transaction.put(new, DeliveryItem.pk.does_not_exist())
    transaction.update(
        DeliveryItem(old.pk, old.sk),
        [DeliveryItem.resent_as.set(new.sk)],
        DeliveryItem.pk.exists() & DeliveryItem.resent_as.does_not_exist(),
    )
    try:
        transaction.commit()
    except Stale:
        return None
    return new


def recovered_id(recovery_id: str, delivery_id: str) -> str:
    """The same for the same job and delivery, and sorted by the job's time."""
    digest = hashlib.sha256(f"{recovery_id}\n{delivery_id}".encode()).digest()[:10]
    made = ULID.from_datetime(moment_of(recovery_id)).bytes[:6]
    return f"dlv_{ULID.from_bytes(made + digest)}"


def ids_between(begins: datetime | None, ends: datetime | None) -> tuple[str, str]:
    """Bounds of the ids made from `begins` until before `ends`: nothing is older than 1970."""
    low = _first_id(begins) if begins else "dlv_"
    high = _first_id(ends) + "-" if ends else "dlv_~"
    return low, high


def _first_id(moment: datetime) -> str:
    known = min(max(moment, _EARLIEST), _LATEST).astimezone(UTC)
    return f"dlv_{str(ULID.from_datetime(known))[:10]}"


def _again(
    old: DeliveryItem, delivery_id: str, trigger: str, request_id: str | None, now: datetime
) -> DeliveryItem:
    return models.pending(
        webhook_id=old.pk,
        delivery_id=delivery_id,
        institution_id=old.institution_id,
        event_id=old.event_id,
        event_type=old.event_type,
        trigger=trigger,
        request_id=request_id,
        now=now,
        resend_of=old.sk,
    )
