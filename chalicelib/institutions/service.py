"""Institutions and members: who belongs where, as what."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from zoneinfo import ZoneInfo

from pynamodb.expressions.condition import Condition, size
from pynamodb.expressions.operand import Path
from pynamodb.expressions.update import Action

from chalicelib.core import outbox, tokens
from chalicelib.core.abilities import Role
from chalicelib.core.clock import epoch, of_epoch
from chalicelib.core.errors import Conflict, Invalid, NotFound
from chalicelib.core.events import Event, new_event
from chalicelib.core.ids import new_id
from chalicelib.core.store import Stale, Transaction
from chalicelib.core.tokens import TokenItem
from chalicelib.core.types import Held
from chalicelib.institutions import models
from chalicelib.institutions.events import SubscriptionUpdated

PUBLIC_INSTITUTION = "ins_00000000000000000000000000"
TOKENS_AT_MOST = 25
ERASED = "erased"
"""The status of a member from the moment its erasure is asked for."""
Plan = Literal["free", "pro", "enterprise"]
PLAN_LIMITS: dict[Plan, int] = {"free": 100, "pro": 1000}
PER_MINUTE_AT_MOST = 30_000
"""A token has one counter, and one item takes no more than about 500 writes a second for long."""
_TRIES = 5


@dataclass(frozen=True)
class Member:
    """A user in an institution. `per_minute` is the rate limit of the institution's plan."""

    id: str
    institution_id: str
    user_id: str
    role: Role
    status: str
    per_minute: int
    token_ids: frozenset[str]


@dataclass(frozen=True)
class Learner:
    """Whose learning something is: `learner_id` everywhere is a member's id."""

    id: str
    institution_id: str
    zone: ZoneInfo


def learner(institution_id: str, member_id: str) -> Learner:
    """An active member with the time zone that its days are counted in. One read.

    Raises `NotFound`, also for another institution's member.
    """
    item = models.member_of(institution_id, member_id)
    if item.status != "active":
        raise NotFound("member")
    return Learner(item.sk, item.pk, ZoneInfo(item.time_zone or "UTC"))


def create(
    transaction: Transaction, name: str, plan: Plan, now: datetime, institution_id: str | None = None
) -> str:
    """A new institution without members; its id, which the demo data chooses. `plan`: see PLAN_LIMITS."""
    made = institution_id or new_id("ins", now)
    item = models.InstitutionItem(
        made, name=name, plan=plan, per_minute=PLAN_LIMITS[plan], created_at=epoch(now)
    )
    transaction.put(item, models.InstitutionItem.pk.does_not_exist())
    return made


def join_public(transaction: Transaction, user_id: str, now: datetime) -> Member:
    """Make a new user a learner of the built-in public institution."""
    return add_member(transaction, PUBLIC_INSTITUTION, user_id, Role.LEARNER, PLAN_LIMITS["free"], now)


def add_member(
    transaction: Transaction, institution_id: str, user_id: str, role: Role, per_minute: int, now: datetime
) -> Member:
    """Make the user a member; the transaction fails with `Stale` if it is one already."""
    member_id = new_id("mem", now)
    transaction.put(
        models.MemberItem(
            institution_id,
            member_id,
            user_id=user_id,
            role=role.value,
            status="active",
            per_minute=per_minute,
            created_at=epoch(now),
        )
    )
    membership = models.MembershipItem(f"USER#{user_id}", institution_id, member_id=member_id)
    transaction.put(membership, models.MembershipItem.pk.does_not_exist())
    return Member(member_id, institution_id, user_id, role, "active", per_minute, frozenset())


def member_of_user(user_id: str, institution_id: str | None) -> Member:
    """The user as an active member of this institution. Raises `NotFound`.

    Unnamed, it is the user's own institution, the newest of several; the public one where there is none.
    """
    membership = (
        models.newest_membership_of(user_id)
        if institution_id is None
        else models.membership_of(user_id, institution_id)
    )
    return member(membership.sk, membership.member_id)


