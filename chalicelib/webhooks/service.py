"""Webhooks: who is told of what, where."""

import hashlib
import json
import math
import secrets
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from ulid import ULID

from chalicelib.core import outbound, queues, sealing
from chalicelib.core.clock import instant
from chalicelib.core.errors import Invalid
from chalicelib.core.events import Event, catalogue
from chalicelib.core.ids import moment_of, new_id
from chalicelib.core.settings import settings
from chalicelib.core.store import Transaction
from chalicelib.webhooks import delivery_log, models, rotation, signing
from chalicelib.webhooks.models import DeliveryItem, Place, WebhookItem
from chalicelib.webhooks.rotation import Secret

DELIVERIES_QUEUE = "webhook-deliveries"
ASKED_AFTER = timedelta(minutes=5)
"""How often an unfinished delivery is woken again."""
HEADERS_BYTES = 4096
RESERVED_HEADERS = ("user-agent", "accept", "cookie", "expect")
RESERVED_PREFIXES = ("content-", "x-signature-", "webhook-", "x-talktiko-")


def create(  # noqa: PLR0913 (what a webhook is)
    transaction: Transaction,
    institution_id: str,
    *,
    url: str,
    events: Sequence[str],
    description: str | None,
    headers: Mapping[str, str] | None,
    per_minute: int | None,
    base_url: str,
    now: datetime,
) -> tuple[WebhookItem, str]:
    """A new webhook and its secret, shown this once. Raises `Invalid`; `Conflict` at the commit."""
    check_url(url, base_url)
    webhook_id = new_id("whk", now)
    secret, kept = _new_secret(institution_id, webhook_id)
    item = WebhookItem(
        institution_id,
        webhook_id,
        url=url,
        events=_checked_events(events),
        description=description,
        sealed_secret=kept.sealed,
        secret_hint=kept.hint,
        rate_limit=per_minute,
        status="enabled",
        created_at=instant(now),
        updated_at=instant(now),
    )
    set_headers(item, headers)
    models.add_webhook(transaction, item)
    return item, secret


def update(
    transaction: Transaction,
    institution_id: str,
    webhook_id: str,
    *,
    given: Mapping[str, object],
    base_url: str,
    now: datetime,
) -> WebhookItem:
    """Change what is `given`. Another URL or rate limit begins with a clean record. Raises `NotFound`,
    `Invalid`.
    """
    item = models.webhook_of(institution_id, webhook_id)
    missing = {name: ["must not be null"] for name in ("url", "events") if name in given and not given[name]}
    if missing:
        raise Invalid(missing)
    if "url" in given:
        item.url = str(given["url"])
        check_url(item.url, base_url)
    if "events" in given:
        item.events = _checked_events(given["events"])  # type: ignore[arg-type]
    if "description" in given:
        item.description = given["description"]  # type: ignore[assignment]
    if "headers" in given:
        set_headers(item, given["headers"])  # type: ignore[arg-type]
    if "rate_limit_per_minute" in given:
        item.rate_limit = given["rate_limit_per_minute"]  # type: ignore[assignment]
    if {"url", "rate_limit_per_minute"} & set(given):
        models.reset_health(transaction, item.sk, rate_limit=item.rate_limit)
    _put(transaction, item, now)
    return item


def rotate_secret(
    transaction: Transaction, institution_id: str, webhook_id: str, *, grace: timedelta, now: datetime
) -> tuple[WebhookItem, str]:
    """A new secret, shown this once; those in force stay so for their time. Raises `NotFound`, `Conflict`."""
    item = models.webhook_of(institution_id, webhook_id)
    secret, kept = _new_secret(institution_id, webhook_id)
    models.set_secrets(item, rotation.rotated(models.secrets_of(item), kept, grace, now))
    _put(transaction, item, now)
    return item, secret


def finish_rotation(
    transaction: Transaction, institution_id: str, webhook_id: str, *, now: datetime
) -> tuple[WebhookItem, bool]:
    """From now on the newest secret signs alone; whether that changes anything. Raises `NotFound`."""
    item = models.webhook_of(institution_id, webhook_id)
    changed = bool(item.retiring_secrets)
    if changed:
        models.set_secrets(item, models.secrets_of(item)[-1:])
        _put(transaction, item, now)
    return item, changed


