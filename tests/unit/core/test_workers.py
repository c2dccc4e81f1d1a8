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
