"""The rules of `flow` on what is stored: decide, write if nobody was faster, decide again.

What goes wrong here costs an endpoint a place for 45 seconds or a look for a minute, never a delivery.
"""

import random
import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from pynamodb.exceptions import PynamoDBException

from chalicelib.core.clock import instant
from chalicelib.core.logs import log
from chalicelib.webhooks import flow, models, service
from chalicelib.webhooks.flow import Health, Result, Wait
from chalicelib.webhooks.models import HealthItem, Place

_TRIES = 8
_TURNED_AWAY_AT_MOST = 2
_SHORT_WAIT = (1, 4)


@dataclass
class Ticket:
    """A place at an endpoint; without `item` for a webhook that is gone, which gets none."""

    token: str
    item: HealthItem | None
    held: bool = True


def enter(webhook_id: str, token: str, now: datetime) -> Ticket | Wait:
    """A place for one request, or why there is none."""
    for attempt in range(_TRIES):
        item = models.health_of(webhook_id)
        if item is None:
            return Ticket(token, None)
        decided = flow.enter(item.health, token, now, item.per_minute)
        if isinstance(decided, Wait):
            return decided
        if models.replace_health(item, decided):
            return Ticket(token, item)
        _pause(attempt)
    return Wait("places", now + timedelta(seconds=1))


def turn_away(place: Place, wait: Wait, now: datetime) -> None:
    """Come again in a moment where the endpoint is merely busy; else, or at the third time, park."""
    if wait.reason == "places" and place.turned_away < _TURNED_AWAY_AT_MOST:
        again = place.model_copy(update={"turned_away": place.turned_away + 1})
        service.wake([again], random.randint(*_SHORT_WAIT))  # noqa: S311 (jitter)
        return
    item = models.health_of(place.webhook_id)
    if item is not None:  # before it is parked, so that it is never parked with nobody to look
        models.note_parked(item, wait.until, now)
    due_at = models.park(place, now)
    if due_at is not None:
        service.wake_at(place, due_at, now)


def leave(
    ticket: Ticket, result: Result | None, now: datetime, held_until: datetime | None = None
) -> Health | None:
    """Give the place back, once; what is known of the endpoint then, None where that could not be noted."""
    item, held, ticket.held = ticket.item, ticket.held, False
    if item is None or not held:
        return None
    try:
        for attempt in range(_TRIES):
            health = flow.leave(item.health, ticket.token, result, now, held_until)
            if models.replace_health(item, health):
                ticket.item = item
                return health
            _pause(attempt)
            item = models.health_of(item.pk)
            if item is None:
                break
    except PynamoDBException as error:
        log.warning("webhook.place.not_given_back", error=type(error).__name__)
    ticket.item = None
    return None


def let_go(ticket: Ticket, now: datetime) -> None:
    """Let parked deliveries into the places that are free. A lost look is made good by the sweeper."""
    item = ticket.item
    if item is None or item.parked_at is None:
        return
    try:
        _let_go(item, now)
    except PynamoDBException as error:
        log.warning("webhook.parked.left_to_sweeper", webhook_id=item.pk, error=type(error).__name__)


def look(webhook_id: str, now: datetime) -> None:
    """The sweeper's look: let go what may go, and note when to look again."""
    item = models.health_of(webhook_id)
    if item is None:
        return
    found = _let_go(item, now)
    lately = item.parked_at is not None and item.parked_at > instant(now - flow.LOOKED_AFTER)
    is_closed = flow.free(item.health, now, item.per_minute) == 0
    again = found or lately or is_closed
    models.look_again(item, flow.next_look(item.health, now) if again else None)


def _let_go(item: HealthItem, now: datetime) -> bool:
    """Whether any was parked that may go. Where somebody else let it go, more may be parked behind it."""
    places = flow.free(item.health, now, item.per_minute)
    parked = models.parked(item.pk, places) if places else []
    service.wake(models.let_go(parked, now))
    return bool(parked)


def _pause(attempt: int) -> None:
    time.sleep(random.uniform(0.3, 1.0) * 0.004 * 2**attempt)  # noqa: S311 (jitter)