def member(institution_id: str, member_id: str) -> Member:
    """An active member. Raises `NotFound`, also for another institution's."""
    item = models.member_of(institution_id, member_id)
    if item.status != "active":
        raise NotFound("member")
    return _member(item)


def change_role(transaction: Transaction, institution_id: str, member_id: str, role: Role) -> None:
    """Make the member a `role`; it acts on the next call of each of its tokens. Raises `NotFound`."""
    holder = member(institution_id, member_id)
    item = models.MemberItem(institution_id, member_id)
    transaction.update(item, [models.MemberItem.role.set(role.value)], _unchanged(holder))
    tokens.rewrite(transaction, holder.token_ids, TokenItem.role.set(role.value))


def deactivate(transaction: Transaction, institution_id: str, member_id: str) -> None:
    """Take the member's tokens, sessions included, and let it make no more. Raises `NotFound`."""
    holder = member(institution_id, member_id)
    transaction.update(
        models.MemberItem(institution_id, member_id),
        [models.MemberItem.status.set("inactive"), models.MemberItem.token_ids.remove()],
        _unchanged(holder),
    )
    for token_id in holder.token_ids:
        transaction.delete(TokenItem(token_id))


def change_plan(
    transaction: Transaction, institution_id: str, plan: Plan, now: datetime, own_limit: int | None = None
) -> None:
    """Put the institution on `plan`. Its members and their tokens follow by event, within seconds.

    `own_limit`: requests per minute and token that an enterprise has agreed on. Raises `NotFound`.
    """
    per_minute = PLAN_LIMITS.get(plan, own_limit)
    if per_minute is None or not 1 <= per_minute <= PER_MINUTE_AT_MOST:
        raise Invalid({"per_minute": [f"must be from 1 to {PER_MINUTE_AT_MOST}"]})
    transaction.update(
        models.InstitutionItem(institution_id, "META"),
        [models.InstitutionItem.plan.set(plan), models.InstitutionItem.per_minute.set(per_minute)],
        models.InstitutionItem.pk.exists(),
        NotFound("institution"),
    )
    told = SubscriptionUpdated(plan=plan, requests_per_minute=per_minute)
    outbox.add(transaction, new_event(told, institution_id=institution_id, now=now))


def follow(event: Event) -> None:
    """Let members follow what happened to their institution.

    Safe to repeat, late or out of order: what is written is what the institution's record says now.
    """
    if event.type == SubscriptionUpdated.event_type:
        for item in models.members_of(event.institution_id):
            _follow_plan(item)


def _follow_plan(item: models.MemberItem) -> None:
    """Give the member, and its tokens, the limit of its institution, in one transaction."""
    for _ in range(_TRIES):
        limit, transaction = int(models.institution_of(item.pk).per_minute), Transaction()
        if int(item.per_minute) == limit:
            return
        holder = _member(item)
        still_so = models.InstitutionItem.per_minute == limit
        transaction.check(models.InstitutionItem, item.pk, "META", still_so)
        transaction.update(item, [models.MemberItem.per_minute.set(limit)], _unchanged(holder))
        tokens.rewrite(transaction, holder.token_ids, TokenItem.per_minute.set(limit))
        try:
            transaction.commit()
        except Stale:
            item = models.member_of(item.pk, item.sk)
        else:
            return
    raise Conflict("Other requests keep changing the same member.", retry_after=1)


def _member(item: models.MemberItem) -> Member:
    return Member(
        id=item.sk,
        institution_id=item.pk,
        user_id=item.user_id,
        role=Role(item.role),
        status=item.status,
        per_minute=int(item.per_minute),
        token_ids=frozenset(item.token_ids or ()),
    )


def _unchanged(holder: Member) -> Condition:
    """The member is as it was read, and so are the tokens that it holds."""
    held = models.MemberItem.token_ids
    as_read = held == set(holder.token_ids) if holder.token_ids else held.does_not_exist()
    condition: Condition = _same_terms(holder) & as_read
    return condition


