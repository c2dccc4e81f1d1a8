"""A batch of which some messages fail: the done ones are deleted, the failed ones come back."""

import json
import threading
from dataclasses import dataclass, field
from typing import Any

import pytest
from pydantic import BaseModel

from chalicelib.core import aws, workers


class Number(BaseModel):
    value: int


@dataclass
class Queue:
    """What SQS was asked to do."""

    deleted: list[str] = field(default_factory=list)
    hidden: dict[str, int] = field(default_factory=dict)

    def delete_message_batch(self, *, QueueUrl: str, Entries: list[dict[str, Any]]) -> None:
        assert QueueUrl.endswith("/q")
        self.deleted += [entry["ReceiptHandle"] for entry in Entries]

    def change_message_visibility_batch(self, *, QueueUrl: str, Entries: list[dict[str, Any]]) -> None:
        assert QueueUrl.endswith("/q")
        self.hidden |= {entry["ReceiptHandle"]: entry["VisibilityTimeout"] for entry in Entries}


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch) -> Queue:
    made = Queue()
    monkeypatch.setattr(aws, "sqs", lambda: made)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.setattr(aws, "queue_url", lambda name: f"https://sqs.example.org/{name}")
    return made


def record(name: str, body: str, received: int = 1) -> dict[str, Any]:
    attributes = {"ApproximateReceiveCount": str(received)}
    return {"messageId": name, "receiptHandle": name, "body": body, "attributes": attributes}


def body(value: int) -> str:
    return json.dumps({"value": value})


def test_a_whole_batch_is_left_to_lambda(queue: Queue) -> None:
    seen: list[int] = []
    workers.handle_batch(
        "q", [record("a", body(1)), record("b", body(2))], Number, lambda m: seen.append(m.value)
    )
    assert (seen, queue.deleted, queue.hidden) == ([1, 2], [], {})


def test_poison_keeps_nothing_else_back(queue: Queue) -> None:
    seen: list[int] = []
    records = [record("a", body(1)), record("b", '{"value":'), record("c", body(3))]
    with pytest.raises(workers.MessagesFailed):
        workers.handle_batch("q", records, Number, lambda m: seen.append(m.value))
    assert (seen, queue.deleted) == ([1, 3], ["a", "c"])
    assert queue.hidden == {"b": 2}


@dataclass
class Poller:
    """What Lambda does with a queue: hands batches out, takes answers, counts receives."""

    queue: Queue
    reports_partial_failures: bool
    received: dict[str, int] = field(default_factory=dict)
    dead: list[str] = field(default_factory=list)

    def run(self, messages: dict[str, str], handle: Any) -> None:
        """Until nothing is left in the queue; five receives, then the dead letters."""
        waiting = dict(messages)
        while waiting:
            batch = list(waiting)[:10]
            for name in batch:
                self.received[name] = self.received.get(name, 0) + 1
            records = [record(name, waiting[name], self.received[name]) for name in batch]
            work: Any = workers.handle_batch
            try:
                answer = work("q", records, Number, handle)
            except workers.MessagesFailed:  # a batch that failed as a whole, reports or not
                kept = [name for name in batch if name not in self.queue.deleted]
            else:
                reported = (answer or {}).get("batchItemFailures", [])
                kept = [one["itemIdentifier"] for one in reported] if self.reports_partial_failures else []
            for name in batch:
                if name not in kept:
                    del waiting[name]
                elif self.received[name] == 5:
                    self.dead.append(name)
                    del waiting[name]


@pytest.mark.parametrize("reports_partial_failures", [False, True])
def test_poison_goes_to_the_dead_letters_alone(queue: Queue, reports_partial_failures: bool) -> None:
    done: list[int] = []
    messages = {f"m{n}": body(n) for n in range(25)} | {"bad": "not json", "worse": '{"value": "x"}'}
    poller = Poller(queue, reports_partial_failures)
    poller.run(dict(sorted(messages.items())), lambda message: done.append(message.value))
    assert sorted(done) == list(range(25)), "nothing is lost and nothing repeated"
    assert sorted(poller.dead) == ["bad", "worse"]
    assert {poller.received[f"m{n}"] for n in range(25)} == {1}


def test_a_failed_message_waits_longer_each_time(queue: Queue) -> None:
    def fail(_: Number) -> None:
        raise ValueError("a bug")

    waits = []
    for received in (1, 2, 3, 4, 5, 9):
        with pytest.raises(workers.MessagesFailed):
            workers.handle_batch("q", [record("a", body(1), received)], Number, fail)
        waits.append(queue.hidden["a"])
    assert waits == [2, 8, 32, 128, 300, 300]
    assert queue.deleted == []


def test_messages_are_handled_at_once_where_asked(queue: Queue) -> None:
    meeting = threading.Barrier(3, timeout=5)

    def meet(_: Number) -> None:
        meeting.wait()

    records = [record(str(n), body(n)) for n in range(3)]
    workers.handle_batch("q", records, Number, meet, threads=3)
    assert (meeting.n_waiting, queue.hidden) == (0, {})
