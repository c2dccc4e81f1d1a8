"""The app in this process, on a local cloud's DynamoDB, SQS and KMS: to count its calls, stop its
clock and let it die between any two steps.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

import pytest

from infra.local.cloud import REGION, REPOSITORY, Cloud, free_port, reset, start
from infra.local.deploy import deploy_resources
from infra.packaging import RESOURCES
from tests.receiver import Receiver, receiving
from tests.store import permissions
from tests.store.ledger import Ledger

QUEUES = ("events", "standings", "webhook-deliveries", "webhook-recoveries", "exports", "data-requests")


class Died(BaseException):
    """The process is gone: nothing in it can catch this."""


@dataclass
class Calls:
    """Every AWS call of the app, a plan of which of them it does not survive, and one of which are answered
    here instead of being sent (None: sent).
    """

    made: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    dies_before: Callable[[str, dict[str, Any]], bool] | None = None
    answered: Callable[[str, dict[str, Any]], Any] | None = None
    forbidden: list[str] = field(default_factory=list)
    acting: list[str | None] = field(default_factory=list)
    """The Lambda functions at work, the innermost last; several of one where threads call the API."""
    needed: set[tuple[str, str, str]] = field(default_factory=set)
    """Function, IAM action and resource of every call that a function made, for the test of the policies."""

    def clear(self) -> None:
        self.made.clear()
        self.dies_before = None
        self.answered = None

    @contextmanager
    def by(self, function: str | None) -> Iterator[None]:
        """What is called meanwhile, this Lambda function calls; None: none of them."""
        self.acting.append(function)
        try:
            yield
        finally:
            self.acting.remove(function)

    def names(self) -> list[str]:
        return [name for name, _ in self.made]

    def of(self, name: str) -> list[dict[str, Any]]:
        return [parameters for made, parameters in self.made if made == name]

    def note(self, model: Any, params: dict[str, Any], **_: Any) -> Any:
        body = params.get("body") or b"{}"
        speaks_json = model.service_model.metadata["protocol"] == "json"
        parameters = json.loads(body) if speaks_json else {}
        if model.name == "Scan" or "FilterExpression" in parameters:
            self.forbidden.append(f"{model.name} {parameters}")
        if self.dies_before and self.dies_before(model.name, parameters):
            raise Died(model.name)
        function = self.acting[-1] if self.acting else None
        if function is not None:
            for action, resource in permissions.needed(model, params, parameters):
                self.needed.add((function, action, resource))
        self.made.append((model.name, parameters))
        return self.answered(model.name, parameters) if self.answered else None


def refused(code: str, **members: Any) -> Any:
    """What botocore makes of an error's answer, for `Calls.answered`."""
    return SimpleNamespace(status_code=400), {"Error": {"Code": code, "Message": code}, **members}


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: Any


class RawBody(str):
    """A body that is sent as it is, JSON or not."""

    __slots__ = ()


class Context:
    """What Lambda hands over beside the event."""

    function_name = "talktiko-test"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:eu-central-1:000000000000:function:talktiko-test"
    aws_request_id = "test"

    def get_remaining_time_in_millis(self) -> int:
        return 30_000


