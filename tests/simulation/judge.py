"""What must be true: of every write and request at its moment, and of everything once the storm is over."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from chalicelib.core.ids import moment_of
from chalicelib.core.settings import settings
from chalicelib.webhooks import delivering, flow, recovery, service
from chalicelib.webhooks.flow import Health
from tests.simulation.expressions import Row

if TYPE_CHECKING:
    from tests.simulation.storm import Hook, Storm
    from tests.simulation.world import Sent, World

FUNCTION_SECONDS = 31
"""In which a worker that has read a webhook sends to it, or is ended."""


@dataclass(frozen=True)
class Delivery:
    id: str
    webhook_id: str
    event_id: str
    status: str
    trigger: str
    attempts: int
    claims: int
    reason: str | None
    code: str | None
    resend_of: str | None
    created_at: str
    finished_at: str | None

    @property
    def is_final(self) -> bool:
        return self.status in recovery.FINAL

    @property
    def how(self) -> str:
        return f"{self.status} {self.reason}" if self.reason else self.status


def plain(row: Row) -> dict[str, Any]:
    return {name: next(iter(value.values())) for name, value in row.items()}


class Ledger:
    """Everything that was written and sent, and what of it was wrong at once."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.deliveries: dict[str, dict[str, Delivery]] = defaultdict(dict)
        self.attempts: dict[str, dict[int, dict[str, Any]]] = defaultdict(dict)
        self.counted: Counter[str] = Counter()
        """Attempts that statistics should hold, by webhook."""
        self.status: dict[str, tuple[str, float]] = {}
        """Of each webhook, and since when."""
        self.was_disabled: set[str] = set()
        self.was_reset: set[str] = set()
        self.resent_by_hand: Counter[str] = Counter()
        self.bodies: dict[tuple[str, str], set[bytes]] = {}
        self.unfinished: set[str] = set()
        self.markers: set[str] = set()
        self.jobs: set[str] = set()
        self._webhook_of: dict[str, str] = {}

    # Each write

    def on_write(self, table: str, before: Row | None, after: Row | None) -> None:
        row = after or before or {}
        pk, sk = row["pk"]["S"], row.get("sk", {}).get("S", "")
        if table == "events":
            self._on_event(pk, sk, before, after)
        elif table != "webhooks":
            return
        elif pk.startswith("dlv_"):
            self._on_attempt(pk, int(sk), before, after)
        elif sk.startswith("dlv_"):
            self._on_delivery(before, after)
        elif sk.startswith("whk_"):
            self._on_webhook(sk, before, after)
        elif sk.startswith("rcv_"):
            is_open = after is not None and after["status"]["S"] != "completed"
            (self.jobs.add if is_open else self.jobs.discard)(sk)

    def _on_event(self, pk: str, sk: str, before: Row | None, after: Row | None) -> None:
        if pk.startswith("OUTBOX#"):
            (self.markers.discard if after is None else self.markers.add)(sk)
        elif before is not None:
            self.world.fault(f"event {sk} was written twice")

    def _on_webhook(self, webhook_id: str, before: Row | None, after: Row | None) -> None:
        status = "deleted" if after is None else after["status"]["S"]
        if self.status.get(webhook_id, ("", 0.0))[0] != status:
            self.status[webhook_id] = status, self.world.seconds
        if status == "disabled":
            self.was_disabled.add(webhook_id)
        if before is not None:
            self.was_reset.add(webhook_id)

    def _on_attempt(self, delivery_id: str, number: int, before: Row | None, after: Row | None) -> None:
        if before is not None or after is None:
            self.world.fault(f"attempt {number} of {delivery_id} was recorded twice")
            return
        webhook_id = self._webhook_of[delivery_id]
        self.attempts[delivery_id][number] = json.loads(after["facts"]["S"])
        if after["resumed"].get("BOOL"):
            self.world.counts["attempts resumed"] += 1
        if self.deliveries[webhook_id][delivery_id].trigger != "test":
            self.counted[webhook_id] += 1
            if self.world.running is not None:
                self.world.running.uncounted = webhook_id

    def _on_delivery(self, before: Row | None, after: Row | None) -> None:
        if after is None:
            self.world.fault("a delivery was deleted")
            return
        new = _delivery(after)
        old = None if before is None else _delivery(before)
        self._webhook_of[new.id] = new.webhook_id
        self.deliveries[new.webhook_id][new.id] = new
        (self.unfinished.discard if new.is_final else self.unfinished.add)(new.id)
        if old is None:
            return
        if old.is_final and (old.how, old.attempts) != (new.how, new.attempts):
            self.world.fault(
                f"{new.id} was {old.how} after {old.attempts}, is {new.how} after {new.attempts}"
            )
        if new.attempts - old.attempts not in (0, 1):
            self.world.fault(f"{new.id} went from {old.attempts} attempts to {new.attempts}")

    # Each request

    def on_sent(self, sent: Sent) -> None:
        world = self.world
        webhook_id = self._webhook_of[sent.delivery_id]
        delivery = self.deliveries[webhook_id][sent.delivery_id]
        alive = [one for one in world.under_way.get(sent.webhook_id, ()) if _is_alive(one)]
        others = [one for one in alive if one.delivery_id == sent.delivery_id]
        if others or delivery.is_final or sent.number != delivery.attempts + 1:
            self._too_much(sent, delivery)
        if sent.test:
            return
        at_once = 1 + sum(not one.test and not _outlives(one) for one in alive)
        world.counts["most at once"] = max(world.counts["most at once"], at_once)
        if at_once > flow.AT_ONCE + 1 and webhook_id not in self.was_reset:  # a probe may come on top
            world.fault(f"{at_once} requests at once to {sent.webhook_id}")
        status, since = self.status[webhook_id]
        is_late = world.seconds - since > FUNCTION_SECONDS and not _outlives(sent)
        if status != "enabled" and is_late and delivery.trigger != "test":
            world.fault(f"{sent.webhook_id} is {status} since {since:.0f} and was sent {sent.delivery_id}")

    def _too_much(self, sent: Sent, delivery: Delivery) -> None:
        what = f"attempt {sent.number} of {sent.delivery_id}, {delivery.how} after {delivery.attempts}"
        if self.world.counts["outlived"]:
            self.world.counts["sent after a lease was lost"] += 1
        else:
            self.world.fault(f"{what}, was sent while it must not be")

    # The state

    def exists(self, webhook_id: str) -> bool:
        return self.status[webhook_id][0] != "deleted"

    def is_quiet(self) -> bool:
        return not self.unsettled()

    def unsettled(self) -> dict[str, Any]:
        left = {
            "deliveries": sorted(one for one in self.unfinished if not self._waits_for_nobody(one)),
            "events": sorted(self.markers),
            "jobs": sorted(self.jobs),
            "queues": {
                name: (len(queue.messages), len(queue.dead))
                for name, queue in self.world.queues.items()
                if queue.messages or queue.dead
            },
        }
        return {name: what for name, what in left.items() if what}

    def _waits_for_nobody(self, delivery_id: str) -> bool:
        """Parked when its webhook was deleted: it is cancelled when it would be too late, after 72 hours."""
        webhook_id = self._webhook_of[delivery_id]
        return not self.exists(webhook_id) and self.deliveries[webhook_id][delivery_id].status == "parked"


