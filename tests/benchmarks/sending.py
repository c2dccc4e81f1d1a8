"""What delivering costs: the function that delivers, beside the plainest thing instead, a Celery task that
signs and posts with `requests`.

Both are one process in which fifty messages are handled at once: by five functions of ours with a batch of
ten each, as Lambda begins with, and by Celery's pool of threads. They send what waits to receivers on this
machine, which answer after 50 ms. A dead one takes connections and never answers; both give it up after 2 s.
Ours calls AWS by botocore, answered in this process after 5 ms. Celery's broker is in its memory, it logs
nothing, and its task keeps no record of anything.
"""

import asyncio
import hashlib
import heapq
import hmac
import json
import logging
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from typing import Any

from tests.benchmarks import process
from tests.benchmarks.start import Body
from tests.benchmarks.table import table

SETTINGS = ((1, 0), (10, 0), (10, 1), (100, 0), (100, 1))
"""Endpoints, and how many of them are dead."""
DELIVERIES = 600
FUNCTIONS = 5
"""At once, as Lambda begins with."""
THREADS = 10
LATENCY = 0.05
AWS_LATENCY = 0.005
DEADLINE = 2.0

Found = dict[str, float]
DIGITS = {"rate": 0, "half": 1, "all": 1, "cpu": 1, "calls": 1, "wasted": 0}


async def receive() -> None:
    """The receivers: tells their port, and answers after 50 ms; on /dead never."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        await reader.readexactly(int(head.partition(b"content-length:")[2].split(b"\r\n")[0]))
        if head.startswith(b"post /dead"):
            await reader.read()  # until the sender gives up
        else:
            await asyncio.sleep(LATENCY)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=256)
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201
    await server.serve_forever()


@contextmanager
def receivers() -> Iterator[str]:
    """Their common URL."""
    command = [sys.executable, "-m", "tests.benchmarks.sending", "receive"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield f"http://127.0.0.1:{process.stdout.readline().strip() if process.stdout else ''}"
        finally:
            process.terminate()


def paths(endpoints: int, dead: int) -> list[str]:
    return ["/dead"] * dead + [f"/{number}" for number in range(dead, endpoints)]


class Arrivals:
    """When each delivery to a living endpoint was there; how many requests a dead one got."""

    def __init__(self, expected: int) -> None:
        self.seconds: list[float] = []
        self.wasted = 0
        self.complete = threading.Event()
        self._expected = expected
        self._began, self._cpu = time.monotonic(), time.process_time()

    def note(self) -> None:
        self.seconds.append(time.monotonic() - self._began)
        if len(self.seconds) == self._expected:
            self.complete.set()

    def found(self, *, calls: int = 0, answering: float = 0) -> Found:
        """Figures; CPU without what was spent on answering."""
        number, cpu = len(self.seconds), time.process_time() - self._cpu - answering
        return {
            "rate": number / max(self.seconds),
            "half": statistics.median(self.seconds),
            "all": max(self.seconds),
            "cpu": cpu / number * 1000,
            "calls": calls / number,
            "wasted": self.wasted,
        }


class Cloud:
    """DynamoDB, SQS and KMS as they answer over the wire; hands the queue's messages out as Lambda does."""

    def __init__(self) -> None:
        from tests.simulation.store import Store

        self.store = Store()
        self.latency = 0.0
        self.calls = 0
        self.answering = 0.0
        """CPU seconds spent here."""
        self._lock = threading.Lock()
        self._numbers = count()
        self._messages: list[tuple[float, int, str]] = []

    def send(self, request: Any, **_: Any) -> Any:
        """In the place of botocore's HTTP."""
        from botocore.awsrequest import AWSResponse
        from botocore.compat import HTTPHeaders

        time.sleep(self.latency)
        began = time.thread_time()
        service, _, operation = request.headers["X-Amz-Target"].decode().partition(".")
        with self._lock:
            status, answer = self._answer(service, operation, json.loads(request.body))
            content = json.dumps(answer).encode()
            self.calls += 1
            self.answering += time.thread_time() - began
        return AWSResponse(request.url, status, HTTPHeaders(), Body(content))

    def _answer(self, service: str, operation: str, asked: Any) -> tuple[int, dict[str, Any]]:
        from botocore.exceptions import ClientError

        if service == "TrentService":  # KMS
            given, told = "Plaintext", "CiphertextBlob"
            if operation == "Decrypt":
                given, told = told, given
            return 200, {told: asked[given]}
        if operation == "GetQueueUrl":
            return 200, {"QueueUrl": f"https://sqs.eu-central-1.amazonaws.com/0/{asked['QueueName']}"}
        if operation == "SendMessageBatch":
            for entry in asked["Entries"]:
                ready = time.monotonic() + entry["DelaySeconds"]
                heapq.heappush(self._messages, (ready, next(self._numbers), entry["MessageBody"]))
            return 200, {"Successful": [{"Id": entry["Id"]} for entry in asked["Entries"]], "Failed": []}
        try:
            return 200, self.store.answer(operation, asked)
        except ClientError as refused:
            error: dict[str, Any] = dict(refused.response)
            return 400, {**error, "__type": f"amazon#{error['Error']['Code']}"}

    def batch(self) -> list[dict[str, Any]]:
        """Up to ten messages whose time has come."""
        found: list[dict[str, Any]] = []
        with self._lock:
            while self._messages and self._messages[0][0] <= time.monotonic() and len(found) < 10:
                _, number, body = heapq.heappop(self._messages)
                found.append({"messageId": str(number), "receiptHandle": str(number), "body": body,
                              "attributes": {"ApproximateReceiveCount": "1"}})  # fmt: skip
        return found