def enable(
    transaction: Transaction, institution_id: str, webhook_id: str, *, now: datetime
) -> tuple[WebhookItem, bool]:
    """Deliver again, also what waits since before; whether that changes anything. Raises `NotFound`."""
    item = models.webhook_of(institution_id, webhook_id)
    changed = item.status != "enabled"
    if changed:
        item.status, item.disabled_reason, item.disabled_at = "enabled", None, None
        models.reset_health(transaction, item.sk, rate_limit=item.rate_limit)
        _put(transaction, item, now)
    return item, changed


def disable(
    transaction: Transaction, institution_id: str, webhook_id: str, *, now: datetime
) -> tuple[WebhookItem, bool]:
    """Deliver nothing; what is missed is recorded as skipped. The first reason stays.

    Also tells whether that changes anything. Raises `NotFound`.
    """
    item = models.webhook_of(institution_id, webhook_id)
    changed = item.status == "enabled"
    if changed:
        item.status, item.disabled_reason, item.disabled_at = "disabled", "requested", instant(now)
        models.reset_health(transaction, item.sk, rate_limit=item.rate_limit)
        _put(transaction, item, now)
    return item, changed


def _put(transaction: Transaction, item: WebhookItem, now: datetime) -> None:
    """Write the webhook, unless it has changed since it was read."""
    read_at = item.updated_at
    item.updated_at = instant(now)
    transaction.put(item, WebhookItem.updated_at == read_at)


def _new_secret(institution_id: str, webhook_id: str) -> tuple[str, Secret]:
    secret = signing.new_secret(secrets.token_bytes(32))
    sealed = sealing.seal(secret, institution_id=institution_id, kind="webhook-secret", record_id=webhook_id)
    return secret, Secret(sealed, signing.hint_of(secret))


def delete(transaction: Transaction, institution_id: str, webhook_id: str) -> None:
    """Deliveries that are not final are cancelled when their next attempt is due. Raises `NotFound`."""
    models.webhook_of(institution_id, webhook_id)
    models.remove_webhook(transaction, institution_id, webhook_id)


def ids_of(institution_id: str) -> list[str]:
    """Of all webhooks, oldest first."""
    return [item.sk for item in models.webhooks_of(institution_id)]


export_page = models.export_page


def fan_out(event: Event, now: datetime) -> None:
    """A delivery for each webhook that asked for this event; for a disabled one it is only recorded.

    Safe to repeat: the delivery's id follows from event and webhook.
    """
    woken = []
    for hook in models.webhooks_of(event.institution_id):
        if not wants(hook.events, event.type):
            continue
        delivery = models.pending(
            webhook_id=hook.sk,
            delivery_id=delivery_id(event.id, hook.sk),
            institution_id=event.institution_id,
            event_id=event.id,
            event_type=event.type,
            trigger="event",
            request_id=event.request_id,
            now=event.created_at,
        )
        if hook.status != "enabled":
            skipped = models.finished(delivery, "skipped", now)
            if models.add_delivery(skipped) or _status_of(skipped) == "skipped":
                delivery_log.closed(skipped, "skipped")
        elif models.add_delivery(delivery) or _status_of(delivery) == "pending":
            woken.append(place_of(delivery))
    wake(woken)


def _status_of(delivery: DeliveryItem) -> str:
    """A repeated fan-out does what the first one may have died before doing."""
    return str(DeliveryItem.get(delivery.pk, delivery.sk, consistent_read=True).status)


def wants(subscriptions: Iterable[str], event_type: str) -> bool:
    """Whether `*`, a group such as `lesson.*` or the exact name stands among the subscriptions."""
    group = event_type.partition(".")[0]
    return any(one in ("*", f"{group}.*", event_type) for one in subscriptions)


def delivery_id(event_id: str, webhook_id: str) -> str:
    """The same for the same event and webhook, and sorted by the event's time."""
    digest = hashlib.sha256(f"{event_id}\n{webhook_id}".encode()).digest()[:10]
    made = ULID.from_datetime(moment_of(event_id)).bytes[:6]
    return f"dlv_{ULID.from_bytes(made + digest)}"


