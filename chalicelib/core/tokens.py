"""Bearer tokens: named, scoped, shown once, and counted against their rate limit.

A token reads `tlk_<id>_<secret><checksum>`: a ULID, 43 base62 characters (256 bits), and the CRC-32
of all before it in six more, so that secret scanners recognise one and nonsense costs no read. Only
the SHA-256 of the secret is stored.

    PK token id   the token, its owner's role, its limit, and a counter per minute (n<minute>)

`admit` does authentication, the rate limit and `last_used_at` in one conditional UpdateItem. The
counter's name contains its minute, and the minute before keeps its own: a container whose clock
lags by up to a window still counts exactly (research: limits, variant D).

What a token may do and how often follows its owner: a changed role is written through to the member's
tokens in the same transaction (`rewrite`), so it acts on the next call.
"""

import hashlib
import random
import re
import secrets
import string
import time
import zlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from pynamodb.attributes import ListAttribute, NumberAttribute, UnicodeAttribute
from pynamodb.expressions.update import Action

from chalicelib.core import limits
from chalicelib.core.abilities import Ability, Role, held
from chalicelib.core.clock import epoch
from chalicelib.core.errors import DomainError, RateLimited, Unauthenticated
from chalicelib.core.settings import settings
from chalicelib.core.store import Table, Transaction, connection, table

T = TypeVar("T")

WINDOW_SECONDS = 60
_BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
_SECRET_LENGTH = 43
_CHECKSUM_LENGTH = 6
_TOKEN = re.compile(r"(tlk_([0-9A-HJKMNP-TV-Z]{26})_([0-9A-Za-z]{43}))([0-9A-Za-z]{6})")
_STALE_AT_MOST = 8
_REFUSAL_KEPT_SECONDS = 2.0
_KEPT_AT_MOST = 10_000
_TRIES = 4


class TokenItem(Table):
    """A token as stored. Its counters are attributes outside the model, named by their minute."""

    class Meta:
        table_name = table("tokens")

    token_id = UnicodeAttribute(hash_key=True)
    secret_hash = UnicodeAttribute()
    kind = UnicodeAttribute()
    name = UnicodeAttribute()
    institution_id = UnicodeAttribute()
    member_id = UnicodeAttribute()
    user_id = UnicodeAttribute()
    role = UnicodeAttribute()
    abilities: ListAttribute[str] = ListAttribute()
    per_minute = NumberAttribute()
    created_at = NumberAttribute()
    last_used_at = NumberAttribute(null=True)
    expires_at = NumberAttribute()


@dataclass(frozen=True)
class Principal:
    """Who calls: one member of one institution, by one token."""

    token_id: str
    institution_id: str
    member_id: str
    user_id: str
    role: Role
    abilities: frozenset[Ability]
    granted: tuple[str, ...]
    expires_at: int


@dataclass(frozen=True)
class Allowance:
    """What is left of this minute, as the `X-RateLimit-*` headers tell it. `reset`: epoch seconds."""

    limit: int
    remaining: int
    reset: int


def mint(token_id: str) -> tuple[str, str]:
    """A new token for this id, and the hash of its secret."""
    secret = "".join(secrets.choice(_BASE62) for _ in range(_SECRET_LENGTH))
    body = f"tlk_{token_id.removeprefix('tok_')}_{secret}"
    return body + _checksum(body), _hash(secret)


def parse(token: str) -> tuple[str, str] | None:
    """Token id and hash of the secret, or None for what cannot be a token of ours."""
    found = _TOKEN.fullmatch(token)
    if found is None:
        return None
    body, ulid, secret, checksum = found.groups()
    return (f"tok_{ulid}", _hash(secret)) if checksum == _checksum(body) else None


class Refused(Exception):
    """Not admitted. `allowance`: what is left to the token, or to the address that sent a wrong one; None
    where nothing was counted.
    """

    def __init__(self, error: DomainError, allowance: Allowance | None = None) -> None:
        super().__init__(error.detail)
        self.error = error
        self.allowance = allowance


_refused: dict[tuple[str, str], tuple[float, int, Refused]] = {}
_admitted: set[tuple[str, str]] = set()


def admit(token: str, now: datetime, origin: str) -> tuple[Principal, Allowance]:
    """The caller behind `token`, and what its minute still allows. One DynamoDB call, or none.

    Raises `Refused` with 401 for a token that is malformed, unknown, revoked or expired, with 429
    when its minute is spent, or when `origin`, the client's address, has been refused too often in this
    minute; what this container has admitted before then passes all the same. A container remembers a
    refusal for two seconds of the same minute.
    """
    parsed = parse(token)
    if parsed is None:
        raise Refused(Unauthenticated("This is not a Talktiko API token."))
    minute = epoch(now) // WINDOW_SECONDS
    kept = _refused.get(parsed)
    if kept and kept[0] > time.monotonic() and kept[1] == minute:
        raise kept[2]
    if parsed not in _admitted:
        _limit_refusals(limits.unless_spent, origin, now)
    try:
        item = _count(*parsed, now=now, minute=minute)
    except Refused as refused:
        known = refused
        if known.allowance is None:
            _admitted.discard(parsed)
            known = Refused(known.error, _counted_refusal(origin, now))
        if len(_refused) >= _KEPT_AT_MOST:
            _refused.clear()
        _refused[parsed] = (time.monotonic() + _REFUSAL_KEPT_SECONDS, minute, known)
        raise known from None
    if len(_admitted) >= _KEPT_AT_MOST:
        _admitted.clear()
    _admitted.add(parsed)
    return _principal(item), _allowance(item, minute)


