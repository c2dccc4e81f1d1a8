"""Institutions and their members.

PK ins_…         SK META     the institution: name, plan
PK ins_…         SK mem_…    a member: user, role, status, time zone, rate limit, the ids of its tokens
PK USER#usr_…    SK ins_…    which member a user is in an institution
"""

from collections.abc import Iterator

from pynamodb.attributes import NumberAttribute, UnicodeAttribute, UnicodeSetAttribute

from chalicelib.core.errors import NotFound
from chalicelib.core.store import Table, table


class InstitutionItem(Table):
    class Meta:
        table_name = table("institutions")

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True, default="META")
    name = UnicodeAttribute()
    plan = UnicodeAttribute()
    per_minute = NumberAttribute()
    created_at = NumberAttribute()


class MemberItem(Table):
    class Meta:
        table_name = table("institutions")

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    user_id = UnicodeAttribute()
    role = UnicodeAttribute()
    status = UnicodeAttribute()
    time_zone = UnicodeAttribute(null=True)
    per_minute = NumberAttribute()
    token_ids = UnicodeSetAttribute(null=True)
    created_at = NumberAttribute()


class MembershipItem(Table):
    class Meta:
        table_name = table("institutions")

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    member_id = UnicodeAttribute()


def institution_of(institution_id: str) -> InstitutionItem:
    """Raises `NotFound`."""
    try:
        return InstitutionItem.get(institution_id, "META", consistent_read=True)
    except InstitutionItem.DoesNotExist:
        raise NotFound("institution") from None


def member_of(institution_id: str, member_id: str) -> MemberItem:
    """Raises `NotFound`, also for another institution's member."""
    try:
        return MemberItem.get(institution_id, member_id, consistent_read=True)
    except MemberItem.DoesNotExist:
        raise NotFound("member") from None


def members_of(institution_id: str) -> Iterator[MemberItem]:
    """All of them, in the order of joining."""
    return MemberItem.query(institution_id, MemberItem.sk.startswith("mem_"), consistent_read=True)


def forget_membership(user_id: str, institution_id: str) -> None:
    MembershipItem(f"USER#{user_id}", institution_id).delete()


def forget_member(institution_id: str, member_id: str) -> None:
    MemberItem(institution_id, member_id).delete()


def membership_of(user_id: str, institution_id: str) -> MembershipItem:
    """Raises `NotFound` where the user is no member."""
    try:
        return MembershipItem.get(f"USER#{user_id}", institution_id, consistent_read=True)
    except MembershipItem.DoesNotExist:
        raise NotFound("membership") from None


def newest_membership_of(user_id: str) -> MembershipItem:
    """In the institution made last; the public one's id comes before all others. Raises `NotFound`."""
    found = MembershipItem.query(f"USER#{user_id}", scan_index_forward=False, limit=1, consistent_read=True)
    for membership in found:
        return membership
    raise NotFound("membership")
