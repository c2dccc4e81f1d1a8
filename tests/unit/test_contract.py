"""`openapi.json` is what the code says, and breaks no client of the last release."""

import copy
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.contract.breaking import breaking

REPOSITORY = Path(__file__).parents[2]
COMMITTED = json.loads((REPOSITORY / "openapi.json").read_text())
RELEASED = json.loads((REPOSITORY / "tests/contract/released.json").read_text())


def test_openapi_json_is_the_document_of_the_code() -> None:
    command = [sys.executable, "-m", "infra.openapi"]
    printed = subprocess.run(command, cwd=REPOSITORY, capture_output=True, check=True)
    if printed.stdout != (REPOSITORY / "openapi.json").read_bytes():
        pytest.fail("openapi.json is out of date: make -s openapi > openapi.json", pytrace=False)


def test_clients_of_the_last_release_go_on_working() -> None:
    """A new major version may break them: raise it, and copy openapi.json to tests/contract/released.json."""
    if _major(COMMITTED) == _major(RELEASED):
        assert breaking(RELEASED, COMMITTED) == []


def _major(document: dict[str, Any]) -> str:
    version: str = document["info"]["version"]
    return version.partition(".")[0]


# The comparison itself, over changes that are planted

Change = Callable[[dict[str, Any]], Any]


def schema(document: dict[str, Any], name: str) -> Any:
    return document["components"]["schemas"][name]


def field(document: dict[str, Any], name: str, member: str) -> Any:
    return schema(document, name)["properties"][member]


def operation(document: dict[str, Any], method: str, path: str) -> Any:
    return document["paths"][path][method]


def ping(document: dict[str, Any]) -> Any:
    return document["webhooks"]["webhook.ping"]["post"]


TOKENS, HOOK = "/api/integrations/tokens", "/api/integrations/webhooks/{id}"

BREAKING: dict[str, Change] = {
    "POST /api/integrations/tokens: gone": lambda d: d["paths"][TOKENS].pop("post"),
    "POST webhook.ping: gone": lambda d: d["webhooks"].pop("webhook.ping"),
    "GET /api/auth/me: operationId me is now profile": lambda d: operation(d, "get", "/api/auth/me").update(
        operationId="profile"
    ),
    "GET /api/auth/me: now needs exports:read": lambda d: operation(d, "get", "/api/auth/me").update(
        security=[{"bearer": ["exports:read"]}]
    ),
    "POST /api/auth/sign-up: now needs a token of bearer": lambda d: operation(
        d, "post", "/api/auth/sign-up"
    ).pop("security"),
    "POST /api/integrations/tokens: parameter header Idempotency-Key is gone": lambda d: operation(
        d, "post", TOKENS
    )["parameters"].pop(),
    "GET /api/integrations/tokens: parameter query page is now required": lambda d: operation(
        d, "get", TOKENS
    )["parameters"][0].update(required=True),
    "GET /api/integrations/tokens: parameter query per_page: maximum is now 50": lambda d: operation(
        d, "get", TOKENS
    )["parameters"][1]["schema"].update(maximum=50),
    "DELETE /api/integrations/webhooks/{id}: parameter path 1: pattern is now ^x$": lambda d: operation(
        d, "delete", HOOK
    )["parameters"][0]["schema"].update(pattern="^x$"),
    "POST /api/integrations/tokens: answers no 201 any more": lambda d: operation(d, "post", TOKENS)[
        "responses"
    ].pop("201"),
    "POST /api/integrations/tokens: 201 without the header X-Request-Id": lambda d: operation(
        d, "post", TOKENS
    )["responses"]["201"]["headers"].pop("X-Request-Id"),
    "POST /api/integrations/tokens: body is no application/json any more": lambda d: operation(
        d, "post", TOKENS
    )["requestBody"]["content"].pop("application/json"),
    "TokenCreated.token is gone": lambda d: schema(d, "TokenCreated")["properties"].pop("token"),
    "Token.name may now be missing": lambda d: schema(d, "Token")["required"].remove("name"),
    "Token.name may now be null": lambda d: field(d, "Token", "name").update(type=["string", "null"]),
    "Attempt.status_code may now be string": lambda d: field(d, "Attempt", "status_code")["anyOf"].append(
        {"type": "string"}
    ),
    "WebhookCreate.secret is now required": lambda d: schema(d, "WebhookCreate")["required"].append("secret"),
    "WebhookCreate.description is gone": lambda d: schema(d, "WebhookCreate")["properties"].pop(
        "description"
    ),
    "WebhookCreate.url: maxLength is now 100": lambda d: field(d, "WebhookCreate", "url").update(
        maxLength=100
    ),
    "WebhookCreate.url: minLength is now 9": lambda d: field(d, "WebhookCreate", "url").update(minLength=9),
    "AttemptCreate.duration_ms: minimum is now 1": lambda d: field(d, "AttemptCreate", "duration_ms").update(
        minimum=1
    ),
    "AttemptCreate.duration_ms takes no integer": lambda d: field(d, "AttemptCreate", "duration_ms").update(
        type="string"
    ),
    "AttemptCreate.answer takes no null": lambda d: field(d, "AttemptCreate", "answer")["anyOf"].pop(),
    "WebhookCreate.events[]: pattern is now ^x$": lambda d: field(d, "WebhookCreate", "events")[
        "items"
    ].update(pattern="^x$"),
    "ExportFormat.delimiter takes no ; any more": lambda d: field(d, "ExportFormat", "delimiter")[
        "enum"
    ].remove(";"),
    "SignUp.name takes no all others any more": lambda d: field(d, "SignUp", "name").update(enum=["Ana"]),
    "Problem.detail is gone": lambda d: schema(d, "Problem")["properties"].pop("detail"),
    "POST webhook.ping: body.data is gone": lambda d: ping(d)["requestBody"]["content"]["application/json"][
        "schema"
    ]["properties"].pop("data"),
    "POST webhook.ping: parameter header X-Signature-256 is gone": lambda d: ping(d)["parameters"].pop(0),
}

