"""One attempt: claim it, send it, judge the answer, record it, and say when the next one is due.

The claim is a conditional write with a lease, so that of two workers with the same message one
sends. Whoever dies between sending and recording leaves the lease to run out; the attempt is then
made again under the same number and the same `webhook-id`, and recorded once.
"""

import hashlib
import random
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Literal
from urllib.parse import urlsplit

from chalicelib.core import audit, clock, limits, outbound, outbox
from chalicelib.core.clock import instant, rfc3339
from chalicelib.core.errors import Invalid, NotFound
from chalicelib.core.events import Event, new_event
from chalicelib.core.ids import moment_of, new_id
from chalicelib.core.logs import embedded, log
from chalicelib.core.outbound import Outcome
from chalicelib.core.settings import settings
from chalicelib.core.store import Stale, Transaction
from chalicelib.webhooks import delivery_log, endpoints, flow, models, service, statistics
from chalicelib.webhooks.endpoints import Ticket
from chalicelib.webhooks.events import WebhookDisabled, WebhookPing
from chalicelib.webhooks.flow import Wait
from chalicelib.webhooks.models import DeliveryItem, Place, WebhookItem
from chalicelib.webhooks.signing import SECRET_BYTES, key_of, new_secret, signature_headers

LEASE = flow.PLACE_LASTS
LONGEST_RETRY_AFTER = 3600
JITTER = 0.2
PINGS_PER_MINUTE = 10
CLAIMS_AT_MOST = 5
"""Claims of one attempt that may end without a record of it."""
_NOT_RETRIED = ("blocked_address", "invalid_url", "invalid_header")

Status = Literal["delivered", "retrying", "failed"]


@dataclass(frozen=True)
class Verdict:
    """What an attempt's outcome means for its delivery, and its endpoint.

    In seconds: `retry_in`, where it is retried; `hold_for`, where the endpoint asks to be left alone.
    """

    status: Status
    reason: str | None = None
    retry_in: float | None = None
    hold_for: float | None = None


def judge(outcome: Outcome, attempt: int, schedule: Sequence[int], jitter: float, now: datetime) -> Verdict:
    """`attempt` from 1; `jitter` in [-0.2, 0.2].

    Any 2xx is success, also one whose body broke off: the receiver has said that it took the event.
    A refused address and 410 end the delivery; all else is retried while the schedule lasts.
    `Retry-After` of a 429 or 503 makes the wait longer, by an hour at most (RFC 9110 section 10.2.3), and
    holds the whole endpoint.
    """
    code = outcome.status_code
    if code is not None and 200 <= code < 300:
        return Verdict("delivered")
    if outcome.error_class in _NOT_RETRIED:
        return Verdict("failed", "blocked")
    if code == 410:
        return Verdict("failed", "gone")
    hold = 0.0
    if code in (429, 503):
        hold = min(retry_after(outcome.headers.get("retry-after"), now), LONGEST_RETRY_AFTER)
    if attempt > len(schedule):
        return Verdict("failed", "exhausted", hold_for=hold or None)
    wait = schedule[attempt - 1] * (1 + jitter)
    return Verdict("retrying", retry_in=max(wait, hold), hold_for=hold or None)


def result_of(outcome: Outcome, verdict: Verdict) -> flow.Result | None:
    """What an attempt tells of its endpoint; nothing where the request was not made."""
    if verdict.status == "delivered":
        return "success"
    if verdict.reason == "blocked":
        return None
    return "throttled" if outcome.status_code == 429 else "failure"


def retry_after(header: str | None, now: datetime) -> float:
    """Seconds that the receiver asks us to wait, from delta-seconds or an HTTP date; 0 for nonsense."""
    text = (header or "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return 0
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())


def deliver(place: Place) -> None:
    """Make the attempt that is due, if nobody else does. Safe to repeat."""
    now = clock.now()
    token = f"{place.delivery_id}#{secrets.token_hex(4)}"
    if flow.is_too_late(moment_of(place.delivery_id), now):
        ticket = Ticket(token, None)  # nothing will be sent
    else:
        entered = endpoints.enter(place.webhook_id, token, now)
        if isinstance(entered, Wait):
            return endpoints.turn_away(place, entered, now)
        ticket = entered
    try:
        _take(place, ticket, now)
    except Exception:
        endpoints.leave(ticket, None, now)
        raise
    endpoints.leave(ticket, None, now)
    return endpoints.let_go(ticket, now)


