"""Events as an integrator's server receives them."""

from typing import Any

from chalicelib.core.events import Envelope, EventData
from chalicelib.core.http import JSON
from chalicelib.core.openapi.groups import WEBHOOKS
from chalicelib.core.openapi.schemas import Schemas, plain_schema
from chalicelib.core.openapi.telling import told

_HEADERS = {
    "X-Signature-256": "HMAC-SHA256 of the exact body bytes under the webhook's secret, in lower-case hex.",
    "X-Talktiko-Event": "The type of the event.",
    "X-Talktiko-Delivery": "The id of the delivery.",
    "X-Talktiko-Attempt": "Which attempt this is, from 1.",
    "webhook-id": "The id of the event, the same in every attempt: by it a repeat is known.",
    "webhook-timestamp": "When this attempt was sent, in seconds since 1970.",
    "webhook-signature": "The signatures of the Standard Webhooks scheme.",
}


def webhook(event: type[EventData], schemas: Schemas) -> dict[str, Any]:
    """The request that tells one event. `security` is empty: what protects it are the signatures."""
    summary, description = told(event)
    schema = _enveloped(event, schemas)
    return {
        "operationId": "on_" + event.event_type.replace(".", "_"),
        "tags": [WEBHOOKS],
        "summary": event.event_type,
        "description": f"{summary}.\n\n{description}".strip(),
        "security": [],
        "parameters": [_header(name, meaning) for name, meaning in _HEADERS.items()],
        "requestBody": {"required": True, "content": {JSON: {"schema": schema, **schemas.example(schema)}}},
        "responses": {
            "2XX": {"description": "Received. After any other answer it is sent again, up to 3 times."},
            "410": {"description": "Gone: the webhook is switched off."},
        },
    }


def _enveloped(event: type[EventData], schemas: Schemas) -> dict[str, Any]:
    """What `core.events.new_event` freezes."""
    members = {
        **plain_schema(Envelope)["properties"],
        "type": {"type": "string", "const": event.event_type},
        "version": {"const": event.event_version},
        "data": schemas.shown(event),
    }
    return {"type": "object", "required": [*members], "properties": members}


def _header(name: str, meaning: str) -> dict[str, Any]:
    schema = {"type": "string", "maxLength": 1000}
    return {"name": name, "in": "header", "required": True, "description": meaning, "schema": schema}
