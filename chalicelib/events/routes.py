"""/api/integrations/events."""

from chalice.app import Blueprint

from chalicelib.core import outbox
from chalicelib.core.clock import rfc3339
from chalicelib.core.http import Call, endpoint
from chalicelib.events import schemas

api = Blueprint(__name__)


@endpoint(api, "GET", "/api/integrations/events", abilities=["webhooks:read"], query=schemas.FeedQuery,
          returns=schemas.Feed)  # fmt: skip
def list_events(call: Call, query: schemas.FeedQuery) -> schemas.Feed:
    """Read again what has happened, oldest first, for 90 days.

    Follow `links.next` to its end, then ask again with `since` set to `complete_until`. The last minute is
    held back, as its order is not settled yet.
    """
    institution_id = call.caller.institution_id
    complete_until = call.now - outbox.WITHHELD
    span = outbox.span(query.since, complete_until, call.now)

    def read(start: str | None, limit: int, *, backwards: bool) -> list[tuple[str, str]]:
        found = outbox.event_ids(
            institution_id, query.type, span, start=start, limit=limit, backwards=backwards
        )
        return [(event_id, event_id) for event_id in found]

    page = call.listing(query).page(read)
    return schemas.Feed(
        data=[
            schemas.FeedEvent.model_validate_json(event.body)
            for event in outbox.events_of(institution_id, page.data)
        ],
        links=page.links,
        meta=schemas.FeedMeta(**page.meta.model_dump(), complete_until=rfc3339(complete_until)),
    )
