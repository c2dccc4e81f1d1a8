"""Accounts and tokens: sign-up, sign-in, and what a token may be."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from chalicelib.auth import models, passwords
from chalicelib.core import limits
from chalicelib.core.abilities import EVERYTHING
from chalicelib.core.clock import epoch, of_epoch, rfc3339
from chalicelib.core.errors import Conflict, Invalid, NotFound, Unauthenticated
from chalicelib.core.ids import new_id
from chalicelib.core.settings import settings
from chalicelib.core.store import Transaction
from chalicelib.core.tokens import Principal, TokenItem, mint
from chalicelib.core.types import Held
from chalicelib.institutions import service as institutions

TOKEN_LIFE = timedelta(days=365)
THROTTLE_SECONDS = 900


@dataclass(frozen=True)
class User:
    id: str
    email: str
    name: str


@dataclass(frozen=True)
class Issued:
    """A new token, its text shown this once. `replaced`: the tokens that made room for it."""

    token: str
    item: TokenItem
    replaced: list[str]


class EmailTaken(Invalid):
    def __init__(self) -> None:
        super().__init__({"email": ["has an account already"]})


class WrongCredentials(Unauthenticated):
    """The same for an unknown e-mail and a wrong password."""

    def __init__(self) -> None:
        super().__init__("The e-mail address or the password is wrong.")


class TooManyTokens(Conflict):
    def __init__(self) -> None:
        super().__init__(f"A member holds at most {institutions.TOKENS_AT_MOST} tokens; revoke one first.")


def sign_up(
    transaction: Transaction, *, email: str, password: str, name: str, now: datetime
) -> tuple[User, institutions.Member]:
    """A new account, a learner of the public institution.

    Raises `WeakPassword`, and `EmailTaken`, at the commit too.
    """
    passwords.refuse_weak(password, email=email, name=name)
    if models.user_by_email(email) is not None:
        raise EmailTaken
    user_id = new_id("usr", now)
    transaction.put(
        models.EmailItem(models.email_key(email), user_id=user_id),
        models.EmailItem.pk.does_not_exist(),
        EmailTaken(),
    )
    transaction.put(
        models.UserItem(
            user_id,
            email=email.strip(),
            name=name,
            password_hash=passwords.hashed(password),
            created_at=epoch(now),
        )
    )
    return User(user_id, email.strip(), name), institutions.join_public(transaction, user_id, now)


def throttle(*, email: str, address: str, now: datetime) -> None:
    """Count one sign-in. Raises `RateLimited` when the account or the address has tried too often."""
    origin = limits.origin(address)
    known = hashlib.sha256(f"{models.email_key(email)}@{origin}".encode()).hexdigest()
    for key, limit in (
        (f"sign-in#{origin}", settings().sign_in_address_limit),
        (f"sign-in#{models.email_key(email)}", settings().sign_in_account_limit),
        (f"sign-in#{known}", settings().sign_in_limit),
    ):
        limits.take(key, limit=limit, window_seconds=THROTTLE_SECONDS, now=now)


def check_password(*, email: str, password: str) -> User:
    """Who signs in. Raises `WrongCredentials`.

    The same reads and one Argon2 verification on either path, so that both take the same time.
    """
    user = models.user_by_email(email)
    if not passwords.matches(user.password_hash if user else None, password) or user is None:
        raise WrongCredentials
    return User(user.pk, user.email, user.name)


def member_signing_in(user: User, institution_id: str | None) -> institutions.Member:
    """The membership to act for. Raises `WrongCredentials` where there is none: none is disclosed."""
    try:
        return institutions.member_of_user(user.id, institution_id)
    except NotFound:
        raise WrongCredentials from None


def issue(
    transaction: Transaction,
    member: institutions.Member,
    *,
    name: str,
    granted: list[str],
    kind: str,
    now: datetime,
    expires_at: datetime | None = None,
) -> Issued:
    """A new token for the member. A session takes the place of the oldest one where there are 25.

    One place is kept for sessions: whoever has made all the API tokens can still sign in and revoke one.
    Raises `TooManyTokens`.
    """
    token_id = new_id("tok", now)
    token, secret_hash = mint(token_id)
    item = TokenItem(
        token_id,
        secret_hash=secret_hash,
        kind=kind,
        name=name,
        institution_id=member.institution_id,
        member_id=member.id,
        user_id=member.user_id,
        role=member.role.value,
        abilities=granted,
        per_minute=member.per_minute,
        created_at=epoch(now),
        expires_at=epoch(expires_at or now + TOKEN_LIFE),
    )
    transaction.put(item)
    replaced: list[str] = []
    at_most = institutions.TOKENS_AT_MOST - (kind != "session")
    if len(member.token_ids) >= at_most:
        replaced = _replaceable(member, kind, now)
        for old in replaced:
            transaction.delete(TokenItem(old))
    institutions.hold_token(
        transaction, member, token_id, instead_of=replaced, at_most=at_most, full=TooManyTokens()
    )
    return Issued(token, item, replaced)


def _replaceable(member: institutions.Member, kind: str, now: datetime) -> list[str]:
    """Tokens that are gone or expired; for a session else the oldest session, which nobody may miss."""
    found = {item.token_id: item for item in models.tokens_of(member.token_ids)}
    dead = [one for one in member.token_ids if one not in found or found[one].expires_at <= epoch(now)]
    if dead or kind != "session":
        return dead
    return [item.token_id for item in found.values() if item.kind == "session"][-1:]


def create_token(
    transaction: Transaction,
    caller: Principal,
    *,
    name: str,
    granted: list[str],
    expires_at: datetime | None,
    now: datetime,
) -> Issued:
    """A token no wider than the caller's, and no longer-lived. Raises `Invalid`, `TooManyTokens`."""
    grantable = {*caller.abilities, *({EVERYTHING} & set(caller.granted))}
    wider = [ability for ability in granted if ability not in grantable]
    if wider:
        raise Invalid({"abilities": [f"this token cannot grant {ability}" for ability in wider]})
    latest = min(now + TOKEN_LIFE, moment(caller.expires_at))
    if expires_at is not None and not now < expires_at <= latest:
        raise Invalid({"expires_at": [f"must be in the future, at most {rfc3339(latest)}"]})
    member = institutions.member(caller.institution_id, caller.member_id)
    return issue(
        transaction, member, name=name, granted=granted, kind="api", now=now, expires_at=expires_at or latest
    )


