"""What a request costs: its AWS calls, and the capacity that they consume. The README's table says so.

`make costs` writes the table anew.
"""

import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import pytest
from openapi_schema_validator import OAS31Validator
from pydantic import BaseModel

import app  # noqa: F401 (declares every endpoint)
from chalicelib.core.http import ENDPOINTS, Endpoint, Raw
from infra.local.cloud import REPOSITORY
from tests.store.conftest import Answer, System
from tests.store.examples import name_of, scene
from tests.store.ledger import Ledger

README = REPOSITORY / "README.md"
BEGIN, END = "<!-- costs: written by `make costs` -->\n", "<!-- /costs -->\n"
HEAD = "| request | DynamoDB calls | reads | writes | other calls |\n| --- | --- | ---: | ---: | --- |\n"


@dataclass(frozen=True)
class Exchange:
    """A good request, and what it took."""

    endpoint: Endpoint
    answer: Answer
    calls: list[tuple[str, dict[str, Any]]]
    read: float
    written: float

    def row(self) -> str:
        stored = [call for call in self.calls if call[1]]
        other = [name for name, parameters in self.calls if not parameters]
        told = [_told(stored), f"{self.read:g}", f"{self.written:g}", ", ".join(other)]
        return f"| `{name_of(self.endpoint)}` | {' | '.join(told)} |\n"


def _told(calls: list[tuple[str, dict[str, Any]]]) -> str:
    def one(call: tuple[str, dict[str, Any]]) -> str:
        name, parameters = call
        return f"{name} of {len(parameters['TransactItems'])}" if name == "TransactWriteItems" else name

    runs = [(name, len(list(run))) for name, run in groupby(map(one, calls))]
    return ", ".join(f"{times} {name}" if times > 1 else name for name, times in runs)


@pytest.fixture(scope="module")
def exchanges(later_systems: Callable[[], System], school: str, _ledger: Ledger) -> list[Exchange]:
    """Every endpoint once, by a container that has warmed up."""
    system = later_systems()
    return [_exchange(system, _ledger, endpoint) for endpoint in ENDPOINTS for _ in _warmed(system, endpoint)]


def _warmed(system: System, endpoint: Endpoint) -> list[Answer]:
    there = scene(system)
    return [there.send(endpoint, *there.request(endpoint))]


def _exchange(system: System, ledger: Ledger, endpoint: Endpoint) -> Exchange:
    there = scene(system)
    path, body = there.request(endpoint)
    headers = {"idempotency_key": secrets.token_hex(8)} if endpoint.idempotent else {}
    system.calls.clear()
    ledger.begin()
    answer = there.send(endpoint, path, body, **headers)
    ledger.end()
    assert answer.status < 400, (name_of(endpoint), answer.body)
    calls = [(name, _of_dynamodb(name, parameters)) for name, parameters in system.calls.made]
    return Exchange(endpoint, answer, calls, ledger.read, ledger.written)


def _of_dynamodb(name: str, parameters: dict[str, Any]) -> dict[str, Any]:
    known = {"TableName", "RequestItems", "TransactItems"} & set(parameters)
    return parameters if known else {}


def test_the_readme_says_what_a_request_costs(exchanges: list[Exchange]) -> None:
    text = README.read_text()
    before, _, rest = text.partition(BEGIN)
    said, _, after = rest.partition(END)
    rows = HEAD + "".join(exchange.row() for exchange in exchanges)
    if os.environ.get("WRITE_COSTS"):
        README.write_text(before + BEGIN + rows + END + after)
        return
    assert said.splitlines() == rows.splitlines(), "`make costs` writes it anew"


def test_authentication_limit_and_last_use_are_one_round_trip(exchanges: list[Exchange]) -> None:
    for exchange in exchanges:
        table = "requests" if exchange.endpoint.abilities is None else "tokens"
        name, parameters = exchange.calls[0]
        assert (name, parameters["TableName"]) == ("UpdateItem", f"talktiko-local-{table}")
        on_tokens = [p for _, p in exchange.calls if p.get("TableName") == "talktiko-local-tokens"]
        assert len(on_tokens) == (table == "tokens"), name_of(exchange.endpoint)


def test_a_token_that_is_not_admitted_costs_one_call(system: System) -> None:
    there = scene(system)
    assert system.call("POST", "/api/auth/sign-out", token=there.token).status == 204
    system.calls.clear()
    assert system.call("GET", "/api/auth/me", token=there.token).status == 401
    assert system.calls.names() == ["UpdateItem", "UpdateItem"], (
        "its own, and the address's count of refusals"
    )
    system.calls.clear()
    assert system.call("GET", "/api/auth/me", token=there.token).status == 401
    assert system.calls.names() == [], "a container remembers for two seconds"


def test_answers_show_what_is_declared_and_no_more(exchanges: list[Exchange]) -> None:
    for exchange in exchanges:
        declared = exchange.endpoint.returns
        if declared is None or declared is Raw or exchange.answer.status == 302:
            continue
        assert issubclass(declared, BaseModel)
        shown = exchange.answer.body
        if "links" not in declared.model_fields:
            assert list(shown) == ["data"]
            shown = shown["data"]
        schema = _closed(declared.model_json_schema(mode="serialization"))
        faults = [error.message for error in OAS31Validator(schema).iter_errors(shown)]
        assert faults == [], name_of(exchange.endpoint)


def _closed(schema: Any) -> Any:
    """The schema, allowing no more than it names."""
    if isinstance(schema, list):
        return [_closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    parts = {name: _closed(part) for name, part in schema.items()}
    return {**parts, "additionalProperties": False} if isinstance(parts.get("properties"), dict) else parts


def test_every_answer_says_what_it_is(exchanges: list[Exchange]) -> None:
    kinds = {
        exchange.answer.headers["content-type"].partition(";")[0]
        for exchange in exchanges
        if exchange.answer.body
    }
    assert kinds <= {"application/json", "text/html", "text/css", "text/javascript"}
    for exchange in exchanges:
        kind, _, charset = exchange.answer.headers["content-type"].partition("; charset=")
        assert charset == ("" if kind == "application/json" else "utf-8")
        assert exchange.answer.headers["x-content-type-options"] == "nosniff"
