"""The document tells of every endpoint what it takes and what it can answer, and its examples hold."""

import json
import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from chalice.app import Blueprint
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import validate
from pydantic import BaseModel, Field, create_model

import app
from chalicelib.core.errors import DomainError
from chalicelib.core.http import ENDPOINTS, Call, Endpoint, Raw, endpoint
from chalicelib.core.openapi import VERSION, document
from chalicelib.core.openapi.examples import NoExample, example
from chalicelib.core.openapi.refusals import REFUSALS
from chalicelib.core.openapi.telling import told
from chalicelib.core.paging import Page, PageQuery
from infra.openapi import main

BASE = "https://api.example.com/live"
LIMITS = {
    "string": {"maxLength"},
    "integer": {"minimum", "maximum", "format"},
    "array": {"maxItems"},
}
_VARIABLE = re.compile(r"\{\w+\}")

# Every operation of the reference page; those that begin with "later" are not built yet.
REFERENCE_PAGE = """
POST /api/auth/sign-in
GET /api/auth/me
GET /api/integrations/tokens
POST /api/integrations/tokens
DELETE /api/integrations/tokens/{token}
GET /api/public/courses
GET /api/public/courses/{slug}
GET /api/courses
GET /api/courses/{id}
GET /api/lessons
GET /api/trainings
GET /api/trainingItems
GET /api/stats
GET /api/courses/{course}/lesson-progress
GET /api/progress-history
GET /api/cefr/report
GET /api/learning-insights
GET /api/gamification/stats
GET /api/gamification/leaderboard
GET /api/integrations/webhooks
POST /api/integrations/webhooks
PUT /api/integrations/webhooks/{id}
DELETE /api/integrations/webhooks/{id}
POST /api/integrations/webhooks/{id}/test
GET /api/integrations/webhooks/{id}/deliveries
GET /api/integrations/exports
POST /api/integrations/exports
GET /api/integrations/exports/{id}
GET /api/integrations/exports/{id}/download
later GET /api/integrations/lti-consumers
later POST /api/integrations/lti-consumers
later GET /api/lti/login
later POST /api/lti/callback
later POST /api/lti/grade-passback/{launch}
later GET /api/integrations/xapi-endpoints
later POST /api/integrations/xapi-endpoints
later PUT /api/integrations/xapi-endpoints/{id}
later DELETE /api/integrations/xapi-endpoints/{id}
later GET /api/institutions
later POST /api/institutions
later GET /api/institutions/{id}/members
later POST /api/institutions/{id}/members/bulk
later GET /api/institutions/{id}/analytics
later GET /api/institutions/{id}/sso
later PUT /api/institutions/{id}/sso
later GET /api/institutions/{id}/compliance
later GET /api/subscription-plans
later POST /api/billing/checkout-session
later POST /api/billing/portal-session
later POST /api/billing/apply-promo
later GET /api/trial/status
""".strip().splitlines()

DOCUMENT = document(BASE)
OURS = [one for one in ENDPOINTS if one.view.__module__.startswith("chalicelib.")]


def operation(declared: Endpoint, in_document: dict[str, Any] = DOCUMENT) -> dict[str, Any]:
    found: dict[str, Any] = in_document["paths"][declared.path][declared.method.lower()]
    return found