def _take(place: Place, ticket: Ticket, now: datetime) -> None:
    """Claim the attempt and make it. A fault of ours gives the claim back, so that the message that comes
    again finds it; a delivery that keeps failing so ends as `internal`, instead of coming back for ever.
    """
    claimed = models.claim(place, secrets.token_hex(8), now, LEASE)
    if isinstance(claimed, datetime):
        return service.wake_at(place, claimed, now)
    if claimed is None:
        return None
    if (claimed.claims or 1) > CLAIMS_AT_MOST:
        return _close(claimed, "failed", now, "internal")
    try:
        _attempt(claimed, ticket)
    except Exception:
        models.release(claimed, clock.now())
        raise
    return None


def ping(
    institution_id: str, webhook_id: str, request_id: str, now: datetime
) -> tuple[DeliveryItem, Outcome]:
    """Send a test event at once, by the way that every delivery goes; it is not retried.

    Raises `NotFound`, `RateLimited` over ten a minute.
    """
    hook = models.webhook_of(institution_id, webhook_id)
    limits.take(f"ping#{webhook_id}", limit=PINGS_PER_MINUTE, window_seconds=60, now=now)
    event = new_event(
        WebhookPing(webhook_id=webhook_id), institution_id=institution_id, now=now, request_id=request_id
    )
    delivery = models.claimed(_test_of(webhook_id, event, now), secrets.token_hex(8), now + LEASE)
    transaction = Transaction()
    outbox.keep(transaction, event)
    transaction.put(delivery)
    transaction.commit()
    return delivery, _send(delivery, hook, event, (), None)


def ping_url(
    institution_id: str,
    url: str,
    headers: Mapping[str, str],
    secret: str | None,
    *,
    base_url: str,
    request_id: str,
    now: datetime,
) -> Outcome:
    """Send a test event to a URL of which no webhook exists; nothing is kept but the log's line.

    Raises `Invalid`, `RateLimited` over ten a minute and institution.
    """
    service.checked_headers(headers)
    signing = secret or new_secret(secrets.token_bytes(SECRET_BYTES))
    key_of(signing)
    limits.take(f"ping#{institution_id}", limit=PINGS_PER_MINUTE, window_seconds=60, now=now)
    event = new_event(
        WebhookPing(webhook_id=new_id("whk", now)),
        institution_id=institution_id,
        now=now,
        request_id=request_id,
    )
    delivery = _test_of("", event, now)
    outcome = _post(url, delivery, event, 1, headers, [signing], base_url=base_url)
    if outcome.error_class == "invalid_url":
        raise Invalid({"url": [outcome.error or "is not a URL"]})
    _log(delivery, url, event, now, outcome, judge(outcome, 1, (), 0, now), None)
    return outcome


def _test_of(webhook_id: str, event: Event, now: datetime) -> DeliveryItem:
    return models.pending(
        webhook_id=webhook_id,
        delivery_id=new_id("dlv", now),
        institution_id=event.institution_id,
        event_id=event.id,
        event_type=event.type,
        trigger="test",
        request_id=event.request_id,
        now=now,
    )


def _attempt(delivery: DeliveryItem, ticket: Ticket) -> None:
    """Send what was claimed, unless there is nothing or nobody to send it to, or it is too late."""
    now = clock.now()
    try:
        hook = models.webhook_of(delivery.institution_id, delivery.pk)
    except NotFound:
        return _close(delivery, "cancelled", now)
    if hook.status != "enabled" and delivery.trigger != "test":
        return _close(delivery, "skipped", now)
    try:
        event = outbox.event_of(delivery.institution_id, delivery.event_id)
    except NotFound:
        return _close(delivery, "failed", now, "expired")
    if flow.is_too_late(moment_of(delivery.sk), now):
        return _close(delivery, "failed", now, "expired")
    _send(
        delivery, hook, event, () if delivery.trigger == "test" else settings().webhook_retry_schedule, ticket
    )
    return None


def _close(delivery: DeliveryItem, status: str, now: datetime, reason: str | None = None) -> None:
    """End a delivery without an attempt."""
    transaction = Transaction()
    models.finish(transaction, delivery, status=status, now=now, reason=reason)
    transaction.after(lambda: delivery_log.closed(delivery, status, reason))
    _commit(transaction, delivery)


