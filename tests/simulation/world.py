"""A world in one thread: AWS, processes, receivers and the clock, in which the product's own code runs.

Every process is a greenlet that stops at each AWS call and each request, until the clock has reached the
moment at which it goes on; between two moments nothing happens. So processes get between each other's calls
as they do on AWS, days take seconds, and one seed decides everything: the same seed is the same run, to the
last call.

Real are the functions that Lambda runs, their settings (`.chalice/config.json`, `infra/resources.yaml`, the
declarations of the workers), and all code below them down to the AWS clients. In memory are DynamoDB, SQS and
KMS; receivers stand in the place of `outbound.post`, which has its own tests on real sockets.
"""

import heapq
import importlib
import json
import logging
import math
import random
import secrets
import sys
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from typing import Any
from unittest.mock import patch

import greenlet  # type: ignore[import-untyped]
import ulid
from botocore.client import BaseClient
from botocore.exceptions import ClientError, EndpointConnectionError
from chalice.app import SQSEventConfig

from chalicelib.core import outbound
from chalicelib.core.outbound import Outcome
from infra.local.cloud import REPOSITORY
from tests.simulation import queue
from tests.simulation.queue import Message, Queue
from tests.simulation.store import Store

BEGAN = datetime(2026, 11, 25, 12, tzinfo=UTC)
FUNCTIONS = ("fan-out", "deliver", "recover", "sweep-outbox", "sweep-deliveries")
API_SECONDS = 29.0
VARIABLES = {
    "STAGE": "local", "AWS_DEFAULT_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test", "PUBLIC_URL": "https://api.example.org",
}  # fmt: skip


class Died(BaseException):
    """The process is gone: nothing in it can catch this."""


class Failed(ClientError):
    """AWS answered with an error, after the client's own retries."""

    def __init__(self, operation: str, code: str, **members: Any) -> None:
        answer: Any = {"Error": {"Code": code, "Message": "simulated"}, **members}
        super().__init__(answer, operation)


class Away(EndpointConnectionError):
    """AWS did not answer; what was asked may have happened."""

    def __init__(self) -> None:
        super().__init__(endpoint_url="simulated")


@dataclass(frozen=True)
class Weather:
    """Chances: of each AWS call the first six, the others of each message, run or minute."""

    dies: float = 0
    fails: float = 0
    answer_lost: float = 0
    repeated: float = 0
    """The client sends it again as its answer was lost; both arrive."""
    refused: float = 0
    """A transaction, as others write the same; an entry of a batch, by the queue."""
    stalls: float = 0
    comes_twice: float = 0
    is_late: float = 0
    is_lost: float = 0
    """Only messages of `LOSABLE`."""
    dies_at_end: float = 0
    outlives: float = 0
    """A run that is not ended when its time is over, and whose requests outlast their leases."""
    tick_missed: float = 0
    away: float = 0


CALM = Weather()
LOSABLE = ("webhook-deliveries", "webhook-recoveries")
"""Their messages are wake-ups, which the sweeper makes good where one is lost."""


@dataclass(eq=False)
class Process:
    function: str
    ended: Callable[[str], None]
    """Told once how it ended: done, failed, died."""
    dead: bool = False
    outlives: bool = False
    over: bool = False


@dataclass(eq=False)
class Task:
    """A thread of a process."""

    process: Process
    greenlet: Any = None
    uncounted: str | None = None
    """A webhook, between an attempt's record and its place in the statistics."""
    failed: bool = False


Answering = Callable[[str, bytes, Mapping[str, str]], tuple[float, Outcome]]
"""What a receiver does with a request: after how many seconds, and what the sender sees."""


@dataclass(eq=False)
class Sent:
    """A request to a receiver."""

    webhook_id: str
    delivery_id: str
    event_id: str
    number: int
    began: float
    task: Task | None
    answered: Outcome | None = None
    test: bool = False


