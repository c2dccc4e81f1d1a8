"""What the guides say is what the code does."""

import json
import re
from functools import cache
from typing import Any

import pytest
from pydantic import BaseModel

import app  # noqa: F401 (declares every endpoint, event and error)
from chalicelib.auth.schemas import SignedIn
from chalicelib.core import events
from chalicelib.core.abilities import ABILITIES
from chalicelib.core.http import ENDPOINTS
from chalicelib.core.openapi import document
from chalicelib.core.openapi.components import HEADERS
from chalicelib.core.openapi.refusals import REFUSALS
from chalicelib.core.paging import Links, Meta
from chalicelib.documentation.facts import facts
from chalicelib.documentation.guides import GUIDES
from chalicelib.exports.schemas import ExportCreate
from chalicelib.webhooks.schemas import WebhookCreate

BASE = "https://api.example.com"
WORDS = {guide.name: guide.markdown() for guide in GUIDES}
TEXT = "\n".join(WORDS.values())


@cache
def told() -> dict[str, Any]:
    return document(BASE)


def blocks(guide: str, language: str) -> list[str]:
    text = re.sub(r"\{\{(\w+)\}\}", lambda found: facts(BASE)[found[1]], WORDS[guide])
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def fields(model: type[BaseModel]) -> set[str]:
    return {field.serialization_alias or name for name, field in model.model_fields.items()}


def test_every_fact_is_known_and_every_known_fact_is_told() -> None:
    assert set(re.findall(r"\{\{(\w+)\}\}", TEXT)) == set(facts(BASE))


@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: guide.name)
def test_a_guide_begins_with_its_only_title(guide: Any) -> None:
    assert re.findall(r"^# (.*)", re.sub(r"```.*?```", "", guide.markdown(), flags=re.DOTALL), re.MULTILINE)
    assert guide.markdown().startswith("# ")


def test_every_path_that_a_guide_names_is_declared() -> None:
    declared = {(one.method, re.sub(r"\{\w+\}", "{}", one.path)) for one in ENDPOINTS}
    named = re.findall(r"\b(GET|POST|PUT|DELETE) (/api/[\w/{}-]+)", TEXT)
    assert len(named) > 5
    assert {(method, re.sub(r"\{\w+\}", "{}", path)) for method, path in named} <= declared
    paths = {path for _, path in declared}
    called = re.findall(r"\{\{base_url\}\}(/api/[\w/$-]+)", TEXT)
    assert {re.sub(r"\$\w+", "{}", path) for path in called} <= paths


def test_every_header_that_a_guide_names_is_sent() -> None:
    sent = {*HEADERS, "X-Signature-256-Next", "If-None-Match", "Idempotency-Key"}
    for webhook in told()["webhooks"].values():
        sent |= {header["name"] for header in webhook["post"]["parameters"]}
    named = set(re.findall(r"`((?:X-|webhook-|Retry|Idempot|If-|ETag)[\w-]*)[:`]", TEXT))
    assert len(named) > 8
    assert named <= sent


def test_every_event_and_ability_that_a_guide_names_exists() -> None:
    groups = {name.partition(".")[0] for name in events.catalogue()}
    named = {
        (group, name)
        for group, name in re.findall(r"[`\"]([a-z]+)\.([a-z_]+|\*)[`\"]", TEXT)
        if group in groups
    }
    assert len(named) > 5
    assert {f"{group}.{name}" for group, name in named if name != "*"} <= set(events.catalogue())
    assert set(re.findall(r"\b([a-z]+:(?:read|write))\b", TEXT)) <= ABILITIES


def test_the_sign_in_that_is_shown_is_one() -> None:
    shown = json.loads(next(block for block in blocks("authentication", "json")))["data"]
    SignedIn.model_validate(shown)
    assert set(shown) == fields(SignedIn)


def test_the_page_that_is_shown_is_one() -> None:
    shown = json.loads(blocks("pagination", "json")[0])
    Links.model_validate(shown["links"])
    assert set(shown["links"]) == fields(Links)
    assert set(shown["meta"]) == fields(Meta)


def test_the_event_that_is_shown_is_one() -> None:
    shown = json.loads(blocks("events", "json")[0])
    data = events.catalogue()[shown["type"]]
    assert data.model_validate(shown["data"]).model_dump(mode="json") == shown["data"]
    assert list(shown) == list(events.example(data))


@pytest.mark.parametrize(
    ("guide", "model"), [("events", WebhookCreate), ("idempotency", WebhookCreate), ("exports", ExportCreate)]
)
def test_the_bodies_that_are_shown_are_taken(guide: str, model: type[BaseModel]) -> None:
    body = re.findall(r"-d '(.*)'", blocks(guide, "sh")[0])[0]
    model.model_validate_json(body, strict=True)


def test_every_refusal_is_to_be_repeated_or_repaired() -> None:
    table = WORDS["errors"].partition("## Repeat or repair")[2]
    assert {refusal.status for refusal in REFUSALS} <= set(map(int, re.findall(r"\b\d{3}\b", table)))
