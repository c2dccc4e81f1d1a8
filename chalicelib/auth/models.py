"""People's accounts.

PK usr_…                        the user: e-mail, name, password hash
PK EMAIL#<sha256 of e-mail>     whose it is; what makes an address unique
"""

import hashlib

from pynamodb.attributes import NumberAttribute, UnicodeAttribute

from chalicelib.core.errors import NotFound
from chalicelib.core.store import Table, table
from chalicelib.core.tokens import TokenItem


class UserItem(Table):
    class Meta:
        table_name = table("accounts")

    pk = UnicodeAttribute(hash_key=True)
    email = UnicodeAttribute()
    name = UnicodeAttribute()
    password_hash = UnicodeAttribute()
    created_at = NumberAttribute()


class EmailItem(Table):
    class Meta:
        table_name = table("accounts")

    pk = UnicodeAttribute(hash_key=True)
    user_id = UnicodeAttribute()


def email_key(email: str) -> str:
    """The same for every spelling of an address: its case and surrounding space do not matter."""
    return f"EMAIL#{hashlib.sha256(email.strip().casefold().encode()).hexdigest()}"


def user_of(user_id: str) -> UserItem:
    """Raises `NotFound`."""
    try:
        return UserItem.get(user_id, consistent_read=True)
    except UserItem.DoesNotExist:
        raise NotFound("user") from None


def user_by_email(email: str) -> UserItem | None:
    """The user with this address, if there is one."""
    try:
        return user_of(EmailItem.get(email_key(email), consistent_read=True).user_id)
    except (EmailItem.DoesNotExist, NotFound):
        return None


def tokens_of(token_ids: frozenset[str]) -> list[TokenItem]:
    """The tokens that still exist, newest first."""
    return sorted(TokenItem.batch_get(sorted(token_ids)), key=lambda item: item.token_id, reverse=True)
