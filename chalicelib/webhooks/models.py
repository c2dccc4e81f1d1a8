"""Webhooks, their deliveries, and every attempt.

PK ins_…   SK whk_…     a webhook: URL, subscriptions, sealed secret and headers, whether it is enabled
PK ins_…   SK COUNT     how many webhooks an institution has
PK whk_…   SK dlv_…     a delivery: one event to one webhook, 90 days
PK dlv_…   SK 0001      an attempt: what was sent, what came back, 90 days

Index `by_status` (also `by_type`, `by_status_and_type`): a webhook's deliveries with that state or
event type. Index `due`, sparse: deliveries that are not final, by when the sweeper must look at
them, in 16 shards.
"""

import random
import zlib
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from pydantic import ConfigDict
from pynamodb.attributes import (
    BinaryAttribute,
    BooleanAttribute,
    JSONAttribute,
    ListAttribute,
    NumberAttribute,
    UnicodeAttribute,
)
from pynamodb.exceptions import PutError, UpdateError
from pynamodb.expressions.update import Action
from pynamodb.indexes import AllProjection, GlobalSecondaryIndex, IncludeProjection

from chalicelib.core.clock import epoch, instant
from chalicelib.core.errors import Conflict, NotFound
from chalicelib.core.ids import is_id
from chalicelib.core.store import RawItem, Table, Transaction, query_in_bulk, table, unless_condition_failed
from chalicelib.core.types import Schema

KEPT = timedelta(days=90)
WEBHOOKS_AT_MOST = 50
DUE_SHARDS = 16
PATIENCE = timedelta(seconds=30)
"""How long a queue message is waited for before a delivery counts as forgotten."""


class WebhookItem(Table):
    class Meta:
        table_name = table("webhooks")

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    url = UnicodeAttribute()
    events: ListAttribute[str] = ListAttribute()
    description = UnicodeAttribute(null=True)
    header_names: ListAttribute[str] = ListAttribute()
    sealed_headers = BinaryAttribute(legacy_encoding=False, null=True)
    sealed_secret = BinaryAttribute(legacy_encoding=False)
    secret_hint = UnicodeAttribute()
    status = UnicodeAttribute()
    disabled_reason = UnicodeAttribute(null=True)
    disabled_at = UnicodeAttribute(null=True)
    created_at = UnicodeAttribute()
    updated_at = UnicodeAttribute()


class CountItem(Table):
    class Meta:
        table_name = table("webhooks")

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True, default="COUNT")
    webhooks = NumberAttribute(default=0)


class _ByStatus(GlobalSecondaryIndex[Any]):  # type: ignore[no-untyped-call]
    class Meta:
        index_name = "by_status"
        projection = AllProjection()

    status_key = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)


class _ByType(GlobalSecondaryIndex[Any]):  # type: ignore[no-untyped-call]
    class Meta:
        index_name = "by_type"
        projection = AllProjection()

    type_key = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)


class _ByStatusAndType(GlobalSecondaryIndex[Any]):  # type: ignore[no-untyped-call]
    class Meta:
        index_name = "by_status_and_type"
        projection = AllProjection()

    status_type_key = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)


class _Due(GlobalSecondaryIndex[Any]):  # type: ignore[no-untyped-call]
    class Meta:
        index_name = "due"
        projection = IncludeProjection(["event_type"])

    due_key = UnicodeAttribute(hash_key=True)
    wake_at = UnicodeAttribute(range_key=True)
    pk = UnicodeAttribute()
    sk = UnicodeAttribute()
    event_type = UnicodeAttribute()


class Place(Schema):
    """Where a delivery stands: what the queue carries of it."""

    model_config = ConfigDict(frozen=True)

    webhook_id: str
    delivery_id: str
    event_type: str