def ours(url: str, endpoints: int, dead: int, deliveries: int) -> Found:
    """Functions, handed batches as fast as they take them, until all living endpoints have everything."""
    from chalicelib.core import aws, clock, outbound
    from chalicelib.core.outbound import Outcome
    from chalicelib.core.store import connection
    from chalicelib.webhooks import sweeping
    from chalicelib.webhooks.worker import deliver

    cloud = Cloud()
    clients: list[Any] = [connection().client, aws.sqs(), aws.kms()]
    for client in clients:
        client.meta.events.register("before-send", cloud.send)
    alive = subscribe_and_fan_out(url, paths(endpoints, dead), deliveries)
    cloud.latency = AWS_LATENCY
    arrivals, calls, answering = Arrivals(len(alive)), cloud.calls, cloud.answering
    post = outbound.post

    def impatient(url: str, *given: Any, **more: Any) -> Outcome:
        arrivals.wasted += url.endswith("/dead")
        return post(url, *given, **more, deadline_seconds=DEADLINE)

    setattr(outbound, "post", impatient)  # noqa: B010

    left = set(alive)

    def watch(_: str, __: Any, after: Any) -> None:
        if after and after["sk"]["S"] in left and after["status"]["S"] == "delivered":
            left.remove(after["sk"]["S"])
            arrivals.note()

    cloud.store.watch.append(watch)

    def function() -> None:
        while not arrivals.complete.is_set():
            if records := cloud.batch():
                deliver({"Records": records}, None)
            else:
                time.sleep(0.005)

    for _ in range(FUNCTIONS):
        threading.Thread(target=function, daemon=True).start()
    while not arrivals.complete.wait(timeout=60):
        sweeping.sweep(clock.now())
    return arrivals.found(calls=cloud.calls - calls, answering=cloud.answering - answering)


