"""Webhooks, their deliveries, and every attempt.

PK ins_…   SK whk_…     a webhook: URL, subscriptions, sealed secret and headers, whether it is enabled
PK ins_…   SK COUNT     how many webhooks an institution has
PK whk_…   SK dlv_…     a delivery: one event to one webhook, 90 days
PK dlv_…   SK 0001      an attempt: what was sent, what came back, 90 days
PK whk_…   SK HEALTH    whether the endpoint may be sent to (`flow`), and when parked deliveries are looked at
PK whk_…   SK rcv_…     a recovery: a job that sends again, 90 days

Indexes `by_status`, `by_type`, `by_status_and_type`, `by_code`, `by_code_class`: keys of a webhook's
deliveries with that state, event type, last status code or its class; written only when a key changes.
`delivering` is not among the states: who claims a delivery leaves its keys alone, as it is back in seconds;
which these are is read from the places at the endpoint.
Index `due`, sparse: what is not final, by when the sweeper must look at it, in 16 shards.
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
    MapAttribute,
    NumberAttribute,
    UnicodeAttribute,
)
from pynamodb.exceptions import PutError, UpdateError
from pynamodb.expressions.update import Action
from pynamodb.indexes import GlobalSecondaryIndex, IncludeProjection, KeysOnlyProjection

from chalicelib.core.clock import epoch, instant
from chalicelib.core.errors import Conflict, NotFound
from chalicelib.core.ids import is_id, moment_of
from chalicelib.core.store import RawItem, Table, Transaction, query_in_bulk, table, unless_condition_failed
from chalicelib.core.types import Schema
from chalicelib.webhooks.flow import LATE_AFTER, Health
from chalicelib.webhooks.rotation import Secret

KEPT = timedelta(days=90)
WEBHOOKS_AT_MOST = 50
DUE_SHARDS = 16
NOTED_EVERY = timedelta(seconds=20)
PATIENCE = timedelta(seconds=30)
"""How long a queue message is waited for before a delivery counts as forgotten."""


class RetiringSecret(MapAttribute[str, Any]):
    """A secret that a newer one replaces, in force until `retires_at`."""

    sealed = BinaryAttribute(legacy_encoding=False)
    hint = UnicodeAttribute()
    retires_at = UnicodeAttribute()


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
    retiring_secrets: ListAttribute[RetiringSecret] = ListAttribute(of=RetiringSecret, default=list)
    rate_limit = NumberAttribute(null=True)
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
        projection = KeysOnlyProjection()

    status_key = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)


class _ByType(GlobalSecondaryIndex[Any]):  # type: ignore[no-untyped-call]
    class Meta:
        index_name = "by_type"
        projection = KeysOnlyProjection()

    type_key = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)


class _ByStatusAndType(GlobalSecondaryIndex[Any]):  # type: ignore[no-untyped-call]
    class Meta:
        index_name = "by_status_and_type"
        projection = KeysOnlyProjection()

    status_type_key = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)


class _ByCode(GlobalSecondaryIndex[Any]):  # type: ignore[no-untyped-call]
    class Meta:
        index_name = "by_code"
        projection = KeysOnlyProjection()

    code_key = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)


class _ByCodeClass(GlobalSecondaryIndex[Any]):  # type: ignore[no-untyped-call]
    class Meta:
        index_name = "by_code_class"
        projection = KeysOnlyProjection()

    code_class_key = UnicodeAttribute(hash_key=True)
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
    turned_away: int = 0
    """How often the endpoint was busy."""


class DeliveryItem(Table):
    """`due_at` stands only while the delivery is not final: when its next attempt, or a lease, is due.

    `wake_at`, a little later, is when the sweeper asks for what nobody came for.
    """

    class Meta:
        table_name = table("webhooks")

    by_status = _ByStatus()
    by_type = _ByType()
    by_status_and_type = _ByStatusAndType()
    by_code = _ByCode()
    by_code_class = _ByCodeClass()
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
    resend_of = UnicodeAttribute(null=True)
    resent_as = UnicodeAttribute(null=True)
    claim = UnicodeAttribute(null=True)
    claims = NumberAttribute(null=True)
    due_at = UnicodeAttribute(null=True)
    wake_at = UnicodeAttribute(null=True)
    due_key = UnicodeAttribute(null=True)
    status_key = UnicodeAttribute()
    type_key = UnicodeAttribute()
    status_type_key = UnicodeAttribute()
    code_key = UnicodeAttribute(null=True)
    code_class_key = UnicodeAttribute(null=True)
    expires_at = NumberAttribute()


class AttemptItem(Table):
    class Meta:
        table_name = table("webhooks")

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    facts = JSONAttribute()
    resumed = BooleanAttribute(default=False)
    expires_at = NumberAttribute()


class HealthItem(Table):
    """One for each webhook. `version` guards `state`; `parked_at` and `wake_at` stand while any delivery may
    be parked.
    """

    class Meta:
        table_name = table("webhooks")

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True, default="HEALTH")
    state = UnicodeAttribute()
    version = NumberAttribute(default=0)
    rate_limit = NumberAttribute(null=True)
    parked_at = UnicodeAttribute(null=True)
    wake_at = UnicodeAttribute(null=True)
    due_key = UnicodeAttribute(null=True)

    @property
    def health(self) -> Health:
        return Health.model_validate_json(self.state)

    @property
    def per_minute(self) -> int | None:
        return None if self.rate_limit is None else int(self.rate_limit)


class RecoveryItem(Table):
    """`phase` and `cursor` say where the job stands: in which state, and after which delivery of it."""

    class Meta:
        table_name = table("webhooks")

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    institution_id = UnicodeAttribute()
    status = UnicodeAttribute(default="queued")
    since = UnicodeAttribute()
    until = UnicodeAttribute()
    phase = NumberAttribute(default=0)
    cursor = UnicodeAttribute(null=True)
    resent = NumberAttribute(default=0)
    passed_over = NumberAttribute(default=0)
    limit_reached = BooleanAttribute(default=False)
    version = NumberAttribute(default=0)
    request_id = UnicodeAttribute(null=True)
    created_at = UnicodeAttribute()
    finished_at = UnicodeAttribute(null=True)
    wake_at = UnicodeAttribute(null=True)
    due_key = UnicodeAttribute(null=True)
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


def secrets_of(item: WebhookItem) -> list[Secret]:
    """Oldest first; those whose time is over may be among them."""
    retiring = [
        Secret(one.sealed, one.hint, datetime.fromisoformat(one.retires_at)) for one in item.retiring_secrets
    ]
    return [*retiring, Secret(item.sealed_secret, item.secret_hint)]


def set_secrets(item: WebhookItem, secrets: Sequence[Secret]) -> None:
    *retiring, newest = secrets
    item.sealed_secret, item.secret_hint = newest.sealed, newest.hint
    item.retiring_secrets = [
        RetiringSecret(  # type: ignore[no-untyped-call]
            sealed=one.sealed, hint=one.hint, retires_at=instant(one.retires_at)
        )
        for one in retiring
        if one.retires_at is not None
    ]


def add_webhook(transaction: Transaction, item: WebhookItem) -> None:
    """The transaction fails with `Conflict` where the institution has 50 already."""
    transaction.put(item)
    well = Health().model_dump_json(exclude_defaults=True)
    transaction.put(HealthItem(item.sk, state=well, rate_limit=item.rate_limit))
    transaction.update(
        CountItem(item.pk),
        [CountItem.webhooks.add(1)],
        CountItem.webhooks.does_not_exist() | (CountItem.webhooks < WEBHOOKS_AT_MOST),
        Conflict(f"An institution has at most {WEBHOOKS_AT_MOST} webhooks; delete one first."),
    )


def remove_webhook(transaction: Transaction, institution_id: str, webhook_id: str) -> None:
    transaction.delete(WebhookItem(institution_id, webhook_id), WebhookItem.pk.exists(), NotFound("webhook"))
    transaction.delete(HealthItem(webhook_id, "HEALTH"))
    transaction.update(CountItem(institution_id), [CountItem.webhooks.add(-1)])


# Whether an endpoint may be sent to


def health_of(webhook_id: str) -> HealthItem | None:
    """None where the webhook is gone."""
    try:
        return HealthItem.get(webhook_id, "HEALTH", consistent_read=True)
    except HealthItem.DoesNotExist:
        return None


def replace_health(item: HealthItem, health: Health) -> bool:
    """Whether nobody was faster; `item` then holds what is stored."""
    version = int(item.version)
    try:
        item.update(
            [HealthItem.state.set(health.model_dump_json(exclude_defaults=True)), HealthItem.version.add(1)],
            HealthItem.version == version,
        )
    except UpdateError as error:
        unless_condition_failed(error)
        return False
    return True


def reset_health(transaction: Transaction, webhook_id: str, *, rate_limit: float | None) -> None:
    """As of a new endpoint. What is parked is looked at by the next sweep."""
    transaction.update(
        HealthItem(webhook_id, "HEALTH"),
        [
            HealthItem.state.set(Health().model_dump_json(exclude_defaults=True)),
            HealthItem.version.add(1),
            HealthItem.rate_limit.remove() if rate_limit is None else HealthItem.rate_limit.set(rate_limit),
            HealthItem.parked_at.set("0"),
            HealthItem.wake_at.set("0"),
            HealthItem.due_key.set(_due_key(webhook_id)),
        ],
    )


def note_parked(item: HealthItem, until: datetime, now: datetime) -> None:
    """See to it that parked deliveries are looked at, if that was not noted a moment ago."""
    known = item.parked_at
    if known is not None and known > instant(now - NOTED_EVERY):
        return
    actions: list[Action] = [HealthItem.parked_at.set(instant(now))]
    if item.wake_at is None or item.wake_at > instant(until):
        actions += [HealthItem.wake_at.set(instant(until)), HealthItem.due_key.set(_due_key(item.pk))]
    _unless_gone(item, actions)


def look_again(item: HealthItem, moment: datetime | None) -> None:
    """When parked deliveries are looked at next; None: there are none."""
    if moment is not None:
        return _unless_gone(item, [HealthItem.wake_at.set(instant(moment))])
    gone: list[Action] = [
        HealthItem.wake_at.remove(),
        HealthItem.due_key.remove(),
        HealthItem.parked_at.remove(),
    ]
    return _unless_gone(item, gone)


def _unless_gone(item: HealthItem, actions: list[Action]) -> None:
    """Write, unless the webhook is deleted or somebody has parked a delivery meanwhile."""
    known = item.parked_at
    same = HealthItem.parked_at.does_not_exist() if known is None else HealthItem.parked_at == known
    try:
        item.update(actions, HealthItem.state.exists() & same)
    except UpdateError as error:
        unless_condition_failed(error)


# Deliveries


def pending(  # noqa: PLR0913 (what a delivery is)
    *,
    webhook_id: str,
    delivery_id: str,
    institution_id: str,
    event_id: str,
    event_type: str,
    trigger: str,
    request_id: str | None,
    now: datetime,
    resend_of: str | None = None,
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
        resend_of=resend_of,
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
    item.status = "delivering"
    return item


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
                DeliveryItem.status.set("delivering"),
                DeliveryItem.claim.set(token),
                DeliveryItem.claims.add(1),
                *_due(now + lease),
            ],
            (DeliveryItem.due_at <= instant(now)) & (DeliveryItem.expires_at > epoch(now)),
        )
    except UpdateError as error:
        unless_condition_failed(error)
        return _due_later(place, now)
    return item


def _due_later(place: Place, now: datetime) -> datetime | None:
    try:
        item = delivery_of(place.webhook_id, place.delivery_id, now)
    except NotFound:
        return None
    if item.status in ("delivering", "parked") or item.due_at is None:
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


def park(place: Place, now: datetime) -> datetime | None:
    """Leave a delivery that is due until its endpoint is free, or until it is too late for it.

    When it will be due, where that is later than now.
    """
    late_at = moment_of(place.delivery_id) + LATE_AFTER
    try:
        DeliveryItem(place.webhook_id, place.delivery_id).update(
            [
                *_to_state(place.webhook_id, place.event_type, "parked"),
                DeliveryItem.due_at.set(instant(late_at)),
                DeliveryItem.wake_at.set(instant(late_at)),
            ],
            (DeliveryItem.due_at <= instant(now)) & (DeliveryItem.expires_at > epoch(now)),
        )
    except UpdateError as error:
        unless_condition_failed(error)
        return _due_later(place, now)
    return None


def parked(webhook_id: str, at_most: int) -> list[DeliveryItem]:
    """The oldest."""
    ids = deliveries_of(webhook_id, status="parked", between=("dlv_", "dlv_~"), limit=at_most, backwards=True)
    return whole(webhook_id, ids)


def let_go(deliveries: Sequence[DeliveryItem], now: datetime) -> list[Place]:
    """Of these, what is still parked: it is due now."""
    gone = []
    for item in deliveries:
        status = "retrying" if item.attempts_made else "pending"
        try:
            DeliveryItem(item.pk, item.sk).update(
                [*_to_state(item.pk, item.event_type, status), *_due(now)], DeliveryItem.status == "parked"
            )
        except UpdateError as error:  # somebody else let it go
            unless_condition_failed(error)
            continue
        gone.append(Place(webhook_id=item.pk, delivery_id=item.sk, event_type=item.event_type))
    return gone


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
        actions += _to_code(item.pk, status_code)
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


def _to_code(webhook_id: str, status_code: int | None) -> list[Action]:
    if status_code is None:
        return [
            DeliveryItem.last_status_code.remove(),
            DeliveryItem.code_key.remove(),
            DeliveryItem.code_class_key.remove(),
        ]
    return [
        DeliveryItem.last_status_code.set(status_code),
        DeliveryItem.code_key.set(f"{webhook_id}#{status_code}"),
        DeliveryItem.code_class_key.set(f"{webhook_id}#{status_code // 100}xx"),
    ]


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
    status: str | None = None,
    event_type: str | None = None,
    code: str | None = None,
    between: tuple[str, str],
    start: str | None = None,
    limit: int,
    backwards: bool = False,
) -> Sequence[str]:
    """Ids, newest first; `between` bounds them, and their order is that of time.

    `code` is exact or a class (`5xx`), and alone.
    """
    low, high = between
    if start is not None and backwards:
        low = start + "0"  # longer, so after `start`
    elif start is not None:
        high = start[:-1] + chr(ord(start[-1]) - 1) + "~"  # before `start`
    if low > high:
        return []
    query: dict[str, Any] = {"scan_index_forward": backwards, "limit": limit}
    in_range = DeliveryItem.sk.between(low, high)
    if code:
        index = DeliveryItem.by_code_class if code.endswith("xx") else DeliveryItem.by_code
        found = index.query(f"{webhook_id}#{code}", in_range, **query)
    elif status and event_type:
        found = DeliveryItem.by_status_and_type.query(
            f"{webhook_id}#{status}#{event_type}", in_range, **query
        )
    elif status:
        found = DeliveryItem.by_status.query(f"{webhook_id}#{status}", in_range, **query)
    elif event_type:
        found = DeliveryItem.by_type.query(f"{webhook_id}#{event_type}", in_range, **query)
    else:
        found = DeliveryItem.query(webhook_id, in_range, attributes_to_get=["pk", "sk"], **query)
    return [item.sk for item in found]


def delivering(webhook_id: str, event_type: str | None, between: tuple[str, str], now: datetime) -> list[str]:
    """Ids of deliveries whose attempt is under way, newest first: those that have a place at the endpoint."""
    item = health_of(webhook_id)
    places = {} if item is None else item.health.places
    ids = {token.partition("#")[0] for token, lost_at in places.items() if now < lost_at}
    low, high = between
    return [
        one.sk
        for one in whole(webhook_id, sorted(ids, reverse=True))
        if one.status == "delivering" and low <= one.sk <= high and event_type in (None, one.event_type)
    ]


def whole(webhook_id: str, delivery_ids: Sequence[str]) -> list[DeliveryItem]:
    """The deliveries of these ids as they are now, in the same order."""
    found = DeliveryItem.batch_get([(webhook_id, one) for one in delivery_ids], consistent_read=True)
    known = {item.sk: item for item in found}
    return [known[one] for one in delivery_ids if one in known]


# Recoveries


def recovery_of(webhook_id: str, recovery_id: str, now: datetime) -> RecoveryItem:
    """Raises `NotFound`, also for another webhook's."""
    if not is_id(recovery_id, "rcv"):
        raise NotFound("recovery")
    try:
        item = RecoveryItem.get(webhook_id, recovery_id, consistent_read=True)
    except RecoveryItem.DoesNotExist:
        raise NotFound("recovery") from None
    if item.expires_at <= epoch(now):
        raise NotFound("recovery")
    return item


def advance(item: RecoveryItem) -> bool:
    """Whether nobody else took this step."""
    known = int(item.version)
    item.version = known + 1
    try:
        item.save(condition=RecoveryItem.version == known)
    except PutError as error:
        unless_condition_failed(error)
        return False
    return True


def set_due(item: RecoveryItem, moment: datetime | None) -> None:
    """When the sweeper looks at the job, not yet written; None: it is done."""
    item.wake_at = None if moment is None else instant(moment)
    item.due_key = None if moment is None else _due_key(item.sk)


# What the sweeper looks at


def export_page(
    webhook_id: str, attributes: Sequence[str], *, low: str, high: str, after: RawItem | None = None
) -> tuple[list[RawItem], RawItem | None]:
    """A page of a webhook's deliveries in the order of their ids, and the key to go on from."""
    low, high = max(low, "dlv_"), min(high, "dlv_~")  # its health and recoveries stand beside them
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
    """What nobody came for: keys, event type and `wake_at` of deliveries, also of health and recovery items.

    Shards in any order.
    """
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


def _due_key(record_id: str) -> str:
    return f"DUE#{zlib.crc32(record_id.encode()) % DUE_SHARDS}"