def _is_alive(sent: Sent) -> bool:
    return sent.task is not None and not sent.task.process.dead


def _outlives(sent: Sent) -> bool:
    """Its place may be another's by now."""
    return sent.task is not None and sent.task.process.outlives


def _delivery(row: Row) -> Delivery:
    facts = plain(row)
    return Delivery(
        facts["sk"], facts["pk"], facts["event_id"], facts["status"], facts["trigger"],
        int(facts["attempts_made"]), int(facts.get("claims", 0)), facts.get("failure_reason"),
        facts.get("last_status_code"), facts.get("resend_of"), facts["created_at"], facts.get("finished_at"),
    )  # fmt: skip


# Once all is over


def after(storm: Storm) -> None:
    """Every event is there, told to everyone who asked for it, recorded as it was."""
    world, ledger = storm.world, storm.ledger
    if left := ledger.unsettled():
        world.fault(f"left over: {left}")
    rows = map(plain, world.store.rows("events"))
    events = {row["sk"]: row for row in rows if not row["pk"].startswith("OUTBOX#")}
    _judge_events(storm, events)
    for hook in storm.hooks.values():
        _judge_hook(storm, hook, events)
        for delivery in ledger.deliveries[hook.id].values():
            _judge_delivery(storm, hook, delivery)
        _judge_statistics(storm, hook)
        _judge_health(storm, hook)
    _judge_requests(storm)
    _count(storm)


