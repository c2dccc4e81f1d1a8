"""The replay feed on the wire."""

from typing import Any

from pydantic import Field

from chalicelib.core.paging import Meta, Page, PageQuery
from chalicelib.core.types import EventId, EventType, InstitutionId, Moment, Schema, Time, Version


class FeedQuery(PageQuery):
    """From when on, and of which type."""

    since: Moment | None = Field(
        None, description="Made at this time or later. Null: as far back as events are kept, 90 days."
    )
    type: EventType | None = Field(None, description="Events of this type.")


class FeedEvent(Schema):
    """What webhooks send: the same facts."""

    id: EventId
    type: EventType
    version: Version
    timestamp: Time
    institution_id: InstitutionId
    data: dict[str, Any] = Field(examples=[{"lesson_id": "lsn_01M896B4G7TD0HK1DBS629DWG0"}])


class FeedMeta(Meta):
    """Where in the feed this page stands."""

    complete_until: Time


class Feed(Page[FeedEvent]):
    """Oldest first. Nothing that was made before `complete_until` is missing or will still appear."""

    meta: FeedMeta