def _send(
    delivery: DeliveryItem, hook: WebhookItem, event: Event, schedule: Sequence[int], ticket: Ticket | None
) -> Outcome:
    """One request, one record, one log line."""
    number = int(delivery.attempts_made) + 1
    sent_at = clock.now()
    outcome = _post(
        hook.url, delivery, event, number, service.headers_of(hook), service.secrets_of(hook, sent_at)
    )
    now = clock.now()
    verdict = judge(outcome, number, schedule, random.uniform(-JITTER, JITTER), now)  # noqa: S311
    next_at = None if verdict.retry_in is None else now + timedelta(seconds=verdict.retry_in)
    _log(delivery, hook.url, event, sent_at, outcome, verdict, next_at)
    why_disabled = _judge_endpoint(delivery, outcome, verdict, ticket, now)
    recorded = models.attempt(
        delivery,
        number,
        _facts(hook, event, outcome, verdict, sent_at, next_at),
        resumed=(delivery.claims or 1) > 1,
    )

    def record(disabled_for: str | None) -> None:
        transaction = Transaction()
        models.finish(
            transaction,
            delivery,
            status=verdict.status,
            now=now,
            attempt=recorded,
            status_code=outcome.status_code,
            reason=verdict.reason,
            next_attempt_at=next_at,
        )
        if disabled_for is not None:
            _disable(transaction, hook, disabled_for, now)
        if next_at is not None:
            transaction.after(lambda: service.wake_at(service.place_of(delivery), next_at, now))
        if delivery.trigger != "test":
            transaction.after(
                lambda: statistics.count(
                    hook.sk, failure_class(outcome, verdict), outcome.durations.total, now
                )
            )
        _commit(transaction, delivery)

    try:
        record(why_disabled)
    except _NotEnabled:
        record(None)
    return outcome


def _post(
    url: str,
    delivery: DeliveryItem,
    event: Event,
    number: int,
    headers: Mapping[str, str],
    signing: Sequence[str],
    *,
    base_url: str | None = None,
) -> Outcome:
    ours = {
        "Content-Type": "application/json",
        "User-Agent": "Talktiko-Webhooks/1",
        "X-Talktiko-Event": event.type,
        "X-Talktiko-Delivery": delivery.sk,
        "X-Talktiko-Attempt": str(number),
        **signature_headers(event.body, message_id=event.id, sent_at=clock.now(), secrets=signing),
    }
    return outbound.post(
        url,
        event.body,
        {**headers, **ours},
        allow_loopback=settings().loopback_allowed,
        own_hosts=service.own_hosts(base_url),
    )


def _judge_endpoint(
    delivery: DeliveryItem, outcome: Outcome, verdict: Verdict, ticket: Ticket | None, now: datetime
) -> str | None:
    """Note what the attempt tells of its endpoint; why that is to be switched off, if it is."""
    if ticket is None or delivery.trigger == "test":
        return None
    held_until = None if verdict.hold_for is None else now + timedelta(seconds=verdict.hold_for)
    health = endpoints.leave(ticket, result_of(outcome, verdict), now, held_until)
    if verdict.reason == "gone":
        return "gone"
    return "failing" if health is not None and flow.is_failing(health, now) else None


class _NotEnabled(Exception):
    """The webhook was disabled, deleted or given another URL meanwhile: there is nothing to switch off."""


def _commit(transaction: Transaction, delivery: DeliveryItem) -> None:
    try:
        transaction.commit()
    except Stale:  # the lease ran out and somebody else took over: theirs is the record
        log.warning("webhook.delivery.lease_lost", webhook_id=delivery.pk, delivery_id=delivery.sk)


def _disable(transaction: Transaction, hook: WebhookItem, reason: str, now: datetime) -> None:
    """Switch a webhook off in the attempt's own transaction, and tell the institution's others."""
    transaction.update(
        WebhookItem(hook.pk, hook.sk),
        [
            WebhookItem.status.set("disabled"),
            WebhookItem.disabled_reason.set(reason),
            WebhookItem.disabled_at.set(instant(now)),
            WebhookItem.updated_at.set(instant(now)),
        ],
        (WebhookItem.status == "enabled") & (WebhookItem.url == hook.url),
        _NotEnabled(),
    )
    models.reset_health(transaction, hook.sk, rate_limit=hook.rate_limit)
    audit.note_by_itself(transaction, "webhook.disabled", hook.pk, None, webhook_id=hook.sk, reason=reason)
    data = WebhookDisabled(webhook_id=hook.sk, reason=reason)
    outbox.add(transaction, new_event(data, institution_id=hook.pk, now=now))