def _judge_events(storm: Storm, events: dict[str, Any]) -> None:
    """What happened has its event, what did not has none."""
    happened = {
        plain(row)["pk"].removeprefix("CHANGE#")
        for row in storm.world.store.rows("learning")
        if row["sk"]["S"] == "CHANGE"
    }
    told = {one for one, event in events.items() if not event["type"].startswith("webhook.")}
    if happened != told:
        storm.world.fault(f"lost {sorted(happened - told)}, invented {sorted(told - happened)}")
    for one in told:
        if events[one]["body"] != storm.tried[one].body:
            storm.world.fault(f"{one} says something else")
    disabled = {one for one, event in events.items() if event["type"] == "webhook.disabled"}
    storm.world.counts["events"] += len(told | disabled)


def _judge_hook(storm: Storm, hook: Hook, events: dict[str, Any]) -> None:
    """It was told all that it asked for, once, nothing else, and byte for byte."""
    world, ledger = storm.world, storm.ledger
    own = Counter(one.event_id for one in ledger.deliveries[hook.id].values() if one.trigger == "event")
    wanted = {
        one
        for one, event in events.items()
        if event["institution_id"] == hook.institution_id
        and event["type"] != "webhook.ping"
        and service.wants(hook.events, event["type"])
    }
    if extra := set(own) - wanted:
        world.fault(f"{hook.name} was told {sorted(extra)}")
    if twice := [one for one, number in own.items() if number > 1]:
        world.fault(f"{hook.name} has two deliveries of {twice}")
    for (webhook_id, event_id), bodies in ledger.bodies.items():
        if webhook_id == hook.id:
            event = events.get(event_id)
            if event is None or event["institution_id"] != hook.institution_id or bodies != {event["body"]}:
                world.fault(f"{hook.name} was sent something else as {event_id}")
    if not ledger.exists(hook.id):
        return
    if missing := wanted - set(own):
        world.fault(f"{hook.name} has no delivery of {sorted(missing)}")
    if missing := wanted - set(hook.taken):
        world.fault(f"{hook.name} never got {sorted(missing)}")


def _judge_delivery(storm: Storm, hook: Hook, delivery: Delivery) -> None:
    """Its state follows from its attempts, and these are whole."""
    world, ledger = storm.world, storm.ledger
    attempts = ledger.attempts[delivery.id]
    if sorted(attempts) != list(range(1, delivery.attempts + 1)):
        world.fault(f"{delivery.id} has attempts {sorted(attempts)} of {delivery.attempts}")
    outcomes = [attempts[number]["outcome"] for number in sorted(attempts)]
    if "delivered" in outcomes[:-1] or ("delivered" in outcomes) != (delivery.status == "delivered"):
        world.fault(f"{delivery.id} is {delivery.how} after {outcomes}")
    if not _follows(storm, hook, delivery):
        world.fault(f"{delivery.id} must not be {delivery.how} after {outcomes}")
    again = [one for one in ledger.deliveries[hook.id].values() if one.resend_of == delivery.id]
    if len(again) > 1 + ledger.resent_by_hand[delivery.id]:
        world.fault(f"{delivery.id} was resent {len(again)} times")