class World:
    def __init__(self, seed: int, *, trace: Callable[[str], None] | None = None) -> None:
        self.chance = random.Random(seed)  # noqa: S311 (a seed replays its run)
        self.seconds = 0.0
        self.weather = CALM
        self.store = Store(self._a_moment_later)
        self.queues: dict[str, Queue] = queue.made()
        self.counts: Counter[str] = Counter()
        self.faults: list[str] = []
        self.digest = 0
        self.running: Task | None = None
        self.alive: set[Process] = set()
        self.away_until: dict[str, float] = {}
        self.answering: Answering = lambda *_: (0.05, Outcome(outbound.Durations(50), 0, status_code=200))
        self.on_sent: Callable[[Sent], None] = lambda _: None
        self.sent: list[Sent] = []
        self.under_way: dict[str, set[Sent]] = {}
        self.lost_counts: Counter[str] = Counter()
        """Attempts that statistics lack (or, below zero, hold twice), by webhook."""
        self._trace = trace
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()
        self._hub: Any = None
        self._functions = _functions()
        self._busy: Counter[str] = Counter()
        self._listening: dict[str, float] = {}

    # Time

    @property
    def now(self) -> datetime:
        return BEGAN + timedelta(seconds=self.seconds)

    def at(self, seconds: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._heap, (seconds, next(self._numbers), action))

    def run(self) -> None:
        """Until nothing is left to happen."""
        self._hub = greenlet.getcurrent()
        while self._heap:
            self.seconds, _, action = heapq.heappop(self._heap)
            self.counts["steps"] += 1
            action()

    def _a_moment_later(self, step: Callable[[], None]) -> None:
        self.at(self.seconds + self.chance.expovariate(2), step)

    def note(self, *what: object) -> None:
        line = f"{self.seconds:.6f} {' '.join(map(str, what))}"
        self.digest = zlib.crc32(line.encode(), self.digest)
        if self._trace:
            self._trace(line)

    def fault(self, text: str) -> None:
        """Something that must never be."""
        self.faults.append(f"at {self.seconds:.3f} s: {text}")

    # Processes

    def start(
        self,
        function: str,
        seconds: float,
        work: Callable[[], object],
        ended: Callable[[str], None] = lambda _: None,
    ) -> None:
        """A process that does `work` and is ended when its time is over."""
        process = Process(function, ended, outlives=self.chance.random() < self.weather.outlives)
        self.alive.add(process)
        self.counts["processes"] += 1
        self.note("start", function)
        self._begin(process, work, lambda how: self._over(process, how))
        if process.outlives:
            self.counts["outlived"] += 1
        else:
            self.at(self.seconds + seconds, lambda: self._kill(process))

    def _begin(self, process: Process, work: Callable[[], object], done: Callable[[str], None]) -> None:
        task = Task(process)

        def body() -> None:
            how = "done"
            try:
                work()
            except Died:
                how = "died"
            except Exception as error:
                how = "failed"
                task.failed = True
                self._judge_error(error)
            if task.uncounted is not None:
                self.lost_counts[task.uncounted] += 1
            done(how)

        task.greenlet = greenlet.greenlet(body)
        self.at(self.seconds, lambda: self._resume(task))

    def _resume(self, task: Task) -> None:
        if not task.greenlet.dead:
            self.running = task
            task.greenlet.parent = self._hub
            task.greenlet.switch()
            self.running = None

    def _kill(self, process: Process) -> None:
        if not process.over:
            process.dead = True
            self.counts["deaths"] += 1
            self._over(process, "died")

    def _over(self, process: Process, how: str) -> None:
        if process.over:
            return
        process.over = True
        self.alive.discard(process)
        self.note("over", process.function, how)
        process.ended(how)

    def sleep(self, seconds: float) -> None:
        """Of the process that runs."""
        task = self.running
        if task is None:
            return
        self.at(self.seconds + seconds, lambda: self._resume(task))
        self._hub.switch()
        self._stay_alive(task)

    @staticmethod
    def _stay_alive(task: Task) -> None:
        if task.process.dead:
            raise Died

    def _die(self, task: Task) -> None:
        self.note("dies", task.process.function)
        self._kill(task.process)
        raise Died

    def all_of(self, work: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
        """`ThreadPoolExecutor.map`: a thread of the running process for each."""
        parent, results = self.running, [None] * len(items)
        if parent is None:
            raise RuntimeError("only a process has threads")
        left = len(items)

        def ended(_: str) -> None:
            nonlocal left
            left -= 1
            if not left:
                self.at(self.seconds, lambda: self._resume(parent))

        def one(index: int) -> None:
            results[index] = work(items[index])

        for index in range(len(items)):
            self._begin(parent.process, partial(one, index), ended)
        self._hub.switch()
        self._stay_alive(parent)
        return results

    # AWS

    def call(self, client: BaseClient, operation: str, request: Mapping[str, Any]) -> Any:
        """An AWS call: what becomes of it is drawn anew each time."""
        service, task = client.meta.service_model.service_name, self.running
        if task is None:
            return self._serve(service, operation, request)
        self._stay_alive(task)
        self.counts["AWS calls"] += 1
        if self.chance.random() < self.weather.dies:
            self._die(task)
        self.sleep(self._latency())
        self.note(task.process.function, operation)
        if not _is_count(operation, request):
            return self._answer(service, operation, request)
        webhook_id, task.uncounted, served = task.uncounted or "", None, self.counts["served"]
        try:
            return self._answer(service, operation, request)
        finally:
            self.lost_counts[webhook_id] += 1 - (self.counts["served"] - served)

    def _answer(self, service: str, operation: str, request: Mapping[str, Any]) -> Any:
        """What AWS does with a call that it got, or did not get."""
        weather, drawn = self.weather, self.chance.random()
        if self.away_until.get(service, 0) > self.seconds or drawn < weather.fails:
            self.counts["failed calls"] += 1
            raise Failed(operation, "InternalServerError") if self.chance.random() < 0.5 else Away()
        if drawn < weather.fails + weather.refused:
            refused = self._refused(operation, request)
            if refused is not None:
                return refused
        answer = self._serve(service, operation, request)
        if drawn > 1 - weather.answer_lost:
            self.counts["lost answers"] += 1
            raise Away
        is_repeated = drawn > 1 - weather.answer_lost - weather.repeated
        if is_repeated and operation != "TransactWriteItems":  # that carries a token against it
            self.counts["repeated calls"] += 1
            return self._serve(service, operation, request)
        return answer

    def _latency(self) -> float:
        if self.chance.random() < self.weather.stalls:
            return self.chance.uniform(1, 15)
        return self.chance.expovariate(200)

    def _refused(self, operation: str, request: Mapping[str, Any]) -> Any:
        if operation == "TransactWriteItems":
            self.counts["refused calls"] += 1
            reasons = [{"Code": "TransactionConflict"}] + [{"Code": "None"}] * (
                len(request["TransactItems"]) - 1
            )
            raise Failed(operation, "TransactionCanceledException", CancellationReasons=reasons)
        if operation == "SendMessageBatch":
            self.counts["refused calls"] += 1
            first, *others = request["Entries"]
            self._serve("sqs", operation, {**request, "Entries": others})
            refused = {"Id": first["Id"], "Code": "InternalError"}
            return {"Successful": [{"Id": one["Id"]} for one in others], "Failed": [refused]}
        return None

    def _serve(self, service: str, operation: str, request: Mapping[str, Any]) -> Any:
        self.counts["served"] += 1
        if service == "dynamodb":
            return self.store.answer(operation, request)
        return {"sqs": self._queue_answer, "kms": _sealed}[service](operation, request)

    def _queue_answer(self, operation: str, request: Mapping[str, Any]) -> Any:
        if operation == "GetQueueUrl":
            return {"QueueUrl": request["QueueName"].removeprefix("talktiko-local-")}
        name = request["QueueUrl"]
        for entry in request["Entries"]:
            if operation == "SendMessageBatch":
                self._send(name, entry)
            elif operation == "DeleteMessageBatch":
                self.queues[name].delete(entry["ReceiptHandle"])
            elif operation == "ChangeMessageVisibilityBatch":
                self.queues[name].hide(entry["ReceiptHandle"], self.seconds + entry["VisibilityTimeout"])
            else:
                raise NotImplementedError(operation)
        self.listen(name)
        return {"Successful": [{"Id": entry["Id"]} for entry in request["Entries"]], "Failed": []}

    def _send(self, name: str, entry: Mapping[str, Any]) -> None:
        if not 0 <= entry["DelaySeconds"] <= queue.LONGEST_DELAY:
            raise Failed("SendMessageBatch", "InvalidParameterValue")
        weather, chance = self.weather, self.chance
        self.counts["messages"] += 1
        if name in LOSABLE and chance.random() < weather.is_lost:
            self.counts["lost messages"] += 1
            return
        copies = 2 if chance.random() < weather.comes_twice else 1
        for _ in range(copies):
            late = chance.uniform(1, 600) if chance.random() < weather.is_late else chance.uniform(0, 0.1)
            self.queues[name].send(entry["MessageBody"], self.seconds + entry["DelaySeconds"] + late)
        self.counts["messages sent twice"] += copies - 1

    # Lambda

    def listen(self, name: str) -> None:
        """See to it that somebody looks when the next message can be received."""
        next_at = max(self.queues[name].next_at(), self.seconds)
        if next_at < self._listening.get(name, math.inf):
            self._listening[name] = next_at
            self.at(next_at, lambda: self._poll(name))

    def _poll(self, name: str) -> None:
        if self._listening[name] != self.seconds:
            return  # somebody has looked, or looks, before
        self._listening[name] = math.inf
        function, waiting = self._functions[name], self.queues[name]
        while self._busy[name] < function.at_once and waiting.next_at() <= self.seconds:
            size = self.chance.randint(1, function.batch_size)
            messages = waiting.receive(size, self.seconds, self.chance, self.weather.comes_twice)
            if messages:
                self._hand_over(name, function, messages)
        if waiting.next_at() > self.seconds:
            self.listen(name)

    def _hand_over(self, name: str, function: "Function", messages: Sequence[Message]) -> None:
        handles = [message.handle for message in messages]
        self.counts["messages received again"] += sum(message.received > 1 for message in messages)
        self._busy[name] += 1

        def ended(how: str) -> None:
            self._busy[name] -= 1
            if how == "done" and self.chance.random() >= self.weather.dies_at_end:
                for handle in handles:
                    self.queues[name].delete(handle)
            self.listen(name)

        event = {"Records": [message.record() for message in messages]}
        self.start(function.name, function.seconds, lambda: function.handler(event, None), ended)

    def tick(self, name: str, *, every: float = 60.0, until: Callable[[], bool]) -> None:
        """A scheduled function, again and again."""
        if until():
            return
        if self.chance.random() >= self.weather.tick_missed:
            function = self._functions[name]
            event = dict.fromkeys(
                (
                    "version",
                    "account",
                    "region",
                    "detail",
                    "detail-type",
                    "source",
                    "time",
                    "id",
                    "resources",
                ),
                "",
            )
            self.start(function.name, function.seconds, lambda: function.handler(event, None))
        self.at(self.seconds + every, lambda: self.tick(name, every=every, until=until))

    # Receivers

    def post(self, url: str, body: bytes, headers: Mapping[str, str], **_: Any) -> Outcome:
        """In the place of `outbound.post`."""
        task, chance = self.running, self.chance
        if task is None:
            raise RuntimeError("only a process sends")
        self._stay_alive(task)
        if chance.random() < self.weather.dies:
            self._die(task)
        took, outcome = self.answering(url, body, headers)
        if task.process.outlives:
            took += chance.uniform(0, 120)
        sent = Sent(
            url.rpartition("/")[2],
            headers["X-Talktiko-Delivery"],
            headers["webhook-id"],
            int(headers["X-Talktiko-Attempt"]),
            self.seconds,
            task,
            test=headers["X-Talktiko-Event"] == "webhook.ping",
        )
        self.note("post", sent.delivery_id, sent.number, outcome.status_code or outcome.error_class)
        self.counts["requests"] += 1
        self.on_sent(sent)
        self.sent.append(sent)
        under_way = self.under_way.setdefault(sent.webhook_id, set())
        under_way.add(sent)
        try:
            if chance.random() < self.weather.dies * 2:  # while it waits
                self.at(self.seconds + chance.uniform(0, took), lambda: self._kill(task.process))
            self.sleep(took)
            if chance.random() < self.weather.dies * 2:  # with the answer in its hands
                self._die(task)
        finally:
            under_way.discard(sent)
        sent.answered = outcome
        return outcome

    def _judge_error(self, error: BaseException) -> None:
        """A failure is one of ours unless one of AWS led to it."""
        if not _was_simulated(error):
            self.fault(f"{self.running.process.function if self.running else ''} raised {error!r}")

    def log_exception(self, *_: Any, **__: Any) -> None:
        """In the place of `log.exception`."""
        error = sys.exc_info()[1]
        if error is not None and self.running is not None:
            self.running.failed = True
            self._judge_error(error)


def _was_simulated(error: BaseException | None) -> bool:
    from chalicelib.core.errors import Conflict
    from chalicelib.core.workers import MessagesFailed

    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, Failed | Away | MessagesFailed):
            return True
        if isinstance(error, Conflict) and error.retry_after is not None:
            return True
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return False


