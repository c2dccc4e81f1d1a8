"""The events of institutions."""

from pydantic import Field

from chalicelib.core.events import EventData


class SubscriptionUpdated(EventData, type="subscription.updated"):
    """The institution's plan has changed; its tokens follow within seconds."""

    plan: str = Field(max_length=20, examples=["pro"])
    requests_per_minute: int = Field(ge=1, le=1_000_000, description="Per token.", examples=[1000])