@dataclass
class System:
    """The app, its store, its clock."""

    cloud: Cloud
    calls: Calls
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def later(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def call(
        self,
        method: str,
        url: str,
        body: object = None,
        *,
        token: str | None = None,
        address: str = "192.0.2.1",
        **headers: str,
    ) -> Answer:
        """One request, as API Gateway hands it to the app."""
        from app import app

        path, query = unquote(urlsplit(url).path), urlsplit(url).query
        resource, parameters = _route(path, method, list(app.routes))
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if token:
            sent["authorization"] = f"Bearer {token}"
        if body is not None:
            sent.setdefault("content-type", "application/json")
        event = {
            "path": path,
            "headers": sent,
            "multiValueQueryStringParameters": parse_qs(query, keep_blank_values=True) or None,
            "pathParameters": parameters,
            "body": body if isinstance(body, RawBody | None) else json.dumps(body),
            "stageVariables": None,
            "requestContext": {
                "httpMethod": method,
                "resourcePath": resource,
                "path": quote(path),
                "requestId": "test",
                "domainName": "api.example.org",
                "identity": {"sourceIp": address},
            },
        }
        with self.calls.by("api"):
            answer = app(event, Context())
        text = answer["body"]
        headers_sent = {name.lower(): value for name, value in answer["headers"].items()}
        is_json = "json" in headers_sent.get("content-type", "")
        return Answer(answer["statusCode"], headers_sent, json.loads(text) if is_json and text else text)

    def messages(self, queue: str) -> list[dict[str, Any]]:
        """What waits in a queue and may be received now."""
        sqs = self.cloud.client("sqs")
        url = sqs.get_queue_url(QueueName=f"talktiko-local-{queue}")["QueueUrl"]
        found = []
        while batch := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
            for message in batch:
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            found += batch
        return found

    def work(self, worker: Callable[[Any, Any], Any], messages: list[dict[str, Any]]) -> None:
        """Hand messages to a worker, as Lambda does."""
        if messages:
            self._run(worker, {"Records": [_record(message) for message in messages]})

    def tick(self, worker: Callable[[Any, Any], Any]) -> None:
        """A scheduled run."""
        keys = ("version", "account", "region", "detail", "detail-type", "source", "time", "id", "resources")
        self._run(worker, dict.fromkeys(keys, ""))

    def _run(self, worker: Callable[[Any, Any], Any], event: dict[str, Any]) -> None:
        handler: Any = worker  # Chalice wraps the function
        with self.calls.by(handler.func.__name__.replace("_", "-")):
            worker(event, Context())


def _route(path: str, method: str, routes: list[str]) -> tuple[str, dict[str, str]]:
    """API Gateway's choice: an exact part wins over a variable one."""
    parts = path.split("/")
    fitting = []
    for route in routes:
        names = route.split("/")
        if len(names) == len(parts) and all(
            name == part or (name.startswith("{") and part) for name, part in zip(names, parts, strict=True)
        ):
            variables = {n[1:-1]: p for n, p in zip(names, parts, strict=True) if n.startswith("{")}
            fitting.append((len(variables), route, variables))
    if not fitting:
        return "/{proxy+}", {}
    _, route, variables = min(fitting, key=lambda found: found[0])
    return route, variables


def _record(message: dict[str, Any]) -> dict[str, Any]:
    return {
        "messageId": message.get("MessageId", "test"),
        "receiptHandle": message.get("ReceiptHandle", "test"),
        "body": message["Body"],
        "attributes": {"ApproximateReceiveCount": "1"},
    }


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The policies are compared with the calls of all other tests."""
    items.sort(key=lambda item: item.path.name == "test_policies.py")


@pytest.fixture(scope="session")
def _cloud() -> Iterator[Cloud]:
    state = REPOSITORY / ".local" / "test" / str(os.getpid()) / "store"
    cloud = Cloud(state, free_port(), snapshot_seconds=3600)
    with pytest.MonkeyPatch.context() as environment:
        for name, value in {
            "AWS_ENDPOINT_URL": cloud.endpoint_url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_CONFIG_FILE": str(cloud.stored / "aws.config"),
            "STAGE": "local",
            "PUBLIC_RATE_LIMIT": "100000",
            "REFUSED_TOKEN_LIMIT": "100000",
            "SIGN_IN_LIMIT": "100000",
            "SIGN_IN_ACCOUNT_LIMIT": "100000",
            "SIGN_IN_ADDRESS_LIMIT": "100000",
            "PUBLIC_URL": "https://api.example.org",
        }.items():
            environment.setenv(name, value)
        try:
            start(cloud)
            deploy_resources(cloud, REPOSITORY / RESOURCES)
            yield cloud
        finally:
            reset(cloud)
            shutil.rmtree(state, ignore_errors=True)


@pytest.fixture(scope="session")
def _calls(_cloud: Cloud) -> Calls:
    from chalicelib.core import aws
    from chalicelib.core.settings import settings
    from chalicelib.core.store import bulk_client, connection

    for made in (settings, aws.session, connection, bulk_client, aws.sqs, aws.s3, aws.kms, aws.queue_url):
        made.cache_clear()
    calls = Calls()
    for client in (connection().client, bulk_client(), aws.sqs(), aws.s3(), aws.kms()):
        client.meta.events.register("before-call.*.*", calls.note)
    return calls


@pytest.fixture(scope="session", autouse=True)
def _cheap_passwords() -> Iterator[None]:
    """Hashes that cost no time: a tenth of a second for each sign-in would be a third of these tests."""
    from argon2 import PasswordHasher
    from argon2.profiles import CHEAPEST

    from chalicelib.auth import passwords

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "_hasher", lambda: PasswordHasher.from_parameters(CHEAPEST))
        yield


@pytest.fixture(scope="session")
def _ledger(_cloud: Cloud, _calls: Calls) -> Ledger:
    """Sees every item that a call reads or writes, while it watches."""
    from chalicelib.core.store import connection

    ledger = Ledger(_cloud.client("dynamodb"))
    events = connection().client.meta.events
    events.register("before-call.dynamodb.*", ledger.before)
    events.register("after-call.dynamodb.*", ledger.after)
    return ledger


@pytest.fixture
def ledger(_ledger: Ledger) -> Iterator[Ledger]:
    yield _ledger
    _ledger.end()


@pytest.fixture(scope="session")
def later_systems(_cloud: Cloud, _calls: Calls) -> Iterator[Callable[[], System]]:
    """Makes systems on the same store, each with a clock of its own: that of the last one made holds."""
    from chalicelib.core import clock

    latest = [System(_cloud, _calls)]

    def make() -> System:
        latest.append(System(_cloud, _calls))
        return latest[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clock, "now", lambda: latest[-1].now)
        yield make


@pytest.fixture
def system(later_systems: Callable[[], System], _calls: Calls) -> Iterator[System]:
    """Its clock stands still until the test moves it."""
    system = later_systems()
    _calls.clear()
    yield system
    _calls.clear()
    assert _calls.forbidden == [], "nothing may read more than it was asked for"


@pytest.fixture
def configured(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Sets variables of the environment for one test: `configured(SIGN_IN_LIMIT=3)`."""
    from chalicelib.core.settings import settings

    def set_(**variables: int) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, str(value))
        settings.cache_clear()

    yield set_
    monkeypatch.undo()
    settings.cache_clear()


@pytest.fixture
def empty_queues(system: System) -> None:
    """Nothing waits in the queues or in the outbox that an earlier test left there."""
    from chalicelib.events.worker import sweep_outbox

    system.later(3600)
    system.tick(sweep_outbox)
    system.later(-3600)
    for queue in QUEUES:
        system.messages(queue)
    system.calls.clear()


@pytest.fixture
def standings_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their queue does not wait."""
    monkeypatch.setattr(
        "chalicelib.standings.service.settings", lambda: SimpleNamespace(standings_delay_seconds=0)
    )


@pytest.fixture(scope="session")
def school(_calls: Calls) -> str:
    """The demo data: a school with its people, and the courses. Its id."""
    from infra.demo.seed import SCHOOL, seed

    seed()
    return SCHOOL.id


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as server:
        yield server
