"""Warm requests: CPU per request of the same list on Chalice with `@endpoint` and on FastAPI with Mangum,
and of a hello world, which shows what Chalice itself costs. What botocore does is left out: DynamoDB's
answers are put in the place of its calls.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

from tests.benchmarks import canned, process
from tests.benchmarks.start import Context
from tests.benchmarks.table import table

Request = Callable[[], Any]
ROUNDS = 30
REQUESTS = 100
HELLO = "Chalice, hello world"
OURS = "Chalice with `@endpoint`, 15 tokens"
THEIRS = "FastAPI + Mangum, 15 tokens"
READING = "reading the 15 tokens alone: rules and PynamoDB, part of both"


def requests() -> dict[str, Request]:
    """A way to make each request. They answer alike, or they would not be comparable."""
    from botocore.client import BaseClient

    exchange = canned.token_list()
    answers = {"GetItem": {}, **exchange.answers}

    def answer(_: BaseClient, operation: str, __: Any) -> Any:
        return answers[operation]

    BaseClient._make_api_call = answer  # type: ignore[attr-defined]

    from app import app
    from chalicelib.auth import service
    from chalicelib.core import clock
    from chalicelib.core.tokens import admit
    from tests.benchmarks.apps import fast, hello

    context: Any = Context()
    greeting, listing = canned.request("/", {}, {}), exchange.event
    principal, _ = admit(
        listing["headers"]["Authorization"].removeprefix("Bearer "), clock.now(), "192.0.2.1"
    )
    made: dict[str, Request] = {
        HELLO: lambda: hello.app(greeting, context),
        OURS: lambda: app(listing, context),
        THEIRS: lambda: fast.handler(listing, context),
        READING: lambda: service.tokens_of(principal, clock.now()),
    }
    ours, theirs = (json.loads(made[name]()["body"]) for name in (OURS, THEIRS))
    if ours != theirs or len(ours["data"]) != canned.ROWS:
        raise AssertionError(f"the answers differ:\n{ours}\n{theirs}")
    return made


def measure(rounds: int, times: int) -> dict[str, float]:
    """Median of CPU microseconds per request; the apps take turns."""
    made = requests()
    found = {name: list[float]() for name in made}
    for _ in range(rounds):
        for name, request in made.items():
            began = time.process_time()
            for _ in range(times):
                request()
            found[name].append((time.process_time() - began) / times * 1_000_000)
    return {name: statistics.median(values) for name, values in found.items()}


def run(rounds: int = ROUNDS, times: int = REQUESTS) -> str:
    """A table."""
    found: dict[str, float] = process.result("tests.benchmarks.warm", str(rounds), str(times))
    rows = [[name, f"{cpu:.0f}", ""] for name, cpu in found.items()]
    for row in rows[1:3]:
        row[2] = f"{found[row[0]] - found[READING]:.0f}"
    return table(["warm request", "CPU µs", "of it the framework"], rows)


if __name__ == "__main__":
    print(json.dumps(measure(*map(int, sys.argv[1:]))), file=sys.stderr)  # noqa: T201