def operations(of: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for group in (of["paths"], of["webhooks"]):
        for methods in group.values():
            yield from methods.values()


def resolved(part: dict[str, Any]) -> dict[str, Any]:
    """A shared parameter or answer in the place of the reference to it."""
    if "$ref" not in part:
        return part
    kind, name = part["$ref"].split("/")[2:]
    found: dict[str, Any] = DOCUMENT["components"][kind][name]
    return found


def contents(of: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every media type object, those of the shared answers too."""
    answers = list(of["components"]["responses"].values())
    for one in operations(of):
        answers += [one.get("requestBody", {}), *one["responses"].values()]
    for answer in answers:
        yield from answer.get("content", {}).values()


def schemas(value: Any) -> Iterator[dict[str, Any]]:
    """Every part that could be a schema with examples."""
    if isinstance(value, dict):
        yield value
        for member in value.values():
            yield from schemas(member)
    elif isinstance(value, list):
        for member in value:
            yield from schemas(member)


def accepts(schema: dict[str, Any], value: Any, of: dict[str, Any] = DOCUMENT) -> bool:
    return bool(OAS31Validator({**schema, "components": of["components"]}).is_valid(value))


def kinds(error: type[DomainError] = DomainError) -> Iterator[str]:
    for one in error.__subclasses__():
        if one.__module__.startswith("chalicelib."):
            yield one.__new__(one).kind
            yield from kinds(one)


# The whole document


def test_it_is_valid_openapi() -> None:
    validate(DOCUMENT)


@pytest.mark.parametrize("declared", OURS, ids=lambda one: f"{one.method} {one.path}")
def test_every_endpoint_is_in_it_with_who_may_call(declared: Endpoint) -> None:
    found = operation(declared)
    if declared.abilities is None:
        assert found["security"] == []
        return
    security = found.get("security", DOCUMENT["security"])
    assert security == [{"bearer": list(declared.abilities)}]
    assert all(f"`{ability}`" in found["description"] for ability in declared.abilities)
    assert "401" in found["responses"]


def test_a_token_is_asked_for_unless_an_endpoint_says_otherwise() -> None:
    assert DOCUMENT["security"] == [{"bearer": []}]
    assert DOCUMENT["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"


def test_operation_ids_are_unique() -> None:
    ids = [one["operationId"] for one in operations(DOCUMENT)]
    assert len(ids) == len(set(ids))


def test_tags_are_the_groups_in_use_in_reading_order() -> None:
    names = [tag["name"] for tag in DOCUMENT["tags"]]
    assert names[0] == "Authentication"
    assert {tag for one in operations(DOCUMENT) for tag in one["tags"]} == set(names)
    assert all(tag["description"] for tag in DOCUMENT["tags"])


def test_every_kind_of_refusal_is_told() -> None:
    assert set(kinds()) < {refusal.kind for refusal in REFUSALS}
    introduction = DOCUMENT["info"]["description"]
    for refusal in REFUSALS:
        assert f"| {refusal.status} | [{refusal.title}]({BASE}/docs/errors#{refusal.kind}) |" in introduction


def test_every_route_of_the_code_is_a_path_of_the_document_and_the_reverse() -> None:
    answered = {
        (path, method.lower(), entry.view_function.__name__)
        for path, entries in app.app.routes.items()
        for method, entry in entries.items()
        if entry.view_function.__name__ not in ("head", "options", "refuse")  # `core.http.complete`
    }
    assert answered == {
        (path, method, one["operationId"])
        for path, methods in DOCUMENT["paths"].items()
        for method, one in methods.items()
    }


@pytest.mark.parametrize("line", REFERENCE_PAGE, ids=str)
def test_what_the_reference_page_promises_is_in_it(line: str) -> None:
    *later, method, path = line.split()
    told = {_VARIABLE.sub("{}", path): methods for path, methods in DOCUMENT["paths"].items()}
    is_there = method.lower() in told.get(_VARIABLE.sub("{}", path), {})
    assert is_there == (not later), "what is built is built: take its `later` away"


@pytest.mark.parametrize("declared", OURS, ids=lambda one: f"{one.method} {one.path}")
def test_every_endpoint_shows_by_example_what_it_takes_and_gives(declared: Endpoint) -> None:
    found = operation(declared)
    assert found["summary"]
    assert found["description"]
    for parameter in map(resolved, found.get("parameters", [])):
        assert parameter["description"], parameter["name"]
        assert "example" in parameter or example(parameter["schema"], {}) is not None
    shown = [found.get("requestBody", {}), *map(resolved, found["responses"].values())]
    for content in [content for one in shown for content in one.get("content", {}).values()]:
        assert "example" in content or declared.returns is Raw


def test_every_event_shows_an_example() -> None:
    for event, methods in DOCUMENT["webhooks"].items():
        if event != "kettle.boiled":  # another test's
            assert methods["post"]["requestBody"]["content"]["application/json"]["example"]["data"]


def test_every_shared_schema_says_what_it_is() -> None:
    told = DOCUMENT["components"]["schemas"].items()
    assert [name for name, schema in told if "description" not in schema and name != "KettleBoiled"] == []


def test_nothing_is_without_a_limit() -> None:
    """Types with limits: `core.types`."""
    exempt = {"/parameters/IfNoneMatch/schema", "/schemas/KettleBoiled/properties/litres"}
    assert list(_unlimited(DOCUMENT["paths"])) == []
    assert set(_unlimited(DOCUMENT["components"])) <= exempt


def _unlimited(value: Any, where: str = "") -> Iterator[str]:
    if isinstance(value, list):
        for at, member in enumerate(value):
            yield from _unlimited(member, f"{where}/{at}")
    elif isinstance(value, dict):
        if "const" not in value and "enum" not in value:
            kind = value.get("type")
            if isinstance(kind, str) and not LIMITS.get(kind, set()) <= value.keys():
                yield where
        for name, member in value.items():
            if name not in ("example", "examples"):
                yield from _unlimited(member, f"{where}/{name}")


def test_every_id_tells_its_kind() -> None:
    """An id's pattern begins with the prefix of its kind, and so does its example."""
    examples = {
        schema["pattern"]: schema["examples"]
        for schema in schemas(DOCUMENT)
        if isinstance(schema.get("pattern"), str) and schema["pattern"].endswith("_[0-9A-HJKMNP-TV-Z]{26}$")
    }
    assert len(examples) > 10
    for pattern, (shown, *_) in examples.items():
        assert pattern[1:5] == shown[:4]


def test_examples_are_accepted_by_their_schemas() -> None:
    examples = [content for content in contents(DOCUMENT) if "example" in content]
    assert examples
    for content in examples:
        assert accepts(content["schema"], content["example"]), content
    for parameter in DOCUMENT["components"]["parameters"].values():
        assert accepts(parameter["schema"], parameter["example"])


def test_examples_of_fields_are_accepted_by_the_fields() -> None:
    for schema in schemas(DOCUMENT):
        if isinstance(schema.get("examples"), list):
            for value in schema["examples"]:
                assert accepts(schema, value), schema


def test_component_names_are_plain() -> None:
    assert not [name for name in DOCUMENT["components"]["schemas"] if "__" in name or name.endswith("_")]


def test_no_component_is_unused() -> None:
    text = json.dumps(DOCUMENT)
    for kind in ("schemas", "responses", "headers", "parameters"):
        for name in DOCUMENT["components"][kind]:
            assert f'"#/components/{kind}/{name}"' in text


def test_the_version_is_the_projects() -> None:
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())
    assert project["project"]["version"] == VERSION


def test_printing_prints_the_document_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    main()
    printed = json.loads(capsys.readouterr().out)
    assert printed["servers"] == [{"url": "https://api.talktiko.com"}]
    assert printed["paths"].keys() >= DOCUMENT["paths"].keys()


# One endpoint


class Kettle(BaseModel):
    id: str = Field(max_length=30, examples=["ket_1"])
    litres: float = Field(gt=0, le=10, examples=[1.5])


class KettleCreate(BaseModel):
    litres: float = Field(gt=0, le=10, examples=[1.5])


class KettleMove(BaseModel):
    room_id: str = Field(max_length=30)


class KettleQuery(PageQuery):
    colour: str | None = Field(None, max_length=20, description="Of this colour.", examples=["red"])
    sizes: list[int] = Field([], description="Of these sizes.")


def toy(method: Any, path: str, view: Callable[..., Any] | None = None, **declaration: Any) -> Endpoint:
    """An endpoint that is declared and then taken out of the registry, which other tests read too."""

    def boil(call: Call) -> None:
        """Boil. It whistles when done."""

    declare: Callable[..., Any] = endpoint
    declare(Blueprint(__name__), method, path, **{"abilities": [], **declaration})(view or boil)
    return ENDPOINTS.pop()


def told_of(*declared: Endpoint) -> dict[str, Any]:
    return operation(declared[0], document(BASE, declared))


def test_the_docstring_is_summary_and_description() -> None:
    found = told_of(toy("POST", "/kettles", status=204))
    assert found["summary"] == "Boil"
    assert found["description"] == "It whistles when done.\n\nAny valid token may call this."
    assert found["operationId"] == "boil"


def test_a_summary_may_run_over_lines_and_needs_no_sequel() -> None:
    class View:
        """A page of e.g. kettles, and
        of pots.
        """

    assert told(View) == ("A page of e.g. kettles, and of pots", "")


def test_a_model_is_wrapped_in_data_with_its_example() -> None:
    content = told_of(toy("GET", "/kettles/{id}", returns=Kettle))["responses"]["200"]["content"]
    schema = content["application/json"]["schema"]
    assert schema["properties"] == {"data": {"$ref": "#/components/schemas/Kettle"}}
    assert content["application/json"]["example"] == {"data": {"id": "ket_1", "litres": 1.5}}


def test_a_page_is_not_wrapped() -> None:
    made = document(BASE, [toy("GET", "/kettles", query=KettleQuery, returns=Page[Kettle])])
    content = made["paths"]["/kettles"]["get"]["responses"]["200"]["content"]["application/json"]
    assert content["schema"] == {"$ref": "#/components/schemas/KettlePage"}
    assert content["example"]["data"] == [{"id": "ket_1", "litres": 1.5}]
    assert content["example"]["meta"]["path"] == f"{BASE}/kettles"
    assert accepts(content["schema"], content["example"], made)


def test_limits_come_from_the_schemas() -> None:
    made = document(BASE, [toy("POST", "/kettles", body=KettleCreate, returns=Kettle, status=201)])
    litres = made["components"]["schemas"]["KettleCreate"]["properties"]["litres"]
    assert litres == {"type": "number", "exclusiveMinimum": 0, "maximum": 10, "examples": [1.5]}


def test_query_parameters_stand_one_by_one() -> None:
    made = document(BASE, [toy("GET", "/kettles", query=KettleQuery, returns=Page[Kettle])])
    parameters = {one["name"]: one for one in made["paths"]["/kettles"]["get"]["parameters"]}
    assert list(parameters) == ["page", "per_page", "cursor", "colour", "sizes"]
    assert parameters["per_page"]["schema"] == {
        "type": "integer",
        "format": "int32",
        "minimum": 1,
        "maximum": 100,
        "default": 15,
    }
    assert parameters["colour"] == {
        "name": "colour",
        "in": "query",
        "required": False,
        "description": "Of this colour.",
        "schema": {"type": "string", "maxLength": 20, "examples": ["red"]},
    }
    assert (parameters["sizes"]["style"], parameters["sizes"]["explode"]) == ("form", False)
    assert "KettleQuery" not in made["components"]["schemas"]


def test_path_parameters_have_the_form_that_routing_accepts() -> None:
    (parameter,) = told_of(toy("GET", "/trainingItems/{id}", returns=Kettle))["parameters"]
    assert parameter["required"]
    assert parameter["schema"]["pattern"] == "^[A-Za-z0-9_-]{1,64}$"
    assert parameter["description"] == "The id of one of the training items, as the API gave it."


def test_no_content_has_none() -> None:
    assert "content" not in told_of(toy("DELETE", "/kettles/{id}", status=204))["responses"]["204"]


def test_what_is_not_json_has_its_media_type() -> None:
    declared = toy("GET", "/menu", returns=Raw, media_type="text/html; charset=utf-8")
    assert list(told_of(declared)["responses"]["200"]["content"]) == ["text/html"]


def test_an_idempotent_endpoint_takes_the_key_and_tells_a_replay() -> None:
    found = told_of(toy("POST", "/kettles", body=KettleCreate, returns=Kettle, status=201, idempotent=True))
    assert found["parameters"] == [{"$ref": "#/components/parameters/IdempotencyKey"}]
    assert "Idempotent-Replayed" in found["responses"]["201"]["headers"]


def test_a_cached_answer_can_be_unchanged() -> None:
    found = told_of(toy("GET", "/menu", returns=Kettle, cached="public, max-age=60"))
    assert "304" in found["responses"]
    assert "ETag" in found["responses"]["200"]["headers"]


def test_what_is_made_links_to_what_takes_its_id() -> None:
    def clean(call: Call, id: str, kettle: str) -> None: ...

    made = toy("POST", "/rooms/{id}/kettles", body=KettleCreate, returns=Kettle, status=201)
    other = toy("POST", "/rooms/{id}/kettles/{kettle}/clean", view=clean, status=204)
    assert told_of(made, other)["responses"]["201"]["links"] == {
        "clean": {
            "operationId": "clean",
            "parameters": {"id": "$request.path.id", "kettle": "$response.body#/data/id"},
        }
    }


ALWAYS = {"422", "429", "500"}
BODY = {"400", "413", "415"}


@pytest.mark.parametrize(
    ("declared", "statuses"),
    [
        (toy("GET", "/kettles", abilities=None, returns=Kettle), set()),
        (toy("GET", "/kettles", returns=Kettle), {"401"}),
        (toy("GET", "/kettles", abilities=["exports:read"], returns=Kettle), {"401", "403"}),
        (toy("GET", "/kettles/{id}", returns=Kettle), {"401", "404"}),
        (toy("DELETE", "/kettles/{id}", status=204), {"401", "404", "409"}),
        (toy("POST", "/kettles", body=KettleCreate, returns=Kettle), {"401", "409", *BODY}),
        (toy("POST", "/kettles", body=KettleMove, returns=Kettle), {"401", "404", "409", *BODY}),
        (toy("POST", "/kettles", status=204, idempotent=True), {"400", "401", "409"}),
        (toy("POST", "/sign-in", abilities=None, body=KettleCreate, returns=Kettle), {"401", "409", *BODY}),
    ],
    ids=lambda value: f"{value.method} {value.path}" if isinstance(value, Endpoint) else "",
)
def test_an_endpoint_tells_the_refusals_that_it_can_answer(declared: Endpoint, statuses: set[str]) -> None:
    answers = told_of(declared)["responses"]
    assert set(answers) - {str(declared.status)} == statuses | ALWAYS


def test_two_slices_may_use_one_name() -> None:
    mine = create_model("Token", __module__="chalicelib.auth.schemas", id=(str, ...))
    other = create_model("Token", __module__="chalicelib.lti.schemas", id=(int, ...))

    def view(call: Call) -> None: ...

    declared = [toy("GET", "/a", returns=mine), toy("GET", "/b", view=view, returns=other)]
    made = document(BASE, declared)["components"]["schemas"]
    assert made["AuthToken"]["properties"]["id"]["type"] == "string"
    assert made["LtiToken"]["properties"]["id"]["type"] == "integer"


# Events and examples


def test_every_event_is_a_webhook_with_the_envelope() -> None:
    ping = DOCUMENT["webhooks"]["webhook.ping"]["post"]
    schema = ping["requestBody"]["content"]["application/json"]["schema"]
    assert schema["required"] == ["id", "type", "version", "timestamp", "institution_id", "data"]
    assert schema["properties"]["type"]["const"] == "webhook.ping"
    assert ping["security"] == []
    assert "X-Signature-256" in [header["name"] for header in ping["parameters"]]


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"anyOf": [{"type": "null"}, {"type": "boolean"}]}, True),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, None),
        ({"type": "integer", "minimum": 3}, 3),
        ({"type": "integer", "maximum": 0}, 0),
        ({"type": "number", "exclusiveMinimum": 4}, 5),
        ({"type": "array", "items": {"enum": ["a", "b"]}}, ["a"]),
        ({"type": "string", "format": "date-time"}, "2026-11-25T12:00:00Z"),
        ({"type": "object", "properties": {"a": {"type": "string"}, "b": {"const": 1}}}, {"b": 1}),
        ({"type": "object", "examples": [{"a": "x"}]}, {"a": "x"}),
    ],
)
def test_examples_are_made_of_what_schemas_say(schema: dict[str, Any], value: Any) -> None:
    assert example(schema, {}) == value
    assert accepts(schema, value)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string"},
        {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
        {"$ref": "#/components/schemas/Tree"},
        {"type": "array", "items": {"type": "integer"}, "minItems": 2},
    ],
)
def test_no_example_is_invented(schema: dict[str, Any]) -> None:
    tree = {
        "type": "object",
        "properties": {"left": {"$ref": "#/components/schemas/Tree"}},
        "required": ["left"],
    }
    with pytest.raises(NoExample):
        example(schema, {"Tree": tree})
