"""The transactional outbox: no event is lost, none is invented.

The event and a marker are written in the transaction of the change itself. After the commit the
event is published to the `events` queue and its marker deleted; whatever is still marked after
half a minute (the process died, the queue was away) is published by the sweeper. A consumer may
therefore see an event twice, never not at all.

    PK institution_id#YYYY-MM-DD   SK evt_…   the event, kept 90 days
    PK OUTBOX#<0..31>              SK evt_…   the marker, until published

Index `by_type`: keys of an institution's events of one type.
"""

import random
import zlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import ConfigDict
from pynamodb.attributes import BinaryAttribute, NumberAttribute, UnicodeAttribute
from pynamodb.exceptions import PynamoDBException
from pynamodb.indexes import GlobalSecondaryIndex, KeysOnlyProjection
from ulid import ULID

from chalicelib.core import clock, queues
from chalicelib.core.clock import epoch
from chalicelib.core.errors import NotFound
from chalicelib.core.events import Event
from chalicelib.core.ids import moment_of
from chalicelib.core.logs import log
from chalicelib.core.store import Table, Transaction, table
from chalicelib.core.types import Schema

EVENTS_QUEUE = "events"
KEPT = timedelta(days=90)
SHARDS = 32
WITHHELD = timedelta(seconds=60)
"""Longer than a request may run: an id is made before its commit, so the order of younger ids may change."""


class _ByType(GlobalSecondaryIndex[Any]):  # type: ignore[no-untyped-call]
    class Meta:
        index_name = "by_type"
        projection = KeysOnlyProjection()

    type_key = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)


class EventItem(Table):
    """An event, in a partition of its institution and day."""

    class Meta:
        table_name = table("events")

    by_type = _ByType()

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    institution_id = UnicodeAttribute()
    type = UnicodeAttribute()
    type_key = UnicodeAttribute()
    body = BinaryAttribute(legacy_encoding=False)
    request_id = UnicodeAttribute(null=True)
    expires_at = NumberAttribute()


class MarkerItem(Table):
    """Says that an event may not have been published yet."""

    class Meta:
        table_name = table("events")

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    institution_id = UnicodeAttribute()


class EventMessage(Schema):
    """What the `events` queue carries: where the event stands, never what it says."""

    model_config = ConfigDict(frozen=True)

    event_id: str
    institution_id: str


def add(transaction: Transaction, *events: Event) -> None:
    """Store at most ten events with the change that they tell; publish them once that is committed."""
    markers = [MarkerItem(_shard(e.id), e.id, institution_id=e.institution_id) for e in events]
    for event, marker in zip(events, markers, strict=True):
        keep(transaction, event)
        transaction.put(marker)
    if markers:
        transaction.after(lambda: _publish_or_leave(markers))


def keep(transaction: Transaction, event: Event) -> None:
    """Store an event that nobody else is told of: a test ping."""
    transaction.put(
        EventItem(
            _partition(event.institution_id, event.created_at),
            event.id,
            institution_id=event.institution_id,
            type=event.type,
            type_key=f"{event.institution_id}#{event.type}",
            body=event.body,
            request_id=event.request_id,
            expires_at=epoch(event.created_at + KEPT),
        )
    )


def event_of(institution_id: str, event_id: str) -> Event:
    """Raises `NotFound`, also for another institution's event, and past its 90 days."""
    created_at = moment_of(event_id)
    if created_at + KEPT <= clock.now():
        raise NotFound("event")
    try:
        item = EventItem.get(_partition(institution_id, created_at), event_id, consistent_read=True)
    except EventItem.DoesNotExist:
        raise NotFound("event") from None
    return _event(item)


def span(since: datetime | None, until: datetime, now: datetime) -> tuple[datetime, datetime]:
    """From when until when events are read: no further back than they are kept, and never backwards."""
    kept_since = now - KEPT
    begins = kept_since if since is None else max(since, kept_since)
    return min(begins, until), until


