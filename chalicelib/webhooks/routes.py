"""/api/integrations/webhooks*."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from chalice.app import Blueprint

from chalicelib.core import audit, events
from chalicelib.core.audit import Action
from chalicelib.core.clock import rfc3339, shown
from chalicelib.core.errors import Invalid
from chalicelib.core.http import Call, endpoint
from chalicelib.core.outbound import Outcome
from chalicelib.core.paging import Page, PageQuery, of_list
from chalicelib.core.types import DeliveryId, RecoveryId, WebhookId
from chalicelib.webhooks import delivering, flow, models, recovery, rotation, schemas, service, statistics
from chalicelib.webhooks.models import DeliveryItem, RecoveryItem, WebhookItem

api = Blueprint(__name__)


@endpoint(api, "GET", "/api/integrations/webhooks", abilities=["webhooks:read"], query=PageQuery,
          returns=Page[schemas.Webhook])  # fmt: skip
def list_webhooks(call: Call, query: PageQuery) -> Page[schemas.Webhook]:
    """List configured webhooks, oldest first."""
    found = models.webhooks_of(call.caller.institution_id)
    rows = [(item.sk, item) for item in found]
    return call.listing(query).page(of_list(rows), len(rows)).showing(_shown_at(call.now))


@endpoint(api, "POST", "/api/integrations/webhooks", abilities=["webhooks:write"],
          body=schemas.WebhookCreate, returns=schemas.WebhookCreated, status=201,
          idempotent=True, sealed="secret")  # fmt: skip
def create_webhook(call: Call, body: schemas.WebhookCreate) -> schemas.WebhookCreated:
    """Create a webhook with event subscriptions. Its secret is shown once."""
    item, secret = service.create(
        call.transaction,
        call.caller.institution_id,
        url=body.url,
        events=body.events,
        description=body.description,
        headers=body.headers,
        per_minute=body.rate_limit_per_minute,
        base_url=call.base_url,
        now=call.now,
    )
    _note(call, "webhook.created", item.sk, events=list(item.events))
    return schemas.WebhookCreated(secret=secret, **_webhook(item, call.now).model_dump())


@endpoint(api, "POST", "/api/integrations/webhooks/test", abilities=["webhooks:write"],
          body=schemas.UrlTest, returns=schemas.UrlTestResult)  # fmt: skip
def test_url(call: Call, body: schemas.UrlTest) -> schemas.UrlTestResult:
    """Send a test ping to a URL of which there is no webhook yet. At most ten a minute; nothing is kept."""
    outcome = delivering.ping_url(
        call.caller.institution_id,
        body.url,
        body.headers or {},
        body.secret,
        base_url=call.base_url,
        request_id=call.request_id,
        now=call.now,
    )
    return schemas.UrlTestResult(**_outcome(outcome))


@endpoint(api, "GET", "/api/integrations/webhooks/event-types", abilities=["webhooks:read"],
          returns=schemas.EventTypeList)  # fmt: skip
def list_event_types(call: Call) -> schemas.EventTypeList:  # noqa: ARG001 (every view takes the call)
    """List the event types that a webhook can subscribe to, each with schema and example."""
    return schemas.EventTypeList(
        event_types=[
            schemas.EventTypeInfo(
                type=name,
                version=data.event_version,
                description=(data.__doc__ or "").strip(),
                data_schema=data.model_json_schema(),
                example=events.example(data),
            )
            for name, data in events.catalogue().items()
        ]
    )


@endpoint(api, "GET", "/api/integrations/webhooks/{id}", abilities=["webhooks:read"],
          returns=schemas.Webhook)  # fmt: skip
def get_webhook(call: Call, id: WebhookId) -> schemas.Webhook:
    """Get one webhook."""
    return _webhook(models.webhook_of(call.caller.institution_id, id), call.now)


@endpoint(api, "PUT", "/api/integrations/webhooks/{id}", abilities=["webhooks:write"],
          body=schemas.WebhookUpdate, returns=schemas.Webhook)  # fmt: skip
def update_webhook(call: Call, body: schemas.WebhookUpdate, id: WebhookId) -> schemas.Webhook:
    """Update a webhook's URL, events, description, headers or rate limit. What is left out stays."""
    given = {name: getattr(body, name) for name in body.model_fields_set}
    item = service.update(
        call.transaction,
        call.caller.institution_id,
        id,
        given=given,
        base_url=call.base_url,
        now=call.now,
    )
    _note(call, "webhook.updated", id, changed=sorted(given))
    return _webhook(item, call.now)