def _follows(storm: Storm, hook: Hook, delivery: Delivery) -> bool:
    counts, retries = storm.world.counts, len(settings().webhook_retry_schedule)
    waited = datetime.fromisoformat(delivery.finished_at or delivery.created_at) - moment_of(delivery.id)
    return {
        "delivered": hook.taken[delivery.event_id] > 0,
        "failed exhausted": delivery.attempts == (1 if delivery.trigger == "test" else retries + 1),
        "failed gone": delivery.code == "410",
        "failed expired": waited >= flow.LATE_AFTER,
        "failed internal": counts["deaths"] + counts["failed calls"] >= delivering.CLAIMS_AT_MOST,
        "skipped": hook.id in storm.ledger.was_disabled,
        "cancelled": not storm.ledger.exists(hook.id),
        "parked": not storm.ledger.exists(hook.id),
    }.get(delivery.how, False)


def _judge_statistics(storm: Storm, hook: Hook) -> None:
    """They hold every attempt but those whose worker died before it counted."""
    hours = [
        plain(row)
        for row in storm.world.store.rows("webhooks")
        if row["pk"]["S"] == hook.id and row["sk"]["S"].startswith("STATS#")
    ]
    counted = sum(int(hour["attempts"]) for hour in hours)
    results = sum(
        int(n) for hour in hours for name, n in hour.items() if name.startswith(("succ", "failed_"))
    )
    classes = sum(int(n) for hour in hours for name, n in hour.items() if name.startswith("within_"))
    expected = storm.ledger.counted[hook.id] - storm.world.lost_counts[hook.id]
    if not counted == results == classes == expected:
        storm.world.fault(f"{hook.name} counts {counted}, {results}, {classes} attempts of {expected}")


def _judge_health(storm: Storm, hook: Hook) -> None:
    """Nobody is left in a place."""
    row = storm.world.store.row("webhooks", hook.id, "HEALTH")
    if row is None:
        return
    health = Health.model_validate_json(row["state"]["S"])
    if any(lost_at > storm.world.now for lost_at in health.places.values()):
        storm.world.fault(f"{hook.name} has places taken: {health.places}")


def _judge_requests(storm: Storm) -> None:
    """A request is recorded once; one that is not was made by a process that came to grief."""
    world, ledger = storm.world, storm.ledger
    by_attempt: dict[tuple[str, int], list[Sent]] = defaultdict(list)
    for sent in world.sent:
        by_attempt[sent.delivery_id, sent.number].append(sent)
    for (delivery_id, number), requests in by_attempt.items():
        recorded = number in ledger.attempts[delivery_id]
        unrecorded = requests[:-1] if recorded else requests
        world.counts["requests repeated"] += len(requests) - 1
        world.counts["requests never recorded"] += not recorded
        if not world.counts["outlived"] and any(not _came_to_grief(one) for one in unrecorded):
            world.fault(f"attempt {number} of {delivery_id} was sent and not recorded")
    for delivery_id, attempts in ledger.attempts.items():
        for number in attempts:
            if (delivery_id, number) not in by_attempt:
                world.fault(f"attempt {number} of {delivery_id} was recorded and never sent")


def _came_to_grief(sent: Sent) -> bool:
    return sent.task is None or sent.task.process.dead or sent.task.failed


def _count(storm: Storm) -> None:
    counts = storm.world.counts
    for hook in storm.hooks.values():
        for delivery in storm.ledger.deliveries[hook.id].values():
            counts["deliveries"] += 1
            counts[f"deliveries {delivery.how}"] += 1
        counts["taken more than once"] += sum(number - 1 for number in hook.taken.values())
    counts["attempts"] += sum(len(attempts) for attempts in storm.ledger.attempts.values())