def _same_terms(holder: Member) -> Condition:
    """What the member's tokens are made of has not changed."""
    condition: Condition = models.MemberItem.status == holder.status
    condition &= models.MemberItem.role == holder.role.value
    condition &= models.MemberItem.per_minute == holder.per_minute
    return condition


@dataclass(frozen=True)
class Person:
    """A member as a person whose data is held, active or not."""

    id: str
    institution_id: str
    user_id: str
    role: Role
    status: str
    token_ids: frozenset[str]


def person(institution_id: str, member_id: str) -> Person:
    """Raises `NotFound`, also for another institution's member, and for one that is being erased."""
    item = models.member_of(institution_id, member_id)
    if item.status == ERASED:
        raise NotFound("member")
    return Person(
        id=item.sk,
        institution_id=item.pk,
        user_id=item.user_id,
        role=Role(item.role),
        status=item.status,
        token_ids=frozenset(item.token_ids or ()),
    )


def personal_data(institution_id: str, member_id: str) -> Held:
    """The membership."""
    item = models.member_of(institution_id, member_id)
    membership = {
        "member_id": item.sk,
        "institution_id": item.pk,
        "institution_name": None
        if item.pk == PUBLIC_INSTITUTION
        else models.institution_of(institution_id).name,
        "user_id": item.user_id,
        "role": item.role,
        "status": item.status,
        "time_zone": item.time_zone,
        "created_at": of_epoch(item.created_at),
    }
    yield "membership", [membership]


def close(transaction: Transaction, whom: Person) -> None:
    """Let a member act no more and hold no token. Raises `Stale` at the commit if it has changed since."""
    held = models.MemberItem.token_ids
    as_read = models.MemberItem.status == whom.status
    as_read &= held == set(whom.token_ids) if whom.token_ids else held.does_not_exist()
    actions: list[Action] = [models.MemberItem.status.set(ERASED), held.remove()]
    transaction.update(models.MemberItem(whom.institution_id, whom.id), actions, as_read)


def leave(institution_id: str, member_id: str) -> str | None:
    """Forget that a member's user belongs here. The user, where it then belongs nowhere."""
    try:
        user_id = models.member_of(institution_id, member_id).user_id
    except NotFound:
        return None
    models.forget_membership(user_id, institution_id)
    try:
        models.newest_membership_of(user_id)
    except NotFound:
        return user_id
    return None


def forget(institution_id: str, member_id: str) -> None:
    """Forget a member. Safe to repeat, as `leave` is."""
    models.forget_member(institution_id, member_id)


def hold_token(
    transaction: Transaction,
    holder: Member,
    token_id: str,
    *,
    instead_of: Collection[str],
    at_most: int,
    full: Exception,
) -> None:
    """Note a token on its member, and forget those that it stands `instead_of`.

    Raises `full` where the member then had more than `at_most`; a member changed meanwhile is `Stale`.
    """
    held = models.MemberItem.token_ids
    kept = holder.token_ids - set(instead_of)
    if len(kept) >= at_most:
        raise full
    as_read = _same_terms(holder)
    if instead_of:
        action: Action = held.set({*kept, token_id})
        as_read &= held == set(holder.token_ids)
    else:
        action = held.add({token_id})
        room = size(Path("token_ids")) < at_most  # type: ignore[no-untyped-call]
        as_read &= held.does_not_exist() | room
    transaction.update(models.MemberItem(holder.institution_id, holder.id), [action], as_read)


def release_token(transaction: Transaction, institution_id: str, member_id: str, token_id: str) -> None:
    """Forget the token on its member."""
    item = models.MemberItem(institution_id, member_id)
    transaction.update(
        item,
        [models.MemberItem.token_ids.delete({token_id})],
        models.MemberItem.pk.exists(),
        NotFound("member"),
    )


def plan_of(institution_id: str) -> str:
    """`free`, `pro` or `enterprise`."""
    return "free" if institution_id == PUBLIC_INSTITUTION else models.institution_of(institution_id).plan
