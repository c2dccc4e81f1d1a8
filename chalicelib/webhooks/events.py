"""The events that webhooks themselves make."""

from pydantic import Field

from chalicelib.core.events import EventData
from chalicelib.core.types import WebhookId


class WebhookPing(EventData, type="webhook.ping"):
    """A test that someone asked for: the endpoint can be reached and verifies signatures.

    A URL that is tried before there is a webhook is told an id that no webhook has.
    """

    webhook_id: WebhookId


class WebhookDisabled(EventData, type="webhook.disabled"):
    """A webhook was switched off; what it misses is recorded as skipped."""

    webhook_id: WebhookId
    reason: str = Field(max_length=40, examples=["gone"])