HARMLESS: dict[str, Change] = {
    "an operation more": lambda d: d["paths"].update({"/api/x": {"get": operation(d, "get", TOKENS)}}),
    "another name in a path": lambda d: d["paths"].update(
        {HOOK.replace("id", "webhook"): d["paths"].pop(HOOK)}
    ),
    "an optional field more": lambda d: schema(d, "WebhookCreate")["properties"].update(x={"type": "string"}),
    "a field more in an answer": lambda d: (
        schema(d, "Token")["properties"].update(x={"type": "string"}),
        schema(d, "Token")["required"].append("x"),
    ),
    "a wider limit": lambda d: field(d, "WebhookCreate", "url").update(maxLength=9999, minLength=1),
    "a narrower limit of an answer": lambda d: field(d, "Token", "name").update(maxLength=10),
    "a value more in a request": lambda d: field(d, "ExportFormat", "delimiter")["enum"].append("|"),
    "a value more in an answer": lambda d: field(d, "Delivery", "status")["enum"].append("lost"),
    "a kind more in an answer": lambda d: field(d, "TrainingItem", "content")["oneOf"].append(
        {"type": "object", "properties": {"type": {"const": "song"}}}
    ),
    "null no more in an answer": lambda d: field(d, "Attempt", "status_code")["anyOf"].pop(),
    "an ability less": lambda d: operation(d, "get", TOKENS).update(security=[{"bearer": []}]),
    "another wording": lambda d: operation(d, "get", TOKENS).update(summary="x", description="y"),
}


@pytest.mark.parametrize(("told", "change"), BREAKING.items(), ids=BREAKING)
def test_a_breaking_change_is_told(told: str, change: Change) -> None:
    changed = copy.deepcopy(COMMITTED)
    change(changed)
    assert told in breaking(COMMITTED, changed)


@pytest.mark.parametrize("change", HARMLESS.values(), ids=HARMLESS)
def test_a_change_that_breaks_nobody_is_none(change: Change) -> None:
    changed = copy.deepcopy(COMMITTED)
    change(changed)
    assert breaking(COMMITTED, changed) == []