def event_ids(
    institution_id: str,
    event_type: str | None,
    span: tuple[datetime, datetime],
    *,
    start: str | None,
    limit: int,
    backwards: bool,
) -> list[str]:
    """Ids of an institution's events in that time, oldest first: those after (backwards: before) `start`.

    With a type one query; else one for each day until the page is full, 91 at most.
    """
    low, high = first_id(span[0]), f"{first_id(span[1])}-"
    if start is not None and backwards:
        high = start[:-1] + chr(ord(start[-1]) - 1) + "~"
    elif start is not None:
        low = start + "0"
    if low > high:
        return []
    query: dict[str, Any] = {"scan_index_forward": not backwards}
    within = EventItem.sk.between(low, high)
    if event_type is not None:
        key = f"{institution_id}#{event_type}"
        return [item.sk for item in EventItem.by_type.query(key, within, limit=limit, **query)]
    found: list[str] = []
    for day in _days(low, high, backwards=backwards):
        rows = EventItem.query(
            _partition(institution_id, day),
            within,
            limit=limit - len(found),
            attributes_to_get=["pk", "sk"],
            consistent_read=True,
            **query,
        )
        found += [item.sk for item in rows]
        if len(found) == limit:
            break
    return found


def events_of(institution_id: str, event_ids: Sequence[str]) -> list[Event]:
    """The events of these ids, in the same order."""
    keys = [(_partition(institution_id, moment_of(one)), one) for one in event_ids]
    known = {item.sk: _event(item) for item in EventItem.batch_get(keys)}
    return [known[one] for one in event_ids if one in known]


def first_id(moment: datetime) -> str:
    """Before every event id made at that moment or later."""
    return f"evt_{str(ULID.from_datetime(moment))[:10]}"


def _days(low: str, high: str, *, backwards: bool) -> list[datetime]:
    first, last = (datetime.fromtimestamp(_seconds(one), UTC) for one in (low, high))
    count = (last.date() - first.date()).days + 1
    days = [first + timedelta(days=n) for n in range(count)]
    return days[::-1] if backwards else days


def _seconds(identifier: str) -> float:
    """Of an id, or of its beginning."""
    return ULID.from_str(identifier[4:14] + "0" * 16).timestamp


def _event(item: EventItem) -> Event:
    return Event(item.sk, item.type, item.institution_id, moment_of(item.sk), item.body, item.request_id)


def sweep(now: datetime, grace: timedelta) -> int:
    """Publish what is still marked and older than `grace`. Returns how many events the queue took."""
    swept = 0
    for shard in random.sample(range(SHARDS), SHARDS):
        markers = MarkerItem.query(f"OUTBOX#{shard}", limit=500, consistent_read=True)
        due = [marker for marker in markers if moment_of(marker.sk) <= now - grace]
        swept += publish(due)
    return swept


def publish(markers: Sequence[MarkerItem]) -> int:
    """Send the events to the queue, then delete the markers of those that it took.

    Dying between the two publishes an event twice, which consumers allow for.
    """
    taken = queues.send(
        EVENTS_QUEUE,
        [
            queues.Outgoing(
                EventMessage(event_id=marker.sk, institution_id=marker.institution_id), marker.institution_id
            )
            for marker in markers
        ],
    )
    for marker, was_taken in zip(markers, taken, strict=True):
        if was_taken:
            marker.delete()
    return sum(taken)


def _publish_or_leave(markers: Sequence[MarkerItem]) -> None:
    """The change is committed: a table that is away must not fail the request, the sweeper comes."""
    try:
        publish(markers)
    except PynamoDBException as error:
        log.warning("outbox.left_to_sweeper", event_ids=[m.sk for m in markers], error=type(error).__name__)


def _partition(institution_id: str, moment: datetime) -> str:
    return f"{institution_id}#{moment:%Y-%m-%d}"


def _shard(event_id: str) -> str:
    return f"OUTBOX#{zlib.crc32(event_id.encode()) % SHARDS}"