@endpoint(api, "DELETE", "/api/integrations/webhooks/{id}", abilities=["webhooks:write"], status=204)
def delete_webhook(call: Call, id: WebhookId) -> None:
    """Delete a webhook. Its deliveries that are still waiting are cancelled."""
    service.delete(call.transaction, call.caller.institution_id, id)
    _note(call, "webhook.deleted", id)


@endpoint(api, "POST", "/api/integrations/webhooks/{id}/rotate-secret", abilities=["webhooks:write"],
          body=schemas.Rotation, returns=schemas.WebhookCreated,
          idempotent=True, sealed="secret")  # fmt: skip
def rotate_secret(call: Call, body: schemas.Rotation, id: WebhookId) -> schemas.WebhookCreated:
    """Give a webhook a new secret, shown once. Until the grace is over, the old one signs as well."""
    item, secret = service.rotate_secret(
        call.transaction,
        call.caller.institution_id,
        id,
        grace=timedelta(seconds=body.grace_seconds),
        now=call.now,
    )
    _note(call, "webhook.secret_rotated", id, grace_seconds=body.grace_seconds)
    return schemas.WebhookCreated(secret=secret, **_webhook(item, call.now).model_dump())


@endpoint(api, "POST", "/api/integrations/webhooks/{id}/finish-rotation", abilities=["webhooks:write"],
          returns=schemas.Webhook, idempotent=True)  # fmt: skip
def finish_rotation(call: Call, id: WebhookId) -> schemas.Webhook:
    """End the overlap of secrets: from now on the newest signs alone."""
    item, changed = service.finish_rotation(call.transaction, call.caller.institution_id, id, now=call.now)
    if changed:
        _note(call, "webhook.rotation_finished", id)
    return _webhook(item, call.now)


@endpoint(api, "POST", "/api/integrations/webhooks/{id}/enable", abilities=["webhooks:write"],
          returns=schemas.Webhook, idempotent=True)  # fmt: skip
def enable_webhook(call: Call, id: WebhookId) -> schemas.Webhook:
    """Deliver again. What was missed stays skipped until it is recovered."""
    item, changed = service.enable(call.transaction, call.caller.institution_id, id, now=call.now)
    if changed:
        _note(call, "webhook.enabled", id)
    return _webhook(item, call.now)


@endpoint(api, "POST", "/api/integrations/webhooks/{id}/disable", abilities=["webhooks:write"],
          returns=schemas.Webhook, idempotent=True)  # fmt: skip
def disable_webhook(call: Call, id: WebhookId) -> schemas.Webhook:
    """Deliver nothing for now. What is missed is recorded as skipped and can be recovered."""
    item, changed = service.disable(call.transaction, call.caller.institution_id, id, now=call.now)
    if changed:
        _note(call, "webhook.disabled", id)
    return _webhook(item, call.now)


@endpoint(api, "GET", "/api/integrations/webhooks/{id}/stats", abilities=["webhooks:read"],
          returns=schemas.Stats)  # fmt: skip
def get_stats(call: Call, id: WebhookId) -> schemas.Stats:
    """Tell how a webhook did in the last day and week, and whether its endpoint is sent to at present."""
    hook = models.webhook_of(call.caller.institution_id, id)
    day, week = (schemas.Figures(**vars(one)) for one in statistics.of_webhook(hook.sk, call.now))
    item = models.health_of(hook.sk)
    return schemas.Stats(
        last_24_hours=day,
        last_7_days=week,
        endpoint=_endpoint(flow.Health() if item is None else item.health, call.now),
    )


@endpoint(api, "POST", "/api/integrations/webhooks/{id}/test", abilities=["webhooks:write"],
          returns=schemas.PingResult)  # fmt: skip
