"""/api/integrations/webhooks*."""

from datetime import UTC, datetime

from chalice.app import Blueprint
from ulid import ULID

from chalicelib.core import events
from chalicelib.core.clock import shown
from chalicelib.core.errors import Invalid
from chalicelib.core.http import Call, endpoint
from chalicelib.core.paging import Page, PageQuery, of_list
from chalicelib.core.types import DeliveryId, WebhookId
from chalicelib.webhooks import delivering, models, schemas, service
from chalicelib.webhooks.models import DeliveryItem, WebhookItem

api = Blueprint(__name__)

_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = datetime(9998, 1, 1, tzinfo=UTC)


@endpoint(api, "GET", "/api/integrations/webhooks", abilities=["webhooks:read"], query=PageQuery,
          returns=Page[schemas.Webhook])  # fmt: skip
def list_webhooks(call: Call, query: PageQuery) -> Page[schemas.Webhook]:
    """List configured webhooks, oldest first."""
    found = models.webhooks_of(call.caller.institution_id)
    rows = [(item.sk, item) for item in found]
    return call.listing(query).page(of_list(rows), len(rows)).showing(_webhook)


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
        now=call.now,
    )
    return schemas.WebhookCreated(secret=secret, **_webhook(item).model_dump())


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
    return _webhook(models.webhook_of(call.caller.institution_id, id))


@endpoint(api, "PUT", "/api/integrations/webhooks/{id}", abilities=["webhooks:write"],
          body=schemas.WebhookUpdate, returns=schemas.Webhook)  # fmt: skip
def update_webhook(call: Call, body: schemas.WebhookUpdate, id: WebhookId) -> schemas.Webhook:
    """Update a webhook's URL, events, description or headers. What is left out stays."""
    given = {name: getattr(body, name) for name in body.model_fields_set}
    return _webhook(
        service.update(call.transaction, call.caller.institution_id, id, given=given, now=call.now)
    )


@endpoint(api, "DELETE", "/api/integrations/webhooks/{id}", abilities=["webhooks:write"], status=204)
def delete_webhook(call: Call, id: WebhookId) -> None:
    """Delete a webhook. Its deliveries that are still waiting are cancelled."""
    service.delete(call.transaction, call.caller.institution_id, id)


@endpoint(api, "POST", "/api/integrations/webhooks/{id}/test", abilities=["webhooks:write"],
          returns=schemas.PingResult)  # fmt: skip
def test_webhook(call: Call, id: WebhookId) -> schemas.PingResult:
    """Send a test ping and tell what came back. At most ten a minute; it is not retried."""
    delivery, outcome = delivering.ping(call.caller.institution_id, id, call.request_id, call.now)
    code = outcome.status_code
    return schemas.PingResult(
        success=code is not None and 200 <= code < 300,
        delivery_id=delivery.sk,
        event_id=delivery.event_id,
        status_code=code,
        duration_ms=outcome.durations.total,
        error_class=delivering.error_class(outcome),
        error=outcome.error,
        response_body=outcome.body_text or None,
    )


@endpoint(api, "GET", "/api/integrations/webhooks/{id}/deliveries", abilities=["webhooks:read"],
          query=schemas.DeliveryQuery, returns=Page[schemas.Delivery])  # fmt: skip
def list_deliveries(call: Call, query: schemas.DeliveryQuery, id: WebhookId) -> Page[schemas.Delivery]:
    """View delivery history and status, newest first, for 90 days. Nothing counts them: no total."""
    hook = models.webhook_of(call.caller.institution_id, id)
    between = _between(query)

    def read(start: str | None, limit: int, *, backwards: bool) -> list[tuple[str, DeliveryItem]]:
        found = models.deliveries_of(
            hook.sk,
            status=query.status,
            event_type=query.event,
            between=between,
            start=start,
            limit=limit,
            backwards=backwards,
        )
        return [(item.sk, item) for item in found]

    return call.listing(query).page(read).showing(_delivery)


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


def _between(query: schemas.DeliveryQuery) -> tuple[str, str]:
    """The ids of the time asked for. Raises `Invalid` where it ends before it begins."""
    if query.from_ and query.to and query.from_ >= query.to:
        raise Invalid({"to": ["must be later than from"]})
    low = _first_id(query.from_) if query.from_ else "dlv_"
    high = _first_id(query.to) + "-" if query.to else "dlv_~"
    return low, high


def _first_id(moment: datetime) -> str:
    """Below every delivery id made at that moment or later. Nothing was made before 1970 or after 9998."""
    known = min(max(moment, _EARLIEST), _LATEST).astimezone(UTC)
    return f"dlv_{str(ULID.from_datetime(known))[:10]}"


def _webhook(item: WebhookItem) -> schemas.Webhook:
    return schemas.Webhook(
        id=item.sk,
        url=item.url,
        events=list(item.events),
        description=item.description,
        header_names=list(item.header_names),
        status=item.status,
        disabled_reason=item.disabled_reason,
        disabled_at=shown(item.disabled_at),
        secret_hint=item.secret_hint,
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
        attempts_made=int(item.attempts_made),
        last_status_code=None if item.last_status_code is None else int(item.last_status_code),
        next_attempt_at=shown(item.due_at) if item.status in ("pending", "retrying") else None,
        created_at=shown(item.created_at),
        finished_at=shown(item.finished_at),
    )