class DeliveryItem(Table):
    """`due_at` stands only while the delivery is not final: when its next attempt, or a lease, is due.

    `wake_at`, a little later, is when the sweeper asks for what nobody came for.
    """

    class Meta:
        table_name = table("webhooks")

    by_status = _ByStatus()
    by_type = _ByType()
    by_status_and_type = _ByStatusAndType()
    due = _Due()

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    institution_id = UnicodeAttribute()
    event_id = UnicodeAttribute()
    event_type = UnicodeAttribute()
    trigger = UnicodeAttribute()
    status = UnicodeAttribute()
    failure_reason = UnicodeAttribute(null=True)
    attempts_made = NumberAttribute(default=0)
    last_status_code = NumberAttribute(null=True)
    created_at = UnicodeAttribute()
    finished_at = UnicodeAttribute(null=True)
    request_id = UnicodeAttribute(null=True)
    claim = UnicodeAttribute(null=True)
    claims = NumberAttribute(null=True)
    due_at = UnicodeAttribute(null=True)
    wake_at = UnicodeAttribute(null=True)
    due_key = UnicodeAttribute(null=True)
    status_key = UnicodeAttribute()
    type_key = UnicodeAttribute()
    status_type_key = UnicodeAttribute()
    expires_at = NumberAttribute()


class AttemptItem(Table):
    class Meta:
        table_name = table("webhooks")

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    facts = JSONAttribute()
    resumed = BooleanAttribute(default=False)
    expires_at = NumberAttribute()


# Webhooks


def webhook_of(institution_id: str, webhook_id: str) -> WebhookItem:
    """Raises `NotFound`, also for another institution's."""
    if not is_id(webhook_id, "whk"):
        raise NotFound("webhook")
    try:
        return WebhookItem.get(institution_id, webhook_id, consistent_read=True)
    except WebhookItem.DoesNotExist:
        raise NotFound("webhook") from None


def webhooks_of(institution_id: str) -> list[WebhookItem]:
    """All of an institution's, oldest first: at most 50."""
    return list(WebhookItem.query(institution_id, WebhookItem.sk.startswith("whk_"), consistent_read=True))


def add_webhook(transaction: Transaction, item: WebhookItem) -> None:
    """The transaction fails with `Conflict` where the institution has 50 already."""
    transaction.put(item)
    transaction.update(
        CountItem(item.pk),
        [CountItem.webhooks.add(1)],
        CountItem.webhooks.does_not_exist() | (CountItem.webhooks < WEBHOOKS_AT_MOST),
        Conflict(f"An institution has at most {WEBHOOKS_AT_MOST} webhooks; delete one first."),
    )


def remove_webhook(transaction: Transaction, institution_id: str, webhook_id: str) -> None:
    transaction.delete(WebhookItem(institution_id, webhook_id), WebhookItem.pk.exists(), NotFound("webhook"))
    transaction.update(CountItem(institution_id), [CountItem.webhooks.add(-1)])


# Deliveries


def pending(
    *,
    webhook_id: str,
    delivery_id: str,
    institution_id: str,
    event_id: str,
    event_type: str,
    trigger: str,
    request_id: str | None,
    now: datetime,
) -> DeliveryItem:
    """A new delivery, due at once."""
    item = DeliveryItem(
        webhook_id,
        delivery_id,
        institution_id=institution_id,
        event_id=event_id,
        event_type=event_type,
        trigger=trigger,
        status="pending",
        request_id=request_id,
        created_at=instant(now),
        due_at=instant(now),
        wake_at=instant(now + PATIENCE),
        due_key=_due_key(delivery_id),
        type_key=f"{webhook_id}#{event_type}",
        expires_at=epoch(now + KEPT),
    )
    return _in_state(item, "pending")


def claimed(item: DeliveryItem, token: str, until: datetime) -> DeliveryItem:
    """The same as if a worker had claimed it, not yet written."""
    item.claim, item.claims = token, 1
    item.due_at, item.wake_at = instant(until), instant(until + PATIENCE)
    return _in_state(item, "delivering")


def finished(item: DeliveryItem, status: str, now: datetime, reason: str | None = None) -> DeliveryItem:
    """The same in a final state, not yet written."""
    item.due_at = item.due_key = item.wake_at = item.claim = None
    item.failure_reason, item.finished_at = reason, instant(now)
    return _in_state(item, status)


