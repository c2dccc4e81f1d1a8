"""Twenty answers by processes that die at random calls, seed after seed: none lost, none invented."""

import random
import secrets
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from ulid import ULID

from tests.receiver import Receiver
from tests.store.conftest import Died, System

ANSWERS = 20
ROUNDS = 60
OWNER = {"email": "owner@lingua-school.example", "password": "demo-owner-1"}


def survives(system: System, chance: random.Random, work: Callable[[], object]) -> bool:
    """Whether the process that did `work` lived to its end."""
    system.calls.clear()
    system.calls.dies_before = lambda *_: chance.random() < 0.06
    try:
        work()
    except Died:
        return False
    finally:
        system.calls.clear()
    return True


@pytest.mark.proof
@pytest.mark.usefixtures("empty_queues", "standings_at_once")
@pytest.mark.parametrize("seed", range(10))
def test_every_event_arrives_and_is_recorded_once(
    system: System, school: str, receiver: Receiver, seed: int
) -> None:
    from chalicelib.events.worker import fan_out, sweep_outbox
    from chalicelib.standings.worker import refresh_standings
    from chalicelib.webhooks.worker import deliver, sweep_deliveries

    chance = random.Random(seed)  # noqa: S311 (a seed replays its run)
    token = system.call("POST", "/api/auth/sign-in", OWNER).body["data"]["token"]
    item = system.call("GET", "/api/trainingItems?type=multiple_choice", token=token).body["data"][0]["id"]
    path = f"/api/trainingItems/{item}/attempts"
    first = system.call("POST", path, {"answer": None, "duration_ms": 1}, token=token)
    answers = [None, first.body["data"]["attempt"]["correct_answer"]]
    system.messages("events")
    body = {"url": receiver.url, "events": ["exercise.answered"]}
    hook = system.call("POST", "/api/integrations/webhooks", body, token=token).body["data"]["id"]
    for _ in range(ANSWERS):
        given = {"answer": chance.choice(answers), "duration_ms": 1, "attempt_id": f"att_{ULID()}"}
        key = secrets.token_hex(8)
        send = partial(system.call, "POST", path, given, token=token, idempotency_key=key)
        while not survives(system, chance, send):
            pass

    handed_out: dict[Any, list[Any]] = {fan_out: [], deliver: [], refresh_standings: []}
    queues = (("events", fan_out), ("webhook-deliveries", deliver), ("standings", refresh_standings))
    for _ in range(ROUNDS):
        for sweeper in (sweep_outbox, sweep_deliveries):
            survives(system, chance, partial(system.tick, sweeper))
        for queue, worker in queues:
            again, handed_out[worker] = handed_out[worker], []
            for message in [*again, *system.messages(queue)]:
                done = survives(system, chance, partial(system.work, worker, [message]))
                if not done or chance.random() < 0.05:  # it comes back, or comes twice
                    handed_out[worker].append(message)
        system.later(chance.choice([5, 40, 400]))

    rows = system.call("GET", f"/api/integrations/webhooks/{hook}/deliveries?per_page=100", token=token).body
    assert Counter(row["status"] for row in rows["data"]) == {"delivered": ANSWERS}
    received = {request.headers["webhook-id"] for request in receiver.requests}
    assert received == {row["event_id"] for row in rows["data"]}
    for row in rows["data"]:
        detail = system.call("GET", f"/api/integrations/webhooks/{hook}/deliveries/{row['id']}", token=token)
        assert [one["attempt"] for one in detail.body["data"]["attempts"]] == [1]
    system.call("DELETE", f"/api/integrations/webhooks/{hook}", token=token)
    own = system.call("GET", "/api/gamification/stats", token=token).body["data"]
    counted = system.cloud.client("dynamodb").get_item(
        TableName="talktiko-local-standings", Key={"pk": {"S": own["learner_id"]}, "sk": {"S": "COUNTED"}}
    )["Item"]
    assert int(counted["answers"]["N"]) == own["answers"]
    board = system.call("GET", "/api/gamification/leaderboard?period=all", token=token).body["data"]["you"]
    assert board["xp"] == own["xp"] > 0
