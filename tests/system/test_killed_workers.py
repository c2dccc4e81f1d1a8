"""A thousand deliveries over real HTTP, by functions whose processes are killed meanwhile."""

import json
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from infra.local.cloud import Cloud, free_port, reset
from tests.conftest import LocalCloud
from tests.receiver import Receiver, receiving
from tests.system.client import Client, SignIns
from tests.system.processes import workers

WEBHOOKS = "/api/integrations/webhooks"
HOOKS, EVENTS = 20, 50
KILLS = 25
SETTLES_WITHIN = 300
REDELIVERED_AFTER = {"events": "31", "webhook-deliveries": "60"}
"""Seconds, 180 otherwise: after which SQS hands out again what a killed process had. Longer than a function
may run, and than the lease of 45 s for deliveries, so that their message finds the attempt free.
"""


@pytest.fixture(scope="module")
def cloud(states: Path) -> Iterator[LocalCloud]:
    """A cloud of its own, where a minute lasts 15 seconds."""
    from infra.local.run import up

    cloud = Cloud(states / "killed-workers", free_port(), snapshot_seconds=0, minute_seconds=15)
    cloud.state.mkdir()
    try:
        deployed = LocalCloud(cloud, up(cloud, {"WEBHOOK_RETRY_SCHEDULE": "1,2,4"}))
        for queue, seconds in REDELIVERED_AFTER.items():
            deployed.client("sqs").set_queue_attributes(
                QueueUrl=_url(deployed, queue), Attributes={"VisibilityTimeout": seconds}
            )
        yield deployed
    finally:
        reset(cloud)


def _url(cloud: LocalCloud, queue: str) -> str:
    url: str = cloud.client("sqs").get_queue_url(QueueName=f"talktiko-local-{queue}")["QueueUrl"]
    return url


def signed_in(cloud: LocalCloud, role: str) -> Client:
    """With a token of its own, whose rate limit nobody else uses."""
    account = next(one for one in cloud.accounts if one["role"] == role)
    return SignIns(Client(cloud.base_url))(account)


def answer(learner: Client, item: str) -> str:
    """An answer, whose event every webhook asks for. Its id."""
    done = learner.call("POST", f"/api/trainingItems/{item}/attempts", {"answer": "b", "duration_ms": 4200})
    assert done.status == 201, done.body
    attempt: str = done.body["data"]["attempt"]["id"]
    return attempt


@contextmanager
def killing(cloud: LocalCloud, receiver: Receiver, chance: random.Random) -> Iterator[Counter[str]]:
    """After some of the requests a process of one of the two workers is killed; how many of each."""
    killed: Counter[str] = Counter()
    over = Event()

    def kill() -> None:
        for requests in sorted(chance.sample(range(HOOKS * EVENTS), KILLS)):
            function = chance.choice(("fan-out", "deliver", "deliver"))
            while len(receiver.requests) < requests:
                if over.wait(0.02):
                    return
            if processes := workers(cloud.cloud, f"talktiko-local-{function}"):
                os.kill(chance.choice(processes), signal.SIGKILL)
                killed[function] += 1

    thread = Thread(target=kill)
    thread.start()
    try:
        yield killed
    finally:
        over.set()
        thread.join()


def delivered(owner: Client, hooks: list[str]) -> list[tuple[str, str]]:
    """Webhook and delivery, once all are there and delivered."""
    deadline = time.monotonic() + SETTLES_WITHIN
    rows: list[dict[str, Any]] = []
    for hook in hooks:
        while True:
            found = owner.rows(f"{WEBHOOKS}/{hook}/deliveries?per_page=100")
            states = Counter(row["status"] for row in found)
            if states == {"delivered": EVENTS}:
                break
            assert time.monotonic() < deadline, f"{hook}: {states}"
            assert states.total() <= EVENTS
            time.sleep(2)
        rows += found
    return [(row["webhook_id"], row["id"]) for row in rows]