def test_webhook(call: Call, id: WebhookId) -> schemas.PingResult:
    """Send a test ping and tell what came back. At most ten a minute; it is not retried."""
    delivery, outcome = delivering.ping(call.caller.institution_id, id, call.request_id, call.now)
    return schemas.PingResult(delivery_id=delivery.sk, event_id=delivery.event_id, **_outcome(outcome))


@endpoint(api, "GET", "/api/integrations/webhooks/{id}/deliveries", abilities=["webhooks:read"],
          query=schemas.DeliveryQuery, returns=Page[schemas.Delivery])  # fmt: skip
def list_deliveries(call: Call, query: schemas.DeliveryQuery, id: WebhookId) -> Page[schemas.Delivery]:
    """View delivery history and status, newest first, for 90 days. Nothing counts them: no total."""
    hook = models.webhook_of(call.caller.institution_id, id)
    between = _between(query, call.now)

    def read(start: str | None, limit: int, *, backwards: bool) -> list[tuple[str, str]]:
        found = models.deliveries_of(
            hook.sk,
            status=query.status,
            event_type=query.event,
            code=query.code,
            between=between,
            start=start,
            limit=limit,
            backwards=backwards,
        )
        return [(delivery_id, delivery_id) for delivery_id in found]

    if query.status == "delivering":
        under_way = models.delivering(hook.sk, query.event, between, call.now)
        page = call.listing(query).page(of_list([(one, one) for one in under_way], descending=True))
    else:
        page = call.listing(query).page(read)
    rows = [_delivery(item) for item in models.whole(hook.sk, page.data)]
    return Page(data=rows, links=page.links, meta=page.meta)


@endpoint(api, "GET", "/api/integrations/webhooks/{id}/deliveries/{delivery}",
          abilities=["webhooks:read"], returns=schemas.DeliveryDetail)  # fmt: skip
def get_delivery(call: Call, id: WebhookId, delivery: DeliveryId) -> schemas.DeliveryDetail:
    """Get one delivery with every attempt."""
    hook = models.webhook_of(call.caller.institution_id, id)
    item = models.delivery_of(hook.sk, delivery, call.now)
    attempts = [
        schemas.Attempt(attempt=int(one.sk), resumed=one.resumed, **one.facts)
        for one in models.attempts_of(item.sk)
    ]
    return schemas.DeliveryDetail(attempts=attempts, **_delivery(item).model_dump())


@endpoint(api, "POST", "/api/integrations/webhooks/{id}/deliveries/{delivery}/resend",
          abilities=["webhooks:write"], returns=schemas.Delivery, status=201, idempotent=True)  # fmt: skip
def resend_delivery(call: Call, id: WebhookId, delivery: DeliveryId) -> schemas.Delivery:
    """Send a delivery again whose state is final: a new delivery of the same event, byte for byte."""
    item = recovery.resend(
        call.transaction,
        call.caller.institution_id,
        id,
        delivery,
        request_id=call.request_id,
        now=call.now,
    )
    _note(call, "webhook.delivery_resent", id, delivery_id=item.sk, resend_of=delivery)
    return _delivery(item)


@endpoint(api, "POST", "/api/integrations/webhooks/{id}/recover", abilities=["webhooks:write"],
          body=schemas.RecoveryRequest, returns=schemas.Recovery, status=202, idempotent=True)  # fmt: skip
def recover_webhook(call: Call, body: schemas.RecoveryRequest, id: WebhookId) -> schemas.Recovery:
    """Send again all deliveries of a time that failed or were skipped, in the background."""
    job = recovery.recover(
        call.transaction,
        call.caller.institution_id,
        id,
        since=body.since,
        until=body.until,
        request_id=call.request_id,
        now=call.now,
    )
    span = {"since": shown(job.since), "until": shown(job.until)}
    _note(call, "webhook.recovery_requested", id, recovery_id=job.sk, **span)
    return _recovery(job)


@endpoint(api, "GET", "/api/integrations/webhooks/{id}/recoveries/{recovery}",
          abilities=["webhooks:read"], returns=schemas.Recovery)  # fmt: skip
