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
    RecoveryId,
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
RateLimit = Annotated[
    int,
    Field(
        ge=1,
        le=6000,
        description="Requests sent in a minute, at most; the rest waits. Null: as fast as you answer.",
        examples=[120],
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
    rate_limit_per_minute: RateLimit | None = None


class WebhookUpdate(Body):
    """What is left out stays as it is; null clears a description, the headers or the rate limit."""

    url: Url | None = None
    events: list[Subscription] | None = Field(
        None, min_length=1, max_length=50, examples=[["lesson.completed"]]
    )
    description: Description | None = None
    headers: CustomHeaders | None = None
    rate_limit_per_minute: RateLimit | None = None


class Rotation(Body):
    """How a new secret takes over."""

    grace_seconds: int = Field(
        86_400,
        ge=0,
        le=604_800,
        description=(
            "How long the secret that is newest now stays in force beside the new one. 0: the new one signs "
            "alone from now on."
        ),
    )


class RetiringSecret(Schema):
    """A secret that still signs, beside newer ones."""

    hint: str = Field(max_length=12, description="Its last characters.", examples=["UWg="])
    retires_at: Time


class Webhook(Schema):
    """Where events are sent, and whether they are."""

    id: WebhookId
    url: Url
    events: list[Subscription] = Field(max_length=50, examples=[["exercise.answered", "lesson.*"]])
    description: Description | None
    header_names: list[HeaderName] = Field(max_length=10, description="Names of the custom headers.")
    rate_limit_per_minute: RateLimit | None = Field(examples=[None])
    status: Literal["enabled", "disabled"]
    disabled_reason: Literal["requested", "gone", "failing"] | None = Field(
        description="Somebody asked for it; the endpoint answered 410; every attempt failed for five days.",
        examples=[None],
    )
    disabled_at: Time | None = Field(examples=[None])
    secret_hint: str = Field(
        max_length=12, description="The last characters of the newest secret.", examples=["Hh8="]
    )
    retiring_secrets: list[RetiringSecret] = Field(
        max_length=5,
        description="Older secrets that still sign; the first is the one of X-Signature-256.",
        examples=[[]],
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


class UrlTest(Body):
    """A URL to try before there is a webhook."""

    url: Url
    headers: CustomHeaders | None = None
    secret: str | None = Field(
        None,
        max_length=100,
        description="Signs the ping, so that your check of signatures can be tried; kept nowhere.",
        examples=["whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="],
    )


class Durations(Schema):
    """Whole milliseconds; null for what was not reached."""

    total: Milliseconds
    dns: Milliseconds | None = Field(examples=[12])
    connect: Milliseconds | None = Field(examples=[31])
    tls: Milliseconds | None = Field(examples=[44])
    first_byte: Milliseconds | None = Field(examples=[176])


class UrlTestResult(Schema):
    """What the endpoint made of the test ping. A ping that fails is answered with 200 too."""

    success: bool
    status_code: HttpStatus | None
    duration_ms: Milliseconds
    phases_ms: Durations
    error_class: ErrorClass
    error: Fault
    response_headers: dict[
        Annotated[str, Field(max_length=8192)], Annotated[str, Field(max_length=40_000)]
    ] = Field(
        max_length=200,
        description="At most 8 KiB, names in lower case.",
        examples=[{"content-type": "text/plain"}],
    )
    response_body: Excerpt | None
    response_bytes: Size
    response_truncated: bool = Field(description="The answer was longer than the 16 KiB that are read.")


class PingResult(UrlTestResult):
    """The same of a webhook's ping, which stands among its deliveries."""

    delivery_id: DeliveryId
    event_id: EventId


class DeliveryQuery(PageQuery):
    """Narrows a list of deliveries."""

    status: DeliveryStatus | None = Field(None, description="Deliveries in this state.")
    code: str | None = Field(
        None,
        pattern=r"^[1-5]([0-9]{2}|xx)$",
        max_length=3,
        description="The last status code, exact or as a class; not together with status or event.",
        examples=["503", "5xx"],
    )
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
    trigger: Literal["event", "test", "manual", "recovery"]
    resend_of: DeliveryId | None = Field(
        description="The delivery whose event this one sends again.", examples=[None]
    )
    resent_as: DeliveryId | None = Field(
        description="The newest delivery that sends this one's event again.", examples=[None]
    )
    attempts_made: Count = Field(examples=[1])
    last_status_code: HttpStatus | None
    next_attempt_at: Time | None = Field(examples=[None])
    created_at: Time
    finished_at: Time | None = Field(examples=["2026-11-25T12:00:01Z"])


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


class RecoveryRequest(Body):
    """Which failed and skipped deliveries are sent again, by the time at which they were made."""

    since: Moment = Field(description="At most 14 days ago.", examples=["2026-11-24T18:00:00Z"])
    until: Moment | None = Field(None, description="Before this time. Null: until now.")


class Recovery(Schema):
    """A job that sends again, in the background, at most 10,000 deliveries."""

    id: RecoveryId
    webhook_id: WebhookId
    status: Literal["queued", "running", "completed"]
    since: Time
    until: Time
    resent: Count = Field(description="Deliveries that were made anew; each shows what becomes of it.")
    passed_over: Count = Field(description="Sent again before, or tests.", examples=[0])
    limit_reached: bool = Field(description="There are more: ask for another recovery.", examples=[False])
    created_at: Time
    finished_at: Time | None = Field(examples=[None])


class Figures(Schema):
    """Attempts of a time; tests are not counted. Latencies in milliseconds, null where there was none."""

    attempts: Count = Field(examples=[1250])
    successes: Count = Field(examples=[1248])
    failures: dict[Annotated[str, Field(max_length=30)], Count] = Field(
        max_length=30,
        description="By class: `timeout`, `connect`, `tls`, `http_5xx`, …",
        examples=[{"timeout": 2}],
    )
    p50_ms: Milliseconds | None
    p95_ms: Milliseconds | None


class EndpointState(Schema):
    """Whether the endpoint is sent to at present."""

    circuit: Literal["closed", "open", "half_open"] = Field(
        description="Open: deliveries are parked until `open_until`, then one tries whether it works again."
    )
    open_until: Time | None = Field(examples=[None])
    held_until: Time | None = Field(
        description="The endpoint asked for patience by Retry-After.", examples=[None]
    )
    in_flight: Count
    at_most_in_flight: Count = Field(examples=[5])
    failing_since: Time | None = Field(description="No attempt has succeeded since.", examples=[None])
    failures_since: Count = Field(examples=[0])


class Stats(Schema):
    """How a webhook does."""

    last_24_hours: Figures
    last_7_days: Figures
    endpoint: EndpointState


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