@pytest.mark.proof
@pytest.mark.parametrize("seed", [1])
def test_a_thousand_deliveries_by_workers_that_are_killed(
    cloud: LocalCloud, seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    owner, learner = signed_in(cloud, "owner"), signed_in(cloud, "learner")
    item = learner.get("/api/trainingItems?type=multiple_choice").body["data"][0]["id"]
    chance = random.Random(seed)  # noqa: S311 (the seed decides who is killed; the machine, doing what)
    with receiving() as receiver, ThreadPoolExecutor(4) as pool:
        receiver.delay = 0.1
        body = {"url": receiver.url, "events": ["exercise.answered"]}
        hooks = [owner.call("POST", WEBHOOKS, body).body["data"]["id"] for _ in range(HOOKS)]
        with killing(cloud, receiver, chance) as killed:
            answers = set()
            for _ in range(EVENTS):
                answers.add(answer(learner, item))
                time.sleep(0.5)  # so that events come while others are delivered
            deliveries = delivered(owner, hooks)
        readers = [signed_in(cloud, "owner") for _ in range(2)]

        def read(number: int) -> dict[str, Any]:
            hook, delivery = deliveries[number]
            found = readers[number % len(readers)].get(f"{WEBHOOKS}/{hook}/deliveries/{delivery}")
            assert found.status == 200, found.body
            data: dict[str, Any] = found.body["data"]
            return data

        details = list(pool.map(read, range(len(deliveries))))
        counts = judged(receiver, hooks, answers, details)
    for queue in REDELIVERED_AFTER:
        dead = cloud.client("sqs").receive_message(QueueUrl=_url(cloud, f"{queue}-dead-letters"))
        assert not dead.get("Messages")
    with capsys.disabled():
        print(f"\nseed {seed}: {dict(killed)} killed, {counts}")  # noqa: T201
    assert counts["attempts made again"] > 0
    assert counts["duplicates"] > 0, "some died with a request under way"


def judged(
    receiver: Receiver, hooks: list[str], answers: set[str], details: list[dict[str, Any]]
) -> dict[str, int]:
    """What arrived is what happened, and what was recorded is what arrived."""
    events: dict[str, bytes] = {}
    received: Counter[tuple[str, int]] = Counter()
    for request in receiver.requests:
        event_id = request.headers["webhook-id"]
        assert events.setdefault(event_id, request.body) == request.body
        received[request.headers["x-talktiko-delivery"], int(request.headers["x-talktiko-attempt"])] += 1
    bodies = {event_id: json.loads(body) for event_id, body in events.items()}
    assert all(body["id"] == event_id for event_id, body in bodies.items())
    assert sorted(body["data"]["attempt_id"] for body in bodies.values()) == sorted(answers)

    of_delivery = {one["id"]: one for one in details}
    assert len(of_delivery) == len(details) == HOOKS * EVENTS
    asked_for = {(hook, event_id) for hook in hooks for event_id in events}
    assert {(one["webhook_id"], one["event_id"]) for one in details} == asked_for
    for request in receiver.requests:
        delivery = of_delivery[request.headers["x-talktiko-delivery"]]
        assert delivery["event_id"] == request.headers["webhook-id"], "also where it came twice"

    recorded: Counter[tuple[str, int]] = Counter()
    resumed = 0
    for one in details:
        numbers = [attempt["attempt"] for attempt in one["attempts"]]
        assert numbers == list(range(1, one["attempts_made"] + 1))
        assert [attempt["outcome"] for attempt in one["attempts"]][-1] == "delivered"
        recorded.update((one["id"], number) for number in numbers)
        resumed += sum(attempt["resumed"] for attempt in one["attempts"])
    assert set(recorded.values()) == {1}
    assert set(recorded) == set(received)
    return {
        "events": len(events), "deliveries": len(details), "requests": received.total(),
        "attempts recorded": recorded.total(), "attempts made again": resumed,
        "duplicates": received.total() - len(received),
    }  # fmt: skip
