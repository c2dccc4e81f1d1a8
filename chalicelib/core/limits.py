"""Fixed-window limits for whoever has no token: client addresses, sign-ins.

PK LIMIT#<key>#<window>   count, gone by TTL

A container remembers which windows are spent: a count only grows, so that costs no exactness.
"""

from datetime import datetime
from ipaddress import ip_address, ip_network

from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.exceptions import UpdateError

from chalicelib.core.clock import epoch
from chalicelib.core.errors import RateLimited
from chalicelib.core.store import Table, table, unless_condition_failed

_KEPT_AT_MOST = 10_000
_spent: set[str] = set()


class CounterItem(Table):
    """How often `pk` was seen in its window."""

    class Meta:
        table_name = table("requests")

    pk = UnicodeAttribute(hash_key=True)
    count_ = NumberAttribute(attr_name="count", default=0)
    expires_at = NumberAttribute()


def origin(address: str) -> str:
    """Who stands behind a client's address: of IPv6 the /64, which is what one customer gets."""
    found = ip_address(address)
    return str(ip_network((found, 64), strict=False)) if found.version == 6 else address


def take(key: str, *, limit: int, window_seconds: int, now: datetime) -> int:
    """Count one use of `key`; how many are left in this window. One conditional write.

    Raises `RateLimited` when `limit` uses of this window are spent.
    """
    unless_spent(key, window_seconds=window_seconds, now=now)
    counter = CounterItem(_counter(key, window_seconds, now))
    ends_at = _end(window_seconds, now)
    try:
        counter.update(
            actions=[CounterItem.count_.add(1), CounterItem.expires_at.set(ends_at + 3600)],
            condition=CounterItem.count_.does_not_exist() | (CounterItem.count_ < limit),
        )
    except UpdateError as error:
        unless_condition_failed(error)
        if len(_spent) >= _KEPT_AT_MOST:
            _spent.clear()
        _spent.add(counter.pk)
        raise _refusal(window_seconds, now) from error
    return limit - int(counter.count_)


def unless_spent(key: str, *, window_seconds: int, now: datetime) -> None:
    """Raises `RateLimited` where this container has seen that the window is spent. No call."""
    if _counter(key, window_seconds, now) in _spent:
        raise _refusal(window_seconds, now)


def _counter(key: str, window_seconds: int, now: datetime) -> str:
    return f"LIMIT#{key}#{epoch(now) // window_seconds}"


def _end(window_seconds: int, now: datetime) -> int:
    return (epoch(now) // window_seconds + 1) * window_seconds


def _refusal(window_seconds: int, now: datetime) -> RateLimited:
    return RateLimited(_end(window_seconds, now) - epoch(now), "Too many requests; try again later.")