@dataclass(frozen=True)
class Function:
    name: str
    handler: Callable[[Any, Any], Any]
    seconds: float
    batch_size: int = 1
    at_once: int = 1000


def _functions() -> dict[str, Function]:
    """By the queue that wakes them, or by their own name."""
    from app import app

    facts = json.loads((REPOSITORY / ".chalice" / "config.json").read_text())["lambda_functions"]
    found = {}
    for source in app.event_sources:
        if source.name not in FUNCTIONS:
            continue
        module, _, name = source.handler_string.rpartition(".")
        handler = getattr(importlib.import_module(module), name)
        seconds = float(facts[source.name]["lambda_timeout"])
        if isinstance(source, SQSEventConfig):
            woken_by = str(source.queue).removeprefix("talktiko-local-")
            at_once = source.maximum_concurrency or 1000
            found[woken_by] = Function(source.name, handler, seconds, source.batch_size, at_once)
        else:
            found[source.name] = Function(source.name, handler, seconds)
    return found


def _is_count(operation: str, request: Mapping[str, Any]) -> bool:
    return operation == "UpdateItem" and request["Key"].get("sk", {}).get("S", "").startswith("STATS#")


def _sealed(operation: str, request: Mapping[str, Any]) -> Any:
    """KMS, as far as it must: what is sealed opens only with its context."""
    context = json.dumps(request["EncryptionContext"], sort_keys=True).encode()
    if operation == "Encrypt":
        return {"CiphertextBlob": context + b"\0" + request["Plaintext"]}
    sealed_for, _, plain = request["CiphertextBlob"].partition(b"\0")
    if sealed_for != context:
        raise Failed(operation, "InvalidCiphertextException")
    return {"Plaintext": plain}