def _in_state(item: DeliveryItem, status: str) -> DeliveryItem:
    item.status = status
    item.status_key = f"{item.pk}#{status}"
    item.status_type_key = f"{item.pk}#{status}#{item.event_type}"
    return item


def add_delivery(item: DeliveryItem) -> bool:
    """Whether it is new: the same event to the same webhook makes one delivery, however often it comes."""
    try:
        item.save(condition=DeliveryItem.pk.does_not_exist())
    except PutError as error:
        unless_condition_failed(error)
        return False
    return True


def claim(place: Place, token: str, now: datetime, lease: timedelta) -> DeliveryItem | datetime | None:
    """Take the delivery's next attempt: of those who race, one gets it, until its lease ends.

    The delivery (`claims` above 1: an earlier claim was left unfinished); or when it will be due,
    where that is later than now; or None where somebody else has it, or it is final or gone.
    """
    item = DeliveryItem(place.webhook_id, place.delivery_id)
    try:
        item.update(
            [
                *_to_state(place.webhook_id, place.event_type, "delivering"),
                DeliveryItem.claim.set(token),
                DeliveryItem.claims.add(1),
                *_due(now + lease),
            ],
            DeliveryItem.due_at <= instant(now),
        )
    except UpdateError as error:
        unless_condition_failed(error)
        return _due_later(place)
    return item


def _due_later(place: Place) -> datetime | None:
    try:
        item = DeliveryItem.get(place.webhook_id, place.delivery_id, consistent_read=True)
    except DeliveryItem.DoesNotExist:
        return None
    if item.status == "delivering" or item.due_at is None:
        return None
    return datetime.fromisoformat(item.due_at)


def _due(moment: datetime) -> list[Action]:
    return [DeliveryItem.due_at.set(instant(moment)), DeliveryItem.wake_at.set(instant(moment + PATIENCE))]


def release(item: DeliveryItem, due_at: datetime) -> None:
    """Give a claim back unfinished, to be taken again from `due_at` on; `claims` keeps counting."""
    status = "retrying" if item.attempts_made else "pending"
    actions = [*_to_state(item.pk, item.event_type, status), *_due(due_at), DeliveryItem.claim.remove()]
    try:
        DeliveryItem(item.pk, item.sk).update(actions, DeliveryItem.claim == item.claim)
    except UpdateError as error:  # somebody took over meanwhile
        unless_condition_failed(error)


def _to_state(webhook_id: str, event_type: str, status: str) -> list[Action]:
    return [
        DeliveryItem.status.set(status),
        DeliveryItem.status_key.set(f"{webhook_id}#{status}"),
        DeliveryItem.status_type_key.set(f"{webhook_id}#{status}#{event_type}"),
    ]


def finish(
    transaction: Transaction,
    item: DeliveryItem,
    *,
    status: str,
    now: datetime,
    attempt: AttemptItem | None = None,
    status_code: int | None = None,
    reason: str | None = None,
    next_attempt_at: datetime | None = None,
) -> None:
    """End a claim: the attempt and the delivery's new state together, unless the lease was lost."""
    mine = DeliveryItem.claim == item.claim
    key = DeliveryItem(item.pk, item.sk)
    actions = [
        *_to_state(item.pk, item.event_type, status),
        DeliveryItem.claim.remove(),
        DeliveryItem.claims.remove(),
    ]
    if attempt is not None:
        transaction.put(attempt)
        actions.append(DeliveryItem.attempts_made.set(int(attempt.sk)))
        if status_code is not None:
            actions.append(DeliveryItem.last_status_code.set(status_code))
        else:
            actions.append(DeliveryItem.last_status_code.remove())
    if next_attempt_at is not None:
        actions += _due(next_attempt_at)
    else:
        actions += [
            DeliveryItem.due_at.remove(),
            DeliveryItem.wake_at.remove(),
            DeliveryItem.due_key.remove(),
            DeliveryItem.finished_at.set(instant(now)),
        ]
    if reason is not None:
        actions.append(DeliveryItem.failure_reason.set(reason))
    transaction.update(key, actions, mine)