def user_of(caller: Principal) -> User:
    item = models.user_of(caller.user_id)
    return User(item.pk, item.email, item.name)


def tokens_of(caller: Principal, now: datetime) -> list[TokenItem]:
    """The caller's living tokens, newest first."""
    member = institutions.member(caller.institution_id, caller.member_id)
    return [item for item in models.tokens_of(member.token_ids) if item.expires_at > epoch(now)]


def revoke(transaction: Transaction, caller: Principal, token_id: str) -> None:
    """End one of the caller's tokens. Raises `NotFound`, also for anyone else's."""
    if token_id not in institutions.member(caller.institution_id, caller.member_id).token_ids:
        raise NotFound("token")
    transaction.delete(TokenItem(token_id), TokenItem.token_id.exists(), NotFound("token"))
    institutions.release_token(transaction, caller.institution_id, caller.member_id, token_id)


def personal_data(whom: institutions.Person) -> Held:
    """The account without its password, and the tokens without their secrets."""
    user = models.user_of(whom.user_id)
    yield (
        "account",
        [
            {
                "user_id": user.pk,
                "email": user.email,
                "name": user.name,
                "created_at": of_epoch(user.created_at),
            }
        ],
    )
    yield "tokens", [_token_facts(item) for item in models.tokens_of(whom.token_ids)]


def _token_facts(item: TokenItem) -> dict[str, object]:
    used = item.last_used_at
    return {
        "id": item.token_id,
        "name": item.name,
        "kind": item.kind,
        "abilities": list(item.abilities),
        "created_at": of_epoch(item.created_at),
        "last_used_at": None if used is None else of_epoch(used),
        "expires_at": of_epoch(item.expires_at),
    }


def revoke_all(transaction: Transaction, token_ids: frozenset[str]) -> None:
    for token_id in sorted(token_ids):
        transaction.delete(TokenItem(token_id))


def erase(user_id: str) -> None:
    """Forget an account, its address first: from then on nobody signs in with it. Safe to repeat."""
    try:
        user = models.user_of(user_id)
    except NotFound:
        return
    models.forget_address(user.email, user_id)
    user.delete()


def moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(int(seconds), UTC)
