"""What webhooks and their deliveries look like on the wire."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from chalicelib.core.paging import PageQuery
from chalicelib.core.types import Body, EventType, Id, Instant, Time

Url = Annotated[
    str,
    Field(
        min_length=8,
        max_length=2048,
        description="https, to a public host. It is looked up and checked again at every attempt.",
        examples=["https://hooks.example.org/talktiko"],
    ),
]
Subscription = Annotated[
    str,
    Field(
        max_length=60,
        pattern=r"^(\*|[a-z_]+\.\*|[a-z_]+(\.[a-z_]+)+)$",
        description="An event type, a group such as `lesson.*`, or `*` for all.",
        examples=["lesson.completed"],
    ),
]
Description = Annotated[str, Field(max_length=200, examples=["Progress into the school's LMS"])]
CustomHeaders = Annotated[
    dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=2000)]],
    Field(
        max_length=10,
        description="Sent with every attempt. Values are stored sealed and never shown again.",
        examples=[{"Authorization": "Bearer of-your-gateway"}],
    ),
]
DeliveryStatus = Literal[
    "pending", "delivering", "delivered", "retrying", "parked", "failed", "skipped", "cancelled"
]
FailureReason = Literal["exhausted", "gone", "blocked", "internal", "expired"]


class WebhookCreate(Body):
    url: Url
    events: list[Subscription] = Field(min_length=1, max_length=50, examples=[["lesson.completed"]])
    description: Description | None = None
    headers: CustomHeaders | None = None


class WebhookUpdate(Body):
    """What is left out stays as it is; null clears a description or the headers."""

    url: Url | None = None
    events: list[Subscription] | None = Field(None, min_length=1, max_length=50)
    description: Description | None = None
    headers: CustomHeaders | None = None


class Webhook(BaseModel):
    id: Id
    url: Url
    events: list[str] = Field(max_length=50)
    description: str | None = Field(max_length=200)
    header_names: list[str] = Field(max_length=10, description="Names of the custom headers.")
    status: Literal["enabled", "disabled"]
    disabled_reason: str | None = Field(max_length=40)
    disabled_at: Time | None
    secret_hint: str = Field(max_length=12, description="The last characters of the secret.")
    created_at: Time
    updated_at: Time


class WebhookCreated(Webhook):
    secret: str = Field(max_length=100, description="Shown this once; verify signatures with it.")


class PingResult(BaseModel):
    """What the endpoint made of the test ping. A ping that fails is answered with 200 too."""

    success: bool
    delivery_id: Id
    event_id: Id
    status_code: int | None
    duration_ms: int
    error_class: str | None = Field(max_length=30)
    error: str | None = Field(max_length=600)
    response_body: str | None = Field(max_length=20_000, description="At most 4 KiB of the answer.")


class DeliveryQuery(PageQuery):
    status: DeliveryStatus | None = None
    event: EventType | None = Field(None, description="Deliveries of this event type.")
    from_: Instant | None = Field(None, alias="from", description="Created at this time or later.")
    to: Instant | None = Field(None, description="Created before this time.")


class Delivery(BaseModel):
    """One event to one webhook."""

    id: Id
    webhook_id: Id
    event_id: Id
    event_type: EventType
    status: DeliveryStatus
    failure_reason: FailureReason | None
    trigger: Literal["event", "test"]
    attempts_made: int
    last_status_code: int | None
    next_attempt_at: Time | None
    created_at: Time
    finished_at: Time | None


class Durations(BaseModel):
    """Whole milliseconds; null for what was not reached."""

    total: int
    dns: int | None
    connect: int | None
    tls: int | None
    first_byte: int | None


class Attempt(BaseModel):
    """One request that was sent, and what came back."""

    attempt: int
    sent_at: Time
    outcome: Literal["delivered", "failed"]
    status_code: int | None
    error_class: str | None = Field(max_length=30)
    error: str | None = Field(max_length=600)
    host: str = Field(max_length=300)
    duration_ms: Durations
    request_bytes: int
    response_bytes: int
    response_body: str | None = Field(max_length=20_000, description="At most 4 KiB of the answer.")
    body_sha256: str = Field(max_length=64)
    resumed: bool = Field(description="An earlier run of this attempt broke off and may have been sent too.")
    next_attempt_at: Time | None


class DeliveryDetail(Delivery):
    attempts: list[Attempt] = Field(max_length=11)


class EventTypeInfo(BaseModel):
    """An event type that a webhook can subscribe to."""

    type: EventType
    version: int
    description: str = Field(max_length=500)
    data_schema: dict[str, Any] = Field(description="JSON Schema of the event's `data`.")
    example: dict[str, Any]


class EventTypes(BaseModel):
    event_types: list[EventTypeInfo] = Field(max_length=100)
