"""SQS in memory: messages that wait, hide while somebody has them, come again, and end as dead letters."""

import heapq
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import count
from random import Random
from typing import Any

from tests.simulation.store import resources

LONGEST_DELAY = 900
_LOOKED_AT = 25


@dataclass(eq=False)
class Message:
    number: int
    body: str
    visible_at: float
    received: int = 0

    @property
    def handle(self) -> str:
        return f"{self.number}:{self.received}"

    def record(self) -> dict[str, Any]:
        """As Lambda hands it to a function."""
        return {
            "messageId": str(self.number),
            "receiptHandle": self.handle,
            "body": self.body,
            "attributes": {"ApproximateReceiveCount": str(self.received)},
        }


@dataclass
class Queue:
    hidden_for: float
    """Seconds for which a message that was received is hidden from others."""
    receives_at_most: int
    messages: dict[int, Message] = field(default_factory=dict)
    dead: list[Message] = field(default_factory=list)
    _waiting: list[tuple[float, int, Message]] = field(default_factory=list)
    """By when they can be received; a message that was hidden since then waits further back too."""
    _numbers: Iterator[int] = field(default_factory=count)

    def send(self, body: str, visible_at: float) -> None:
        message = Message(next(self._numbers), body, visible_at)
        self.messages[message.number] = message
        self._wait(message)

    def _wait(self, message: Message) -> None:
        heapq.heappush(self._waiting, (message.visible_at, next(self._numbers), message))

    def receive(self, at_most: int, now: float, chance: Random, comes_twice: float) -> list[Message]:
        """Some that are visible, in any order. One that comes twice is not hidden meanwhile."""
        due: list[Message] = []
        while len(due) < _LOOKED_AT and self.next_at() <= now:
            _, _, message = heapq.heappop(self._waiting)
            if message not in due:
                due.append(message)
        chance.shuffle(due)
        for message in due[at_most:]:
            self._wait(message)
        received = []
        for message in due[:at_most]:
            if message.received >= self.receives_at_most:
                self.dead.append(self.messages.pop(message.number))
                continue
            message.received += 1
            message.visible_at = now if chance.random() < comes_twice else now + self.hidden_for
            self._wait(message)
            received.append(message)
        return received

    def delete(self, handle: str) -> None:
        self.messages.pop(int(handle.partition(":")[0]), None)

    def hide(self, handle: str, until: float) -> None:
        message = self.messages.get(int(handle.partition(":")[0]))
        if message is not None and message.handle == handle:
            message.visible_at = until
            self._wait(message)

    def redrive(self, now: float) -> int:
        """What `make redrive` does: dead letters come again, as new messages."""
        moved, self.dead = self.dead, []
        for message in moved:
            self.send(message.body, now)
        return len(moved)

    def next_at(self) -> float:
        """When the next message can be received."""
        while self._waiting:
            visible_at, _, message = self._waiting[0]
            if message.number in self.messages and message.visible_at == visible_at:
                return visible_at
            heapq.heappop(self._waiting)
        return math.inf


def made() -> dict[str, Queue]:
    """Those of `infra/resources.yaml` that have dead letters, by name."""
    return {name: Queue(*facts) for name, facts in _described().items()}


@cache
def _described() -> Mapping[str, tuple[float, int]]:
    return {
        facts["QueueName"]["Fn::Sub"].replace("talktiko-${Stage}-", ""): (
            float(facts["VisibilityTimeout"]),
            int(facts["RedrivePolicy"]["maxReceiveCount"]),
        )
        for facts in resources("AWS::SQS::Queue")
        if "RedrivePolicy" in facts
    }
