"""What webhooks and their deliveries look like on the wire."""

from typing import Annotated, Any, Literal

from pydantic import Field

from chalicelib.core.paging import PageQuery
from chalicelib.core.types import (
    Body,
    Count,
    DeliveryId,
    EventId,
    EventType,
    HttpStatus,
    Milliseconds,
    Moment,
    Schema,
    Size,
    Time,
    Version,
    WebhookId,
)

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
HeaderName = Annotated[str, Field(max_length=64, examples=["Authorization"])]
CustomHeaders = Annotated[
    dict[HeaderName, Annotated[str, Field(max_length=2000)]],
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
Excerpt = Annotated[
    str, Field(max_length=20_000, description="At most 4 KiB of the answer.", examples=["ok"])
]
ErrorClass = Annotated[
    str | None, Field(max_length=30, description="Why it failed, for a program.", examples=[None])
]
Fault = Annotated[str | None, Field(max_length=600, description="Why it failed, in words.", examples=[None])]


class WebhookCreate(Body):
    """Where events are sent, and which."""

    url: Url
    events: list[Subscription] = Field(
        min_length=1, max_length=50, examples=[["exercise.answered", "lesson.*"]]
    )
    description: Description | None = None
    headers: CustomHeaders | None = None


class WebhookUpdate(Body):
    """What is left out stays as it is; null clears a description or the headers."""

    url: Url | None = None
    events: list[Subscription] | None = Field(
        None, min_length=1, max_length=50, examples=[["lesson.completed"]]
    )
    description: Description | None = None
    headers: CustomHeaders | None = None


class Webhook(Schema):
    """Where events are sent, and whether they are."""

    id: WebhookId
    url: Url
    events: list[Subscription] = Field(max_length=50, examples=[["exercise.answered", "lesson.*"]])
    description: Description | None
    header_names: list[HeaderName] = Field(max_length=10, description="Names of the custom headers.")
    status: Literal["enabled", "disabled"]
    disabled_reason: str | None = Field(max_length=40, examples=[None])
    disabled_at: Time | None = Field(examples=[None])
    secret_hint: str = Field(
        max_length=12, description="The last characters of the secret.", examples=["Hh8="]
    )
    created_at: Time
    updated_at: Time


class WebhookCreated(Webhook):
    """The one answer that shows the secret."""

    secret: str = Field(
        max_length=100,
        description="Shown this once; verify signatures with it.",
        examples=["whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="],
    )


class PingResult(Schema):
    """What the endpoint made of the test ping. A ping that fails is answered with 200 too."""

    success: bool
    delivery_id: DeliveryId
    event_id: EventId
    status_code: HttpStatus | None
    duration_ms: Milliseconds
    error_class: ErrorClass
    error: Fault
    response_body: Excerpt | None


class DeliveryQuery(PageQuery):
    """Narrows a list of deliveries."""

    status: DeliveryStatus | None = Field(None, description="Deliveries in this state.")
    event: EventType | None = Field(None, description="Deliveries of this event type.")
    from_: Moment | None = Field(None, alias="from", description="Created at this time or later.")
    to: Moment | None = Field(None, description="Created before this time.")


class Delivery(Schema):
    """One event to one webhook."""

    id: DeliveryId
    webhook_id: WebhookId
    event_id: EventId
    event_type: EventType
    status: DeliveryStatus = Field(examples=["delivered"])
    failure_reason: FailureReason | None = Field(examples=[None])
    trigger: Literal["event", "test"]
    attempts_made: Count = Field(examples=[1])
    last_status_code: HttpStatus | None
    next_attempt_at: Time | None = Field(examples=[None])
    created_at: Time
    finished_at: Time | None = Field(examples=["2026-11-25T12:00:01Z"])


class Durations(Schema):
    """Whole milliseconds; null for what was not reached."""

    total: Milliseconds
    dns: Milliseconds | None = Field(examples=[12])
    connect: Milliseconds | None = Field(examples=[31])
    tls: Milliseconds | None = Field(examples=[44])
    first_byte: Milliseconds | None = Field(examples=[176])


class Attempt(Schema):
    """One request that was sent, and what came back."""

    attempt: Count = Field(description="Which one, from 1.", examples=[1])
    sent_at: Time
    outcome: Literal["delivered", "failed"]
    status_code: HttpStatus | None
    error_class: ErrorClass
    error: Fault
    host: str = Field(max_length=300, examples=["hooks.example.org"])
    duration_ms: Durations
    request_bytes: Size = Field(examples=[412])
    response_bytes: Size = Field(examples=[2])
    response_body: Excerpt | None
    body_sha256: str = Field(
        max_length=64, examples=["11d1090137b314a3a48d4e14999b822110633959fcb000a9a2b0ed3fe8c8f82f"]
    )
    resumed: bool = Field(
        description="An earlier run of this attempt broke off and may have been sent too.", examples=[False]
    )
    next_attempt_at: Time | None = Field(examples=[None])


class DeliveryDetail(Delivery):
    """One event to one webhook, with every attempt."""

    attempts: list[Attempt] = Field(max_length=11)


class EventTypeInfo(Schema):
    """An event type that a webhook can subscribe to."""

    type: EventType
    version: Version
    description: str = Field(
        max_length=500,
        examples=["The last item of a lesson was passed. Told once, whatever the learner answers later."],
    )
    data_schema: dict[str, Any] = Field(
        description="JSON Schema of the event's `data`.",
        examples=[{"type": "object", "required": ["learner_id", "course_id", "lesson_id", "completed_at"]}],
    )
    example: dict[str, Any] = Field(
        description="A whole event of this type.", examples=[{"type": "lesson.completed", "version": 1}]
    )


class EventTypeList(Schema):
    """All that can happen."""

    event_types: list[EventTypeInfo] = Field(max_length=100)
