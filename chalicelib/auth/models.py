"""People's accounts.

PK usr_…                        the user: e-mail, name, password hash
PK EMAIL#<sha256 of e-mail>     whose it is; what makes an address unique
"""

import hashlib
import unicodedata

from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.exceptions import DeleteError

from chalicelib.core.errors import NotFound
from chalicelib.core.store import Table, table, unless_condition_failed
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
    """The same for every spelling of an address: neither case nor Unicode form matters."""
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", email.strip()).casefold())
    return f"EMAIL#{hashlib.sha256(folded.encode()).hexdigest()}"


def user_of(user_id: str) -> UserItem:
    """Raises `NotFound`."""
    try:
        return UserItem.get(user_id, consistent_read=True)
    except UserItem.DoesNotExist:
        raise NotFound("user") from None


def user_by_email(email: str) -> UserItem | None:
    """The user with this address, if there is one. Two reads in either case: they take the same time."""
    try:
        user_id = EmailItem.get(email_key(email), consistent_read=True).user_id
    except EmailItem.DoesNotExist:
        user_id = "nobody"
    try:
        return user_of(user_id)
    except NotFound:
        return None


def forget_address(email: str, user_id: str) -> None:
    """Let an address be nobody's, unless it is another user's by now."""
    try:
        EmailItem(email_key(email)).delete(EmailItem.user_id == user_id)
    except DeleteError as error:
        unless_condition_failed(error)


def tokens_of(token_ids: frozenset[str]) -> list[TokenItem]:
    """The tokens that still exist, newest first."""
    return sorted(TokenItem.batch_get(sorted(token_ids)), key=lambda item: item.token_id, reverse=True)
