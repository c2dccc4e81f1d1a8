"""Fixed-window limits for whoever has no token: client addresses, sign-ins.

PK LIMIT#<key>#<window>   count, gone by TTL
"""

from datetime import datetime
from ipaddress import ip_address, ip_network

from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.exceptions import UpdateError

from chalicelib.core.clock import epoch
from chalicelib.core.errors import RateLimited
from chalicelib.core.store import Table, table, unless_condition_failed


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
    second = epoch(now)
    window = second // window_seconds
    ends_at = (window + 1) * window_seconds
    counter = CounterItem(f"LIMIT#{key}#{window}")
    try:
        counter.update(
            actions=[CounterItem.count_.add(1), CounterItem.expires_at.set(ends_at + 3600)],
            condition=CounterItem.count_.does_not_exist() | (CounterItem.count_ < limit),
        )
    except UpdateError as error:
        unless_condition_failed(error)
        raise RateLimited(ends_at - second, "Too many requests; try again later.") from error
    return limit - int(counter.count_)