def _facts(
    hook: WebhookItem,
    event: Event,
    outcome: Outcome,
    verdict: Verdict,
    sent_at: datetime,
    next_at: datetime | None,
) -> dict[str, Any]:
    """An attempt as the API shows it."""
    took = outcome.durations
    return {
        "sent_at": rfc3339(sent_at),
        "outcome": "delivered" if verdict.status == "delivered" else "failed",
        "status_code": outcome.status_code,
        "error_class": error_class(outcome, verdict),
        "error": outcome.error,
        "host": urlsplit(hook.url).netloc,
        "duration_ms": {
            "total": took.total, "dns": took.dns, "connect": took.connect,
            "tls": took.tls, "first_byte": took.first_byte,
        },
        "request_bytes": outcome.request_bytes,
        "response_bytes": outcome.response_bytes,
        "response_body": outcome.body_text or None,
        "body_sha256": hashlib.sha256(event.body).hexdigest(),
        "next_attempt_at": None if next_at is None else rfc3339(next_at),
    }  # fmt: skip


def error_class(outcome: Outcome, verdict: Verdict | None = None) -> str | None:
    """Why it failed, as a class; `http_status` where an answer came that is no 2xx."""
    if verdict is not None and verdict.status == "delivered":
        return None
    if outcome.error_class is not None:
        return outcome.error_class
    return None if outcome.accepted else "http_status"


def failure_class(outcome: Outcome, verdict: Verdict) -> str | None:
    """As statistics count it: `http_5xx` where an answer came that is no 2xx."""
    found = error_class(outcome, verdict)
    return f"http_{(outcome.status_code or 0) // 100}xx" if found == "http_status" else found


def _log(
    delivery: DeliveryItem,
    address: str,
    event: Event,
    sent_at: datetime,
    outcome: Outcome,
    verdict: Verdict,
    next_at: datetime | None,
) -> None:
    """The auditor's line: what was sent to whom, when, with which result; and the metrics, but of tests."""
    url = urlsplit(address)
    took = outcome.durations
    write = {"delivered": log.info, "retrying": log.warning, "failed": log.error}[verdict.status]
    counted: dict[str, Any] = {
        "attempts": 1,
        "delivered": int(verdict.status == "delivered"),
        "exhausted": int(verdict.reason == "exhausted"),
        "_aws": embedded(delivery_log.METRICS),
    }
    write(
        delivery_log.ATTEMPT,
        stage=settings().stage,
        institution_id=delivery.institution_id,
        webhook_id=delivery.pk or None,
        delivery_id=delivery.sk,
        event_id=event.id,
        event_type=event.type,
        sent_at=rfc3339(sent_at),
        attempt=int(delivery.attempts_made) + 1,
        trigger=delivery.trigger,
        resend_of=delivery.resend_of,
        resumed=(delivery.claims or 1) > 1,
        url_scheme=url.scheme,
        url_host=url.hostname,
        url_port=url.port,
        url_path_sha256=hashlib.sha256(url.path.encode()).hexdigest()[:16],
        resolved_address=outcome.resolved_address,
        refused_address=outcome.refused_address,
        tls_version=outcome.tls_version,
        status_code=outcome.status_code,
        outcome=verdict.status,
        failure_reason=verdict.reason,
        error_class=error_class(outcome, verdict),
        duration_ms=took.total,
        dns_ms=took.dns,
        connect_ms=took.connect,
        tls_ms=took.tls,
        first_byte_ms=took.first_byte,
        request_bytes=outcome.request_bytes,
        response_bytes=outcome.response_bytes,
        next_attempt_at=None if next_at is None else rfc3339(next_at),
        request_id=delivery.request_id,
        body_sha256=hashlib.sha256(event.body).hexdigest(),
        **({} if delivery.trigger == "test" else counted),
    )