def rewrite(transaction: Transaction, token_ids: Collection[str], *actions: Action) -> None:
    """Change these tokens, as far as they exist; where one ends meanwhile, the commit raises `Stale`."""
    for item in TokenItem.batch_get(sorted(token_ids), consistent_read=True):
        transaction.update(item, list(actions), TokenItem.token_id.exists())


def _limit_refusals(limit: Callable[..., T], origin: str, now: datetime) -> T:
    """Whoever guesses tokens pays by address: a guess with a right checksum costs us a write."""
    try:
        return limit(f"refused#{origin}", window_seconds=WINDOW_SECONDS, now=now)
    except RateLimited as error:
        reset = epoch(now) + error.retry_after
        raise Refused(error, Allowance(settings().refused_token_limit, 0, reset)) from error


def _counted_refusal(origin: str, now: datetime) -> Allowance:
    """Count one for this address, and say how many more it may have."""
    limit = settings().refused_token_limit
    left = _limit_refusals(partial(limits.take, limit=limit), origin, now)
    return Allowance(limit, left, (epoch(now) // WINDOW_SECONDS + 1) * WINDOW_SECONDS)


def _count(token_id: str, secret_hash: str, *, now: datetime, minute: int) -> Mapping[str, Any]:
    """Count one request and say when; the item after it. Raises `Refused`."""
    second = epoch(now)
    names = {"#now": f"n{minute}", "#old": f"n{minute - 2}", "#older": f"n{minute - 3}"}
    request = {
        "TableName": TokenItem.Meta.table_name,
        "Key": {"token_id": {"S": token_id}},
        "UpdateExpression": "ADD #now :one SET last_used_at = :second REMOVE #old, #older",
        "ConditionExpression": "secret_hash = :hash AND expires_at > :second"
        " AND (attribute_not_exists(#now) OR #now < per_minute)",
        "ExpressionAttributeNames": names,
        "ExpressionAttributeValues": {
            ":one": {"N": "1"},
            ":second": {"N": str(second)},
            ":hash": {"S": secret_hash},
        },
        "ReturnValues": "ALL_NEW",
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }
    for attempt in range(_TRIES):
        try:
            answer = connection().dispatch("UpdateItem", request)
        except Exception as error:
            response: Mapping[str, Any] = getattr(error.__cause__, "response", {})
            code = response.get("Error", {}).get("Code")
            if code == "ConditionalCheckFailedException":
                raise _refusal(response.get("Item"), secret_hash, second, minute) from error
            if code != "TransactionConflictException" or attempt == _TRIES - 1:
                raise
            time.sleep(random.uniform(0.5, 1.0) * 0.02 * 2**attempt)  # noqa: S311 (jitter)
        else:
            break
    item: Mapping[str, Any] = answer["Attributes"]
    _sweep(token_id, item, minute)
    return item


def _refusal(item: Mapping[str, Any] | None, secret_hash: str, second: int, minute: int) -> Refused:
    """Why the condition failed, told from the item that came back with the failure."""
    if not item or item["secret_hash"]["S"] != secret_hash:
        return Refused(Unauthenticated("This token is unknown or has been revoked."))
    if int(item["expires_at"]["N"]) <= second:
        return Refused(Unauthenticated("This token has expired."))
    allowance = _allowance(item, minute)
    return Refused(RateLimited(max(1, allowance.reset - second)), allowance)


def _allowance(item: Mapping[str, Any], minute: int) -> Allowance:
    limit = int(item["per_minute"]["N"])
    used = int(item.get(f"n{minute}", {"N": "0"})["N"])
    return Allowance(limit, max(0, limit - used), (minute + 1) * WINDOW_SECONDS)


def _principal(item: Mapping[str, Any]) -> Principal:
    role = Role(item["role"]["S"])
    granted = tuple(ability["S"] for ability in item["abilities"]["L"])
    return Principal(
        token_id=item["token_id"]["S"],
        institution_id=item["institution_id"]["S"],
        member_id=item["member_id"]["S"],
        user_id=item["user_id"]["S"],
        role=role,
        abilities=held(role, granted),
        granted=granted,
        expires_at=int(item["expires_at"]["N"]),
    )


def _sweep(token_id: str, item: Mapping[str, Any], minute: int) -> None:
    """Remove counters that pauses left behind; only when there are several, so it is rare."""
    stale = [name for name in item if name[0] == "n" and name[1:].isdigit() and int(name[1:]) < minute - 1]
    if len(stale) < _STALE_AT_MOST:
        return
    aliases = {f"#n{n}": name for n, name in enumerate(stale)}
    connection().dispatch(
        "UpdateItem",
        {
            "TableName": TokenItem.Meta.table_name,
            "Key": {"token_id": {"S": token_id}},
            "UpdateExpression": f"REMOVE {', '.join(aliases)}",
            "ConditionExpression": "attribute_exists(token_id)",
            "ExpressionAttributeNames": aliases,
        },
    )


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _checksum(body: str) -> str:
    number = zlib.crc32(body.encode())
    digits = ""
    for _ in range(_CHECKSUM_LENGTH):
        number, digit = divmod(number, 62)
        digits = _BASE62[digit] + digits
    return digits
