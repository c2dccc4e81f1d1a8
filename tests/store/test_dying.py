"""A process that dies before its n-th call, for every n and every endpoint that writes: the effect is there
once or not at all, and a retry makes it once.
"""

import json
import re
import secrets
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
from ulid import ULID

import app  # noqa: F401 (declares every endpoint)
from chalicelib.core.http import ENDPOINTS, Endpoint
from tests.store.conftest import Answer, Died, System
from tests.store.examples import Scene, name_of, scene
from tests.store.ledger import Images, Key, Ledger
from tests.store.test_main_job import sign_in

CALLS_AT_MOST = 40
LARGER = {"POST /api/courses/{course}/publish", "POST /api/courses/{course}/archive"}
"""More than one transaction holds: completed by the next or a sweeper, as `test_authoring` shows."""
WRITES = [one for one in ENDPOINTS if one.method != "GET" and name_of(one) not in LARGER]
Effect = Counter[tuple[str, ...]]
CHANCE = re.compile(
    r"[0-9A-HJKMNP-TV-Z]{26}|[0-9a-f]{64}|(?<=-)[0-9a-f]{8}$|(?<=-\d\d)#\d+$|[-\d]{10}T[:.\d]{12}Z"
)
"""What differs from run to run: ids, hashes, slugs of the examples, times, and shards."""

PARTS = ("lessons/{lesson}", "trainings/{training}", "trainingItems/{item}")
ANSWERED_AGAIN: dict[str, int] = {
    "POST /api/auth/sign-up": 422,  # the address has its account: sign in
    "POST /api/auth/sign-out": 401,  # the token is gone
    "POST /api/progress/import": 200,  # each row tells that it is there
    **{f"POST /api/{part}/{state}": 200 for part in PARTS for state in ("archive", "restore")},  # it is so
}
"""What a retry is answered whose effect is there already, where no Idempotency-Key replays it."""

DONE_AGAIN = {
    "POST /api/auth/sign-in",  # a token that was never told is a session that nobody has
    "POST /api/integrations/webhooks/{id}/test",  # each ping is a request of its own
    "POST /api/integrations/webhooks/test",
}
HALFWAY: dict[str, str] = {
    "POST /api/integrations/webhooks/{id}/test": "the delivery is claimed, and a sweeper completes it",
}
"""Effects outside DynamoDB begin and end in a transaction each."""


@dataclass
class Run:
    """A good request, and whether its process outlived it."""

    there: Scene
    endpoint: Endpoint
    path: str
    body: Any
    key: str = field(default_factory=lambda: secrets.token_hex(8))
    died: bool = False

    def send(self) -> Answer:
        headers = {"idempotency_key": self.key} if self.endpoint.idempotent else {}
        return self.there.send(self.endpoint, self.path, self.body, **headers)


@pytest.mark.parametrize("endpoint", WRITES, ids=name_of)
def test_a_write_that_dies_has_happened_or_not_and_can_be_repeated(
    system: System, school: str, ledger: Ledger, endpoint: Endpoint
) -> None:
    name = name_of(endpoint)
    _run(system, ledger, endpoint, dies_at=None)
    whole = _effect(ledger.images)
    for number in range(1, CALLS_AT_MOST):
        run = _run(system, ledger, endpoint, dies_at=number)
        effect = _effect(ledger.images)
        happened = effect == whole
        assert happened or not effect or name in HALFWAY, f"half of it is there after {number - 1} calls"
        if name not in HALFWAY:
            _assert_events_will_be_told(system, ledger.images)
        again = run.send()
        if happened and name not in DONE_AGAIN:
            assert again.status == _of_a_repetition(endpoint), again.body
            assert ("idempotent-replayed" in again.headers) == endpoint.idempotent
        else:
            assert 200 <= again.status < 300, again.body
        total = _effect(ledger.images)
        assert total == whole or (name in DONE_AGAIN and not whole - total)
        if not run.died:
            assert happened
            assert number > 2, "it wrote nothing"
            return
    raise AssertionError("it never got through")


def _of_a_repetition(endpoint: Endpoint) -> int:
    if endpoint.idempotent or endpoint.method in ("PUT", "PATCH"):
        return endpoint.status
    if endpoint.method == "DELETE":
        return 404
    assert name_of(endpoint) in ANSWERED_AGAIN, "takes no Idempotency-Key: what does a retry do?"
    return ANSWERED_AGAIN[name_of(endpoint)]


def _run(system: System, ledger: Ledger, endpoint: Endpoint, *, dies_at: int | None) -> Run:
    """A good request by a process that dies before this call; the ledger shows what it left."""
    ledger.end()
    there = scene(system)
    run = Run(there, endpoint, *there.request(endpoint))
    system.calls.clear()
    system.calls.dies_before = _before(dies_at)
    ledger.begin()
    try:
        answer = run.send()
    except Died:
        run.died = True
    else:
        assert 200 <= answer.status < 300, answer.body
    system.calls.dies_before = None
    return run


def _before(number: int | None) -> Any:
    """Before the call of this number, from 1. The sweeper's looks into its shards are not counted."""
    seen = 0

    def now(name: str, parameters: Any) -> bool:
        nonlocal seen
        if name == "Query" and "OUTBOX" in json.dumps(parameters):
            return False
        seen += 1
        return seen == number

    return now


