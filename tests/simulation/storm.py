"""A storm: events happen while everything fails, then calm, then what must be true of every event.

`run(seed, …)` makes a world, lets institutions and their webhooks live in it for some minutes of bad weather,
in which processes die at any call, messages come late, twice or not at all, and receivers fail in every way;
then the weather clears, and sweepers and owners bring everything to its end.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from email.utils import format_datetime
from functools import partial
from random import Random
from typing import Any

from pynamodb.attributes import UnicodeAttribute

from chalicelib.core import clock, outbox
from chalicelib.core.errors import Conflict, DomainError
from chalicelib.core.events import Event, EventData, new_event
from chalicelib.core.outbound import Durations, Outcome
from chalicelib.core.store import Stale, Table, Transaction, table
from chalicelib.exports.events import ExportFailed
from chalicelib.learning.events import CourseCompleted, StreakExtended
from chalicelib.webhooks import delivering, recovery, service
from chalicelib.webhooks.signing import body_signature
from tests.simulation import judge
from tests.simulation.world import API_SECONDS, CALM, Weather, World, inhabited

SCHOOLS = ("ins_01KAXG7Y0000000000000000A1", "ins_01KAXG7Y0000000000000000B2")
BASE = "http://127.0.0.1:9000"
TYPES = ("export.failed", "course.completed", "streak.extended")
SETTLES_WITHIN = 8 * 3600.0
LONG = 6 * 24 * 60.0
"""Minutes: more than it takes until a delivery is too late, and a receiver that only fails is given up."""


class ChangeItem(Table):
    """What an event tells of: written with it, or not at all."""

    class Meta:
        table_name = table("learning")

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    event_type = UnicodeAttribute()


@dataclass(eq=False)
class Hook:
    """A webhook as its owner and its receiver know it."""

    institution_id: str
    id: str
    name: str
    secret: str
    events: list[str]
    moods: list[tuple[float, str]] = field(default_factory=list)
    """How the receiver behaves until when; well afterwards."""
    deleted: bool = False
    recovered: bool = False
    taken: Counter[str] = field(default_factory=Counter)
    """Events that it answered with 2xx."""


@dataclass
class Report:
    """What a run was, and what was wrong with it."""

    seed: int
    counts: Counter[str]
    faults: list[str]
    digest: int


class Storm:
    def __init__(self, world: World, seed: int, events: int, minutes: float | None = None) -> None:
        self.world = world
        self.chance = Random(f"storm {seed}")  # noqa: S311 (a seed replays its run)
        self.events = events
        self.minutes = minutes or self.chance.uniform(10, 40) + events / 20
        self.hooks: dict[str, Hook] = {}
        self.tried: dict[str, Event] = {}
        self.settled_at: float | None = None
        self.ledger = judge.Ledger(world)
        world.answering = self.answer
        world.on_sent = self.ledger.on_sent
        world.store.watch.append(self.ledger.on_write)

    @property
    def ends(self) -> float:
        return self.minutes * 60

    def run(self) -> None:
        for number in range(self.chance.randint(2, 6)):
            self.subscribe(number)
        world, chance = self.world, self.chance
        for _ in range(self.events):
            world.at(chance.uniform(0, self.ends), lambda: self.happen(chance.choice(SCHOOLS)))
        for _ in range(chance.randint(0, 2 * len(self.hooks))):
            hook = chance.choice(list(self.hooks.values()))
            world.at(chance.uniform(0, self.ends), partial(self.meddle, hook))
        for service_name in ("dynamodb", "sqs"):
            if chance.random() < 0.3:
                at, lasts = chance.uniform(0, self.ends), chance.uniform(5, 120)
                world.at(at, partial(self.go_away, service_name, at + lasts))
        for function in ("sweep-outbox", "sweep-deliveries"):
            every = 60.0 if self.minutes < LONG else 600.0
            world.at(
                chance.uniform(0, 60),
                partial(world.tick, function, every=every, until=self.is_settled),
            )
        world.weather = self.weather()
        world.at(self.ends, self.clear)
        world.run()
        judge.after(self)

    def weather(self) -> Weather:
        """From fair to foul."""
        chance = self.chance

        def up_to(most: float) -> float:
            return chance.choice((0, 0.1, 0.3, 1)) * most

        return Weather(
            dies=up_to(0.03), fails=up_to(0.02), answer_lost=up_to(0.01), repeated=up_to(0.02),
            refused=up_to(0.05), stalls=up_to(0.005), comes_twice=up_to(0.1), is_late=up_to(0.1),
            is_lost=up_to(0.05), dies_at_end=up_to(0.05), tick_missed=up_to(0.3),
            outlives=chance.choice((0, 0, 0, 0.05)),
        )  # fmt: skip

    # What happens

    def go_away(self, service_name: str, until: float) -> None:
        self.world.away_until[service_name] = until

    def subscribe(self, number: int) -> None:
        chance = self.chance
        school = SCHOOLS[number % 2] if number < 2 else chance.choice(SCHOOLS)
        events = chance.choice((["*"], [TYPES[0], "course.*"], list(TYPES), ["webhook.disabled", *TYPES]))
        transaction = Transaction()
        item, secret = service.create(
            transaction, school, url=f"{BASE}/h{number}", events=events, description=None,
            headers={"X-Of": str(number)} if number % 2 else None,
            per_minute=chance.choice((None, None, 20)), base_url="https://api.example.org", now=clock.now(),
        )  # fmt: skip
        transaction.commit()
        hook = Hook(school, item.sk, f"h{number}", secret, events)
        at, lasts = 0.0, max(400.0, self.ends / 20)
        while at < self.ends and (number or self.minutes < LONG):
            at = min(at + chance.expovariate(1 / lasts), self.ends)
            hook.moods.append(
                (at, chance.choices(list(_MOODS), [mood.weight for mood in _MOODS.values()])[0])
            )
        if not hook.moods:
            hook.moods.append((self.ends, "dead"))
        self.hooks[hook.name] = hook

    def happen(self, school: str) -> None:
        """A request that changes something and tells of it."""
        data = _data(self.chance)
        event = new_event(data, institution_id=school, now=self.world.now)
        self.tried[event.id] = event

        def request() -> None:
            transaction = Transaction()
            transaction.put(ChangeItem(f"CHANGE#{event.id}", "CHANGE", event_type=event.type))
            outbox.add(transaction, event)
            transaction.commit()

        self.world.start("api", API_SECONDS, request)

    def meddle(self, hook: Hook) -> None:
        """Something that an owner does."""
        kinds = [
            self._disable,
            self._enable,
            self._resend,
            self._recover,
            self._ping,
            self._move,
            self._slow_down,
        ]
        if hook.name == "h1":
            kinds.append(self._delete)
        self.request(self.chance.choice(kinds), hook)

    def request(self, what: Callable[[Transaction, Hook], None], hook: Hook) -> None:
        def work() -> None:
            transaction = Transaction()
            try:
                what(transaction, hook)
                transaction.commit()
            except (DomainError, Stale) as error:
                self.world.note("refused", what.__name__, type(error).__name__)
                if isinstance(error, Conflict) or not isinstance(error, DomainError):
                    return
                if not hook.deleted:
                    raise

        self.world.note("asks", what.__name__, hook.name)
        self.world.start("api", API_SECONDS, work)

    def _disable(self, transaction: Transaction, hook: Hook) -> None:
        service.disable(transaction, hook.institution_id, hook.id, now=clock.now())

    def _enable(self, transaction: Transaction, hook: Hook) -> None:
        service.enable(transaction, hook.institution_id, hook.id, now=clock.now())

    def _delete(self, transaction: Transaction, hook: Hook) -> None:
        hook.deleted = True  # at least tried
        service.delete(transaction, hook.institution_id, hook.id)

    def _move(self, transaction: Transaction, hook: Hook) -> None:
        self._update(transaction, hook, url=f"{BASE}/{self.chance.randint(1, 9)}/{hook.name}")

    def _slow_down(self, transaction: Transaction, hook: Hook) -> None:
        self._update(transaction, hook, rate_limit_per_minute=self.chance.choice((None, 10, 60)))

    def _update(self, transaction: Transaction, hook: Hook, **given: object) -> None:
        service.update(
            transaction, hook.institution_id, hook.id, given=given, base_url="https://api.example.org",
            now=clock.now(),
        )  # fmt: skip

    def _resend(self, transaction: Transaction, hook: Hook) -> None:
        final = [
            one for one in self.ledger.deliveries.get(hook.id, {}).values() if one.status in recovery.FINAL
        ]
        if final:
            old = self.chance.choice(final)
            recovery.resend(
                transaction, hook.institution_id, hook.id, old.id, request_id="simulated", now=clock.now()
            )
            self.ledger.resent_by_hand[old.id] += 1

    def _recover(self, transaction: Transaction, hook: Hook) -> None:
        recovery.recover(
            transaction, hook.institution_id, hook.id, since=clock.now() - timedelta(days=13), until=None,
            request_id="simulated", now=clock.now(),
        )  # fmt: skip

    def _ping(self, _: Transaction, hook: Hook) -> None:
        delivering.ping(hook.institution_id, hook.id, "simulated", clock.now())

    # The calm

    def clear(self) -> None:
        """The weather is good, owners see what happened, and what failed is handed out again."""
        world = self.world
        world.weather = CALM
        world.away_until.clear()
        world.note("calm")
        for hook in self.hooks.values():
            world.at(world.seconds + 600, partial(self.request, self._enable, hook))
        for name in world.queues:
            world.at(world.seconds + 900, partial(self._redrive, name))
        world.at(world.seconds + SETTLES_WITHIN, self._give_up)
        world.at(world.seconds + 1200, self._look)

    def _redrive(self, name: str) -> None:
        moved = self.world.queues[name].redrive(self.world.seconds)
        self.world.counts["dead letters moved back"] += moved
        self.world.listen(name)

    def _look(self) -> None:
        """Every minute, until all is done; what then is failed or skipped is recovered, once."""
        world = self.world
        if self.settled_at is not None:
            return
        if not world.alive and self.ledger.is_quiet():
            left = [
                hook for hook in self.hooks.values() if not hook.recovered and self.ledger.exists(hook.id)
            ]
            if not left:
                self.settled_at = world.seconds
                return
            for hook in left:
                hook.recovered = True
                self.request(self._recover, hook)
        world.at(world.seconds + 60, self._look)

    def _give_up(self) -> None:
        if self.settled_at is None:
            self.settled_at = self.world.seconds
            self.world.fault(f"not settled: {self.ledger.unsettled()}")

    def is_settled(self) -> bool:
        return self.settled_at is not None

    # Receivers

    def answer(self, url: str, body: bytes, headers: Mapping[str, str]) -> tuple[float, Outcome]:
        hook = self.hooks[url.rpartition("/")[2]]
        seconds = self.world.seconds
        name = next((mood for until, mood in hook.moods if seconds < until), "well")
        took, outcome, takes = _MOODS[name].answer(self.chance, self.world)
        if outcome.error_class != "connect":
            self._receive(hook, body, headers)
        if takes:
            hook.taken[headers["webhook-id"]] += 1
        return took, outcome

    def _receive(self, hook: Hook, body: bytes, headers: Mapping[str, str]) -> None:
        self.world.counts["received"] += 1
        self.ledger.bodies.setdefault((hook.id, headers["webhook-id"]), set()).add(body)
        if headers["X-Signature-256"] != body_signature(hook.secret, body):
            self.world.fault(f"{hook.name} got a bad signature")


@dataclass(frozen=True)
class Mood:
    """How a receiver behaves: how often it is so, and what it does with a request."""

    weight: float
    answer: Callable[[Random, World], tuple[float, Outcome, bool]]
    """After how long, the outcome for the sender, and whether it took the event."""


def _outcome(status: int | None, error: Any = None, **headers: str) -> Outcome:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Outcome(Durations(50), 100, status_code=status, error_class=error, error=error, headers=named)


def _well(chance: Random, _: World) -> tuple[float, Outcome, bool]:
    return chance.uniform(0.02, 0.5), _outcome(chance.choice((200, 200, 202, 204))), True


def _broken(chance: Random, _: World) -> tuple[float, Outcome, bool]:
    return chance.uniform(0.02, 2), _outcome(chance.choice((500, 502, 400, 302, 404))), False


def _dead(_: Random, __: World) -> tuple[float, Outcome, bool]:
    return 3, _outcome(None, "connect"), False


def _hangs(_: Random, __: World) -> tuple[float, Outcome, bool]:
    return 10, _outcome(None, "timeout"), False


def _unheard(chance: Random, _: World) -> tuple[float, Outcome, bool]:
    """It takes the event, and its answer is lost."""
    return chance.uniform(1, 10), _outcome(None, chance.choice(("timeout", "protocol"))), True


def _busy(chance: Random, world: World) -> tuple[float, Outcome, bool]:
    wait = chance.choice((1, 20, 300))
    if chance.random() < 0.5:
        until = format_datetime(world.now + timedelta(seconds=wait), usegmt=True)
        return 0.1, _outcome(503, retry_after=until), False
    return 0.1, _outcome(429, retry_after=str(wait)), False


def _gone(_: Random, __: World) -> tuple[float, Outcome, bool]:
    return 0.1, _outcome(410), False


def _mixed(chance: Random, world: World) -> tuple[float, Outcome, bool]:
    return chance.choice((_well, _well, _broken, _unheard, _busy, _hangs))(chance, world)


_MOODS = {
    "well": Mood(6, _well),
    "broken": Mood(2, _broken),
    "dead": Mood(2, _dead),
    "hangs": Mood(1, _hangs),
    "unheard": Mood(1, _unheard),
    "busy": Mood(1, _busy),
    "mixed": Mood(3, _mixed),
    "gone": Mood(0.15, _gone),
}


def _data(chance: Random) -> EventData:
    learner, course = "mem_01KAXG7Y0000000000000000A1", "crs_01KAXG7Y0000000000000000A1"
    match chance.randrange(3):
        case 0:
            return ExportFailed(export_id="exp_01KAXG7Y0000000000000000A1", type="activity", error="a test")
        case 1:
            return CourseCompleted(learner_id=learner, course_id=course, completed_at="2026-11-25T12:00:00Z")
        case _:
            return StreakExtended(learner_id=learner, streak_days=3, local_date="2026-11-25")


def run(
    seed: int, events: int, minutes: float | None = None, *, trace: Callable[[str], None] | None = None
) -> Report:
    """One seed, from its first event to the judgement."""
    world = World(seed, trace=trace)
    with inhabited(world, seed):
        storm = Storm(world, seed, events, minutes)
        storm.run()
    return Report(seed, world.counts, world.faults, world.digest)