class _Pool:
    """In the place of a thread pool."""

    def __init__(self, world: World) -> None:
        self.map = world.all_of

    def __enter__(self) -> "_Pool":
        return self

    def __exit__(self, *_: object) -> None:
        """Its threads are done."""


@contextmanager
def inhabited(world: World, seed: int) -> Iterator[None]:
    """The product's code runs in this world meanwhile."""
    from chalicelib.core import aws, clock, limits, sealing, workers
    from chalicelib.core import outbox as outbox_module
    from chalicelib.core.logs import log
    from chalicelib.core.settings import settings
    from chalicelib.webhooks import models

    state = random.getstate()
    random.seed(seed)
    ids = ulid.ULIDGenerator(randomness=lambda _: world.chance.randbytes(10))
    for forgotten in (settings, aws.queue_url):
        forgotten.cache_clear()
    sealing._opened.clear()
    limits._spent.clear()
    logging.disable(logging.CRITICAL)
    try:
        with (
            patch.dict("os.environ", VARIABLES),
            patch.object(BaseClient, "_make_api_call", lambda *given: world.call(*given)),  # noqa: PLW0108 (binds the client)
            patch.object(clock, "now", lambda: world.now),
            patch.object(time, "sleep", world.sleep),
            patch.object(secrets, "token_hex", lambda size: world.chance.randbytes(size).hex()),
            patch.object(secrets, "token_bytes", world.chance.randbytes),
            patch.object(ulid, "default_generator", ids),
            patch.object(outbound, "post", world.post),
            patch.object(workers, "ThreadPoolExecutor", lambda _: _Pool(world)),
            patch.object(log, "exception", world.log_exception),
            patch.object(outbox_module, "SHARDS", 2),  # so that a minute's look is short
            patch.object(models, "DUE_SHARDS", 2),
        ):
            yield
    finally:
        logging.disable(logging.NOTSET)
        random.setstate(state)
        for forgotten in (settings, aws.queue_url):
            forgotten.cache_clear()