def place_of(delivery: DeliveryItem) -> Place:
    return Place(webhook_id=delivery.pk, delivery_id=delivery.sk, event_type=delivery.event_type)


def wake(places: Sequence[Place], delay: int = 0) -> list[bool]:
    """Ask for attempts after `delay` seconds, in steps of at most 900. For each, whether it was taken.

    A lost message is made good by the sweeper, so that a queue which is away fails nothing.
    """
    return queues.send(DELIVERIES_QUEUE, [queues.Outgoing(one, one.webhook_id, delay) for one in places])


def wake_at(place: Place, moment: datetime, now: datetime) -> None:
    """Ask for an attempt that is not due yet."""
    wake([place], math.ceil((moment - now).total_seconds()))


def wake_overdue(overdue: Sequence[DeliveryItem], now: datetime) -> int:
    """Wake what nobody came for: its message was lost, or whoever had it died. How many.

    Each is looked at again after five minutes, not every minute: where the queue is long, messages are
    late and not lost, and one of them more would not help.
    """
    taken = wake([place_of(item) for item in overdue])
    for item, was_taken in zip(overdue, taken, strict=True):
        if was_taken:
            models.postpone(item, now + ASKED_AFTER)
    return sum(taken)


def headers_of(item: WebhookItem) -> dict[str, str]:
    """The custom headers with their values, for sending only."""
    if item.sealed_headers is None:
        return {}
    opened = sealing.unseal(
        item.sealed_headers, institution_id=item.pk, kind="webhook-headers", record_id=item.sk
    )
    headers: dict[str, str] = json.loads(opened)
    return headers


def secrets_of(item: WebhookItem, now: datetime) -> list[str]:
    """The secrets in force, oldest first, for signing only."""
    return [
        sealing.unseal(one.sealed, institution_id=item.pk, kind="webhook-secret", record_id=item.sk)
        for one in rotation.in_force(models.secrets_of(item), now)
    ]


def check_url(url: str, base_url: str) -> None:
    """Raises `Invalid`. `base_url` is where the request found us."""
    try:
        outbound.check_url(url, allow_loopback=settings().loopback_allowed, own_hosts=own_hosts(base_url))
    except outbound.Refused as refused:
        raise Invalid({"url": [refused.message]}) from None


def own_hosts(base_url: str | None = None) -> list[str]:
    """Our own API is nobody's webhook. A laptop's receivers share its host."""
    if settings().loopback_allowed:
        return []
    urls = {url for url in (settings().public_url, base_url) if url is not None}
    return [url.partition("://")[2].partition("/")[0].partition(":")[0] for url in sorted(urls)]


def _checked_events(events: Sequence[str]) -> list[str]:
    known = list(catalogue())
    unknown = [one for one in events if not any(wants([one], name) for name in known)]
    if unknown:
        raise Invalid({"events": [f"unknown event type: {one}" for one in unknown]})
    return list(dict.fromkeys(events))


def set_headers(item: WebhookItem, headers: Mapping[str, str] | None) -> None:
    if not headers:
        item.header_names, item.sealed_headers = [], None
        return
    text = checked_headers(headers)
    item.header_names = list(headers)
    item.sealed_headers = sealing.seal(
        text, institution_id=item.pk, kind="webhook-headers", record_id=item.sk
    )


def checked_headers(headers: Mapping[str, str]) -> str:
    """The headers as they are sealed. Raises `Invalid`."""
    if len({name.lower() for name in headers}) != len(headers):
        raise Invalid({"headers": ["the same header stands there twice"]})
    for name in headers:
        if name.lower() in RESERVED_HEADERS or name.lower().startswith(RESERVED_PREFIXES):
            raise Invalid({"headers": [f"{name} is set by us"]})
    try:
        outbound.check_headers(headers)
    except outbound.Refused as refused:
        raise Invalid({"headers": [refused.message]}) from None
    text = json.dumps(dict(headers))
    if len(text.encode()) > HEADERS_BYTES:
        raise Invalid({"headers": [f"at most {HEADERS_BYTES} bytes in all"]})
    return text
