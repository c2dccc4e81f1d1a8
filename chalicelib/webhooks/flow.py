"""When an endpoint may be sent to: places, a rate, holds and a circuit breaker, as rules over plain values.

* At most `AT_ONCE` requests are under way to one endpoint. Each has a place, which is lost when its worker
  does not come back in time.
* An owner may set how many requests a minute are sent.
* `Retry-After` of a 429 or 503 holds the whole endpoint.
* The circuit opens after five failures in a row, or when 70 % of at least ten attempts within five minutes
  fail. It stays open for a minute, then twice as long each time, an hour at most; then one delivery probes.
  Success closes it, and the endpoint gets one place more with each success until it has all of them again.

What may not be sent now is parked, which spends none of its retries, and let go when the endpoint is free.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict

AT_ONCE = 5
PLACE_LASTS = timedelta(seconds=45)
"""Longer than the delivering function may run."""
WINDOW = timedelta(minutes=5)
WINDOW_ATTEMPTS = 10
WINDOW_FAILING = 0.7
IN_A_ROW = 5
FIRST_OPEN = timedelta(minutes=1)
LONGEST_OPEN = timedelta(hours=1)
FAILING_FOR = timedelta(hours=120)
FAILING_ATTEMPTS = 20
LATE_AFTER = timedelta(hours=72)
"""A delivery that could not be sent for so long is not sent any more."""
LOOKED_AFTER = timedelta(minutes=1)

Result = Literal["success", "failure", "throttled"]
Circuit = Literal["closed", "open", "half_open"]


class Health(BaseModel):
    """What is known of an endpoint. A new one is well."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    places: Mapping[str, AwareDatetime] = {}
    """Tokens of requests under way, beginning with the delivery's id, and when each place is lost."""
    allowed: int = AT_ONCE
    minute: AwareDatetime | None = None
    sent: int = 0
    """In that minute."""
    held_until: AwareDatetime | None = None
    in_a_row: int = 0
    window_began: AwareDatetime | None = None
    window_attempts: int = 0
    window_failures: int = 0
    openings: int = 0
    open_until: AwareDatetime | None = None
    probe: str | None = None
    failing_since: AwareDatetime | None = None
    failures: int = 0
    """Since `failing_since`, with no success between."""

    def with_(self, **changes: object) -> "Health":
        return self.model_copy(update=changes)


@dataclass(frozen=True)
class Wait:
    """Not now: why, and when it may be worth asking again."""

    reason: Literal["open", "held", "places", "rate"]
    until: datetime


def enter(health: Health, token: str, now: datetime, per_minute: int | None) -> Health | Wait:
    """Take a place for one request, or learn why there is none."""
    health = _without_lost(health, now)
    refused = _closed_until(health, now)
    if refused is not None:
        return refused
    if len(health.places) >= _allowed(health):
        return Wait("places", min(health.places.values()))
    this_minute, sent = _minute(health, now)
    if per_minute is not None and sent >= per_minute:
        return Wait("rate", this_minute + timedelta(minutes=1))
    return health.with_(
        places={**health.places, token: now + PLACE_LASTS},
        minute=this_minute,
        sent=sent + 1,
        probe=health.probe if health.open_until is None else token,
    )


def leave(
    health: Health,
    token: str,
    result: Result | None,
    now: datetime,
    held_until: datetime | None = None,
) -> Health:
    """Give the place back and learn from what came of the request; None: nothing was sent."""
    was_probe = health.probe == token
    health = health.with_(
        places={one: lost for one, lost in health.places.items() if one != token},
        probe=None if was_probe else health.probe,
        held_until=max((one for one in (health.held_until, held_until) if one is not None), default=None),
    )
    if result is None:
        minute, sent = _minute(health, now)
        return health.with_(minute=minute, sent=max(sent - 1, 0))
    if result == "success":
        return _after_success(health, now, was_probe=was_probe)
    health = health.with_(failing_since=health.failing_since or now, failures=health.failures + 1)
    if result == "throttled" and not was_probe:  # it asks for patience, and is not broken
        return health
    return _after_failure(health, now, was_probe=was_probe)


def free(health: Health, now: datetime, per_minute: int | None) -> int:
    """How many parked deliveries may be let go now."""
    health = _without_lost(health, now)
    if _closed_until(health, now) is not None:
        return 0
    places = _allowed(health) - len(health.places)
    if per_minute is not None:
        places = min(places, per_minute - _minute(health, now)[1])
    return max(places, 0)


def next_look(health: Health, now: datetime) -> datetime:
    """When somebody should see whether parked deliveries can be let go."""
    refused = _closed_until(_without_lost(health, now), now)
    return now + LOOKED_AFTER if refused is None else refused.until


def is_failing(health: Health, now: datetime) -> bool:
    """Whether every attempt of a long time failed, so that the endpoint is to be switched off."""
    return (
        health.failing_since is not None
        and now - health.failing_since >= FAILING_FOR
        and health.failures >= FAILING_ATTEMPTS
    )


def circuit(health: Health, now: datetime) -> Circuit:
    if health.open_until is None:
        return "closed"
    return "open" if now < health.open_until else "half_open"


def is_too_late(made_at: datetime, now: datetime) -> bool:
    return now - made_at >= LATE_AFTER


def _without_lost(health: Health, now: datetime) -> Health:
    """Without the places of workers that died."""
    places = {token: lost for token, lost in health.places.items() if now < lost}
    return health.with_(places=places, probe=health.probe if health.probe in places else None)


def _closed_until(health: Health, now: datetime) -> Wait | None:
    if health.held_until is not None and now < health.held_until:
        return Wait("held", health.held_until)
    if health.open_until is not None:
        if now < health.open_until:
            return Wait("open", health.open_until)
        if health.probe is not None:
            return Wait("open", health.places[health.probe])
    return None


def _minute(health: Health, now: datetime) -> tuple[datetime, int]:
    """The present minute, and how many requests began in it."""
    this_minute = now.replace(second=0, microsecond=0)
    return this_minute, health.sent if health.minute == this_minute else 0


def _allowed(health: Health) -> int:
    """A probe goes beside what is still under way since before the circuit opened."""
    return len(health.places) + 1 if health.open_until is not None else health.allowed


def _after_success(health: Health, now: datetime, *, was_probe: bool) -> Health:
    health = _counted(health, now, failed=False).with_(failing_since=None, failures=0, in_a_row=0)
    if was_probe:
        return health.with_(
            open_until=None, openings=0, allowed=1, window_began=None, window_attempts=0, window_failures=0
        )
    if health.open_until is not None:  # sent before the circuit opened
        return health
    return health.with_(allowed=min(health.allowed + 1, AT_ONCE))


def _after_failure(health: Health, now: datetime, *, was_probe: bool) -> Health:
    health = _counted(health, now, failed=True).with_(in_a_row=health.in_a_row + 1)
    if health.open_until is not None and not was_probe:
        return health
    failing = health.window_failures >= WINDOW_FAILING * health.window_attempts
    if was_probe or health.in_a_row >= IN_A_ROW or (health.window_attempts >= WINDOW_ATTEMPTS and failing):
        wait = min(FIRST_OPEN * 2 ** min(health.openings, 10), LONGEST_OPEN)
        return health.with_(openings=health.openings + 1, open_until=now + wait)
    return health


def _counted(health: Health, now: datetime, *, failed: bool) -> Health:
    if health.window_began is None or now - health.window_began >= WINDOW:
        health = health.with_(window_began=now, window_attempts=0, window_failures=0)
    return health.with_(
        window_attempts=health.window_attempts + 1, window_failures=health.window_failures + failed
    )