def attempt(delivery: DeliveryItem, number: int, facts: dict[str, Any], *, resumed: bool) -> AttemptItem:
    return AttemptItem(
        delivery.sk, f"{number:04}", facts=facts, resumed=resumed, expires_at=delivery.expires_at
    )


def delivery_of(webhook_id: str, delivery_id: str, now: datetime) -> DeliveryItem:
    """Raises `NotFound`, also for another webhook's, and past its 90 days."""
    if not is_id(delivery_id, "dlv"):
        raise NotFound("delivery")
    try:
        item = DeliveryItem.get(webhook_id, delivery_id, consistent_read=True)
    except DeliveryItem.DoesNotExist:
        raise NotFound("delivery") from None
    if item.expires_at <= epoch(now):
        raise NotFound("delivery")
    return item


def attempts_of(delivery_id: str) -> list[AttemptItem]:
    """In the order in which they were made."""
    return list(AttemptItem.query(delivery_id, consistent_read=True))


def deliveries_of(
    webhook_id: str,
    *,
    status: str | None,
    event_type: str | None,
    between: tuple[str, str],
    start: str | None,
    limit: int,
    backwards: bool,
) -> Sequence[DeliveryItem]:
    """Newest first; `between` bounds the ids, whose order is that of time."""
    low, high = between
    if start is not None and backwards:
        low = start + "0"  # longer, so after `start`
    elif start is not None:
        high = start[:-1] + chr(ord(start[-1]) - 1) + "~"  # before `start`
    if low > high:
        return []
    query: dict[str, Any] = {"scan_index_forward": backwards, "limit": limit}
    in_range = DeliveryItem.sk.between(low, high)
    if status and event_type:
        found = DeliveryItem.by_status_and_type.query(
            f"{webhook_id}#{status}#{event_type}", in_range, **query
        )
    elif status:
        found = DeliveryItem.by_status.query(f"{webhook_id}#{status}", in_range, **query)
    elif event_type:
        found = DeliveryItem.by_type.query(f"{webhook_id}#{event_type}", in_range, **query)
    else:
        found = DeliveryItem.query(webhook_id, in_range, **query)
    return list(found)


def export_page(
    webhook_id: str, attributes: Sequence[str], *, low: str, high: str, after: RawItem | None = None
) -> tuple[list[RawItem], RawItem | None]:
    """A page of a webhook's deliveries in the order of their ids, and the key to go on from."""
    names = {f"#{number}": name for number, name in enumerate(attributes)}
    request: dict[str, Any] = {
        "TableName": DeliveryItem.Meta.table_name,
        "KeyConditionExpression": "pk = :key AND sk BETWEEN :low AND :high",
        "ExpressionAttributeValues": {":key": {"S": webhook_id}, ":low": {"S": low}, ":high": {"S": high}},
        "ProjectionExpression": ", ".join(names),
        "ExpressionAttributeNames": names,
        "Limit": 500,
    }
    if after is not None:
        request["ExclusiveStartKey"] = after
    answer = query_in_bulk(request)
    return answer["Items"], answer.get("LastEvaluatedKey")


def overdue(now: datetime) -> Iterator[DeliveryItem]:
    """Deliveries that nobody came for: their keys, event type and `wake_at`. Shards in any order."""
    for shard in random.sample(range(DUE_SHARDS), DUE_SHARDS):
        yield from DeliveryItem.due.query(f"DUE#{shard}", DeliveryItem.wake_at <= instant(now), limit=500)


def postpone(item: DeliveryItem, moment: datetime) -> None:
    """Leave a delivery alone until then, unless somebody has come for it meanwhile."""
    try:
        DeliveryItem(item.pk, item.sk).update(
            [DeliveryItem.wake_at.set(instant(moment))], DeliveryItem.wake_at == item.wake_at
        )
    except UpdateError as error:
        unless_condition_failed(error)


def _due_key(delivery_id: str) -> str:
    return f"DUE#{zlib.crc32(delivery_id.encode()) % DUE_SHARDS}"
