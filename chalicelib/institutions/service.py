"""Institutions and members: who belongs where, as what."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from pynamodb.expressions.condition import size
from pynamodb.expressions.operand import Path
from pynamodb.expressions.update import Action

from chalicelib.core.abilities import Role
from chalicelib.core.clock import epoch
from chalicelib.core.errors import NotFound
from chalicelib.core.ids import new_id
from chalicelib.core.store import Transaction
from chalicelib.institutions import models

PUBLIC_INSTITUTION = "ins_00000000000000000000000000"
TOKENS_AT_MOST = 25
PLAN_LIMITS = {"free": 100, "pro": 1000}


@dataclass(frozen=True)
class Member:
    """A user in an institution. `per_minute` is the rate limit of the institution's plan."""

    id: str
    institution_id: str
    user_id: str
    role: Role
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
    transaction: Transaction, name: str, plan: str, now: datetime, institution_id: str | None = None
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
            created_at=epoch(now),
        )
    )
    membership = models.MembershipItem(f"USER#{user_id}", institution_id, member_id=member_id)
    transaction.put(membership, models.MembershipItem.pk.does_not_exist())
    return Member(member_id, institution_id, user_id, role, per_minute, frozenset())


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
    return Member(
        id=item.sk,
        institution_id=item.pk,
        user_id=item.user_id,
        role=Role(item.role),
        per_minute=_per_minute(item.pk),
        token_ids=frozenset(item.token_ids or ()),
    )


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
    as_read = (models.MemberItem.status == "active") & (models.MemberItem.role == holder.role.value)
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


def _per_minute(institution_id: str) -> int:
    if institution_id == PUBLIC_INSTITUTION:
        return PLAN_LIMITS["free"]
    return int(models.institution_of(institution_id).per_minute)