def get_recovery(call: Call, id: WebhookId, recovery: RecoveryId) -> schemas.Recovery:
    """Tell how far a recovery has come."""
    hook = models.webhook_of(call.caller.institution_id, id)
    return _recovery(models.recovery_of(hook.sk, recovery, call.now))


def _note(call: Call, action: Action, webhook_id: str, **facts: Any) -> None:
    audit.note(call.transaction, action, call.caller, call.request_id, webhook_id=webhook_id, **facts)


def _between(query: schemas.DeliveryQuery, now: datetime) -> tuple[str, str]:
    """The ids of the time asked for, of 90 days at most.

    Raises `Invalid` where it ends before it begins, and for filters that do not go together.
    """
    if query.from_ and query.to and query.from_ >= query.to:
        raise Invalid({"to": ["must be later than from"]})
    if query.code and (query.status or query.event):
        raise Invalid({"code": ["goes together with from and to only"]})
    kept_since = now - models.KEPT
    begins = kept_since if query.from_ is None else max(query.from_, kept_since)
    return recovery.ids_between(begins, query.to)


def _outcome(outcome: Outcome) -> dict[str, Any]:
    code, took = outcome.status_code, outcome.durations
    return {
        "success": code is not None and 200 <= code < 300,
        "status_code": code,
        "duration_ms": took.total,
        "phases_ms": schemas.Durations(**vars(took)),
        "error_class": delivering.error_class(outcome),
        "error": outcome.error,
        "response_headers": dict(outcome.headers),
        "response_body": outcome.body_text or None,
        "response_bytes": outcome.response_bytes,
        "response_truncated": outcome.truncated,
    }


def _endpoint(health: flow.Health, now: datetime) -> schemas.EndpointState:
    def time(moment: datetime | None) -> str | None:
        return None if moment is None else rfc3339(moment)

    return schemas.EndpointState(
        circuit=flow.circuit(health, now),
        open_until=time(health.open_until),
        held_until=time(health.held_until) if health.held_until and health.held_until > now else None,
        in_flight=sum(lost > now for lost in health.places.values()),
        at_most_in_flight=health.allowed,
        failing_since=time(health.failing_since),
        failures_since=health.failures,
    )


def _recovery(job: RecoveryItem) -> schemas.Recovery:
    return schemas.Recovery(
        id=job.sk,
        webhook_id=job.pk,
        status=job.status,
        since=shown(job.since),
        until=shown(job.until),
        resent=int(job.resent),
        passed_over=int(job.passed_over),
        limit_reached=job.limit_reached,
        created_at=shown(job.created_at),
        finished_at=shown(job.finished_at),
    )


def _shown_at(now: datetime) -> Callable[[WebhookItem], schemas.Webhook]:
    return lambda item: _webhook(item, now)


def _webhook(item: WebhookItem, now: datetime) -> schemas.Webhook:
    return schemas.Webhook(
        id=item.sk,
        url=item.url,
        events=list(item.events),
        description=item.description,
        header_names=list(item.header_names),
        rate_limit_per_minute=None if item.rate_limit is None else int(item.rate_limit),
        status=item.status,
        disabled_reason=item.disabled_reason,
        disabled_at=shown(item.disabled_at),
        secret_hint=item.secret_hint,
        retiring_secrets=[
            schemas.RetiringSecret(hint=one.hint, retires_at=rfc3339(one.retires_at))
            for one in rotation.in_force(models.secrets_of(item), now)
            if one.retires_at is not None
        ],
        created_at=shown(item.created_at),
        updated_at=shown(item.updated_at),
    )


def _delivery(item: DeliveryItem) -> schemas.Delivery:
    return schemas.Delivery(
        id=item.sk,
        webhook_id=item.pk,
        event_id=item.event_id,
        event_type=item.event_type,
        status=item.status,
        failure_reason=item.failure_reason,
        trigger=item.trigger,
        resend_of=item.resend_of,
        resent_as=item.resent_as,
        attempts_made=int(item.attempts_made),
        last_status_code=None if item.last_status_code is None else int(item.last_status_code),
        next_attempt_at=shown(item.due_at) if item.status in ("pending", "retrying") else None,
        created_at=shown(item.created_at),
        finished_at=shown(item.finished_at),
    )