def subscribe_and_fan_out(url: str, paths: list[str], deliveries: int) -> set[str]:
    """Webhooks, events, and deliveries whose messages wait. Ids of those to living endpoints."""
    from chalicelib.core import clock, outbox
    from chalicelib.core.events import new_event
    from chalicelib.core.store import Transaction
    from chalicelib.exports.events import ExportFailed
    from chalicelib.webhooks import service
    from chalicelib.webhooks.models import WEBHOOKS_AT_MOST

    schools: dict[str, list[str]] = {}
    for number, path in enumerate(paths):
        school = f"ins_{number // WEBHOOKS_AT_MOST:026}"
        transaction = Transaction()
        hook, _ = service.create(
            transaction, school, url=url + path, events=["*"], description=None, headers=None,
            per_minute=None, base_url="https://api.example.org", now=clock.now(),
        )  # fmt: skip
        transaction.commit()
        schools.setdefault(school, []).append("" if path == "/dead" else hook.sk)
    alive = set()
    data = ExportFailed(export_id="exp_01KAXG7Y0000000000000000A1", type="activity", error="a test")
    for school in [*schools] * (deliveries // len(paths)):
        event = new_event(data, institution_id=school, now=clock.now())
        transaction = Transaction()
        outbox.keep(transaction, event)
        transaction.commit()
        service.fan_out(event, clock.now())
        alive |= {service.delivery_id(event.id, hook) for hook in schools[school] if hook}
    return alive


def theirs(url: str, endpoints: int, dead: int, deliveries: int) -> Found:
    """A Celery worker, until all living endpoints have everything."""
    import celery  # type: ignore[import-untyped]
    import requests

    logging.disable()
    app = celery.Celery("plain", broker="memory://")
    app.conf.update(
        task_ignore_result=True,
        worker_redirect_stdouts=False,
        broker_transport_options={"polling_interval": 0.01},  # a full worker would sleep for a second
    )

    @app.task(  # type: ignore[untyped-decorator]
        autoretry_for=(requests.RequestException,), retry_backoff=60, retry_jitter=False, max_retries=3
    )
    def send(url: str, body: str, secret: str) -> None:
        arrivals.wasted += url.endswith("/dead")
        signature = hmac.new(secret.encode(), body.encode(), hashlib.sha256).hexdigest()
        headers = {"Content-Type": "application/json", "X-Signature-256": signature}
        requests.post(url, data=body.encode(), headers=headers, timeout=DEADLINE).raise_for_status()
        arrivals.note()

    body = json.dumps({"id": "evt_1", "type": "export.failed", "data": {"error": "a test"}})
    for _ in range(deliveries // endpoints):
        for path in paths(endpoints, dead):
            send.delay(url + path, body, "whsec_test")
    worker = app.Worker(
        pool="threads", concurrency=FUNCTIONS * THREADS,
        without_gossip=True, without_mingle=True, without_heartbeat=True, quiet=True,
    )  # fmt: skip
    arrivals = Arrivals(deliveries // endpoints * (endpoints - dead))
    threading.Thread(target=worker.start, daemon=True).start()
    arrivals.complete.wait()
    return arrivals.found()


WAYS: Mapping[str, Callable[[str, int, int, int], Found]] = {"ours": ours, "Celery + requests": theirs}


def measured(way: str, url: str, endpoints: int, dead: int, deliveries: int) -> Found:
    """In a process of its own."""
    numbers = (str(one) for one in (endpoints, dead, deliveries))
    found: Found = process.result("tests.benchmarks.sending", way, url, *numbers, STAGE="local")
    return found


def run(deliveries: int = DELIVERIES) -> str:
    """A table; the two take turns."""
    rows = []
    with receivers() as url:
        for endpoints, dead in SETTINGS:
            name = f"{endpoints} endpoint{'s' * (endpoints > 1)}{', one dead' * dead}"
            for way in WAYS:
                found = measured(way, url, endpoints, dead, deliveries)
                rows.append(
                    [f"{name}: {way}", *(f"{found[one]:.{digits}f}" for one, digits in DIGITS.items())]
                )
    columns = [
        f"{deliveries} deliveries",
        "a second",
        "half there after s",
        "all there after s",
        "CPU ms each",
        "AWS calls each",
        "requests to the dead",
    ]
    return table(columns, rows)


if __name__ == "__main__":
    if sys.argv[1] == "receive":
        asyncio.run(receive())
    way, url, *numbers = sys.argv[1:]
    print(json.dumps(WAYS[way](url, *map(int, numbers))), file=sys.stderr, flush=True)  # noqa: T201
    os._exit(0)  # Celery's threads would wait for the retries