def _effect(images: Mapping[Key, Images]) -> Effect:
    """Which records it made, changed and took, by their kind."""
    effect: Effect = Counter()
    for (table, key), image in images.items():
        before, after = (_lasting(table, item) for item in (image.before, image.after))
        if before == after or key[0].startswith(("LIMIT#", "OUTBOX#")):
            continue
        what = "made" if before is None else "taken" if after is None else "changed"
        effect[table, *(CHANCE.sub("…", part) for part in key), what] += 1
    return effect


def _lasting(table: str, item: Any) -> Any:
    """An item without what every request counts."""
    if item is None or not table.endswith("-tokens"):
        return item
    return {
        name: value
        for name, value in item.items()
        if name != "last_used_at" and not re.fullmatch(r"n\d+", name)
    }


def _assert_events_will_be_told(system: System, images: Mapping[Key, Images]) -> None:
    """An event stands with its marker until it is in the queue."""
    stored = {key[1] for (table, key), image in images.items() if table.endswith("-events") and image.after}
    marked = {key[1] for (_, key), image in images.items() if key[0].startswith("OUTBOX#") and image.after}
    queued = repr(system.calls.of("SendMessageBatch"))
    assert all(event in marked or event in queued for event in stored)


@pytest.mark.usefixtures("school", "empty_queues", "standings_at_once")
def test_an_answer_is_published_and_entered_once_whatever_call_a_process_dies_before(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the request over the outbox and the fan-out to leaderboards, deliveries and totals."""
    from chalicelib.core import outbox

    monkeypatch.setattr(outbox, "SHARDS", 1)  # so that each round has few places to look at
    token = sign_in(system, "owner@lingua-school.example", "demo-owner-1")
    receiver = {"url": "http://127.0.0.1:9999/", "events": ["*"]}
    hook = system.call("POST", "/api/integrations/webhooks", receiver, token=token).body["data"]["id"]
    item = system.call("GET", "/api/trainingItems?type=multiple_choice", token=token).body["data"][0]
    url = f"/api/trainingItems/{item['id']}/attempts"
    solution = system.call("POST", url, {"answer": None, "duration_ms": 1}, token=token)
    body = {"answer": solution.body["data"]["attempt"]["correct_answer"], "duration_ms": 1}
    spread(system)
    for number in range(1, 60):
        system.later(86_400)  # the answer earns XP again
        before = standing(system, token)
        system.calls.dies_before = _before(number)
        sent = partial(system.call, "POST", url, {**body, "attempt_id": f"att_{ULID()}"}, token=token)
        died = until_done(system, sent)
        published, died_later = spread(system)
        after = standing(system, token)
        assert after == (before[0] + 1, before[1] + item["points"], before[2] + item["points"])
        assert published == events_of_today(system)
        told = system.call("GET", f"/api/integrations/webhooks/{hook}/deliveries?per_page=100", token=token)
        deliveries = [row["event_id"] for row in told.body["data"]]
        assert published <= set(deliveries)
        assert len(deliveries) == len(set(deliveries))
        if not died and not died_later:
            break
    else:
        raise AssertionError("it never got through")
    assert number > 15
    assert system.call("DELETE", f"/api/integrations/webhooks/{hook}", token=token).status == 204


def until_done(system: System, work: Callable[[], object]) -> bool:
    """Do it, and again if the process died. Whether it did."""
    try:
        work()
    except Died:
        system.calls.clear()
        work()
        return True
    return False


def spread(system: System) -> tuple[set[str], bool]:
    """Sweep, and work off what the queues hold; what a dead process had in hand comes again.

    Which events were handed out, and whether a process died.
    """
    from chalicelib.events.worker import fan_out, sweep_outbox
    from chalicelib.standings.worker import refresh_standings

    system.later(60)
    died = until_done(system, partial(system.tick, sweep_outbox))
    published: set[str] = set()
    for queue, worker in (("events", fan_out), ("standings", refresh_standings)):
        for message in system.messages(queue):
            if queue == "events":
                published.add(json.loads(message["Body"])["event_id"])
            died |= until_done(system, partial(system.work, worker, [message]))
    system.calls.clear()
    return published, died


def standing(system: System, token: str) -> tuple[int, int, int]:
    """Answers in all of the platform, XP of the learner, XP that it is on the leaderboard with."""
    from chalicelib.learning.periods import span_of
    from chalicelib.standings import models
    from chalicelib.standings.boards import PLATFORM, Board

    own = system.call("GET", "/api/gamification/stats", token=token).body["data"]
    entered = models.score_of(own["learner_id"], Board(span_of("all", system.now.date()), PLATFORM))
    return models.totals()["answers"], own["xp"], entered or 0


def events_of_today(system: System) -> set[str]:
    from infra.demo.seed import SCHOOL

    rows = system.cloud.client("dynamodb").query(
        TableName="talktiko-local-events",
        KeyConditionExpression="pk = :day",
        ExpressionAttributeValues={":day": {"S": f"{SCHOOL.id}#{system.now:%Y-%m-%d}"}},
    )["Items"]
    return {row["sk"]["S"] for row in rows}
