"""One operation from the declaration of one endpoint."""

import re
from collections.abc import Sequence
from typing import Any, get_type_hints

from chalicelib.core.errors import (
    Conflict,
    DomainError,
    Forbidden,
    Invalid,
    Malformed,
    NotFound,
    PreconditionFailed,
    RateLimited,
    TooLarge,
    Unauthenticated,
    UnsupportedType,
)
from chalicelib.core.http import JSON, Endpoint, Raw
from chalicelib.core.openapi import groups
from chalicelib.core.openapi.components import ALWAYS, headers
from chalicelib.core.openapi.examples import Schema
from chalicelib.core.openapi.refusals import REFUSALS
from chalicelib.core.openapi.schemas import Schemas, answer, plain_schema
from chalicelib.core.openapi.telling import told
from chalicelib.core.paging import Page

Json = dict[str, Any]


def operation(declared: Endpoint, siblings: Sequence[Endpoint], schemas: Schemas, base_url: str) -> Json:
    """The operation object. `siblings` are all endpoints: what is made links to what can be done with it."""
    summary, description = told(declared.view)
    made: Json = {
        "operationId": declared.view.__name__,
        "tags": [groups.name(declared)],
        "summary": summary,
        "description": f"{description}\n\n{_access(declared)}".strip(),
    }
    if declared.abilities is None:
        made["security"] = []
    elif declared.abilities:  # roles of a bearer token, since OpenAPI 3.1
        made["security"] = [{"bearer": list(declared.abilities)}]
    parameters = _parameters(declared, schemas)
    if parameters:
        made["parameters"] = parameters
    if declared.body is not None:
        schema = schemas.read(declared.body)
        content = {"schema": schema, **schemas.example(schema)}
        made["requestBody"] = {"required": True, "content": {JSON: content}}
    success = _success(declared, schemas, base_url)
    links = _links(declared, siblings)
    made["responses"] = {
        str(declared.status): success | ({"links": links} if links else {}),
        **_redirected(declared),
        **_unchanged(declared),
        **_refused(declared),
    }
    return made


def _access(declared: Endpoint) -> str:
    if declared.abilities is None:
        return "Needs no token."
    if not declared.abilities:
        return "Any valid token may call this."
    needed = " and ".join(f"`{ability}`" for ability in declared.abilities)
    return f"Needs the {'ability' if len(declared.abilities) == 1 else 'abilities'} {needed}."


# Parameters


def _parameters(declared: Endpoint, schemas: Schemas) -> list[Json]:
    found = [_path_parameter(declared, name) for name in _names(declared.path)]
    if declared.query is not None:
        found += [_query_parameter(*field) for field in schemas.parameters(declared.query)]
    if declared.idempotent:
        found.append({"$ref": "#/components/parameters/IdempotencyKey"})
    if declared.cached is not None:
        found.append({"$ref": "#/components/parameters/IfNoneMatch"})
    if declared.conditional:
        found.append({"$ref": "#/components/parameters/IfMatch"})
    return found


def _names(path: str) -> list[str]:
    return re.findall(r"\{(\w+)\}", path)


def _path_parameter(declared: Endpoint, name: str) -> Json:
    """What the view says of it, such as `id: WebhookId`; else what routing accepts."""
    schema = plain_schema(get_type_hints(declared.view, include_extras=True).get(name, str))
    told_schema = {key: value for key, value in schema.items() if key != "description"}
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": schema.get("description") or _path_parameter_told(declared.path, name),
        "schema": told_schema if "maxLength" in schema else _ANY_NAME,
    }


_ANY_NAME: Json = {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$", "minLength": 1, "maxLength": 64}


def _path_parameter_told(path: str, name: str) -> str:
    collection = path.partition(f"/{{{name}}}")[0].rpartition("/")[2]
    if name == "slug":
        return f"The name in the address of one of the {_words(collection)}, such as `german-a1`."
    if name == "id":
        return f"The id of one of the {_words(collection)}, as the API gave it."
    return f"The {_words(name)}, by its id as the API gave it."


def _words(name: str) -> str:
    """`trainingItems` and `lti-consumers` as words."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])|[-_]", " ", name).lower()
    return spaced.replace("lti", "LTI").replace("xapi", "xAPI")


def _query_parameter(name: str, field: Schema, required: bool) -> Json:
    schema = _without_null(field)
    made: Json = {"name": name, "in": "query", "required": required}
    if "description" in schema:
        made["description"] = schema.pop("description")
    if (
        schema.get("type") == "array"
    ):  # a parameter stands in a query once, so its members are told with commas
        made |= {"style": "form", "explode": False}
    return {**made, "schema": schema}


def _without_null(schema: Schema) -> Json:
    """A query cannot say null: leaving the parameter out says it."""
    plain = {key: value for key, value in schema.items() if not (key == "default" and value is None)}
    branches = [branch for branch in plain.pop("anyOf", []) if branch.get("type") != "null"]
    if len(branches) == 1:
        return {**branches[0], **plain}
    return {**plain, "anyOf": branches} if branches else plain


# Answers


_DONE = {
    201: "Created.",
    202: "Accepted; the work goes on.",
    204: "Done; there is nothing to tell.",
    302: "Go on at `Location`.",
    303: "Go on at `Location`.",
}


_TEXT: Json = {"type": "string", "maxLength": 6_000_000}
"""What fits through a Lambda function."""


def _success(declared: Endpoint, schemas: Schemas, base_url: str) -> Json:
    named = [
        *ALWAYS,
        *(("ETag", "Cache-Control") if declared.cached is not None else ()),
        *(("ETag",) if declared.tagged else ()),
        *(("Idempotent-Replayed",) if declared.idempotent else ()),
    ]
    made: Json = {"description": _DONE.get(declared.status, "Done."), "headers": headers(named)}
    model = answer(declared)
    if model is not None:
        url = base_url + _example_path(declared)
        content = _page(model, schemas, url) if issubclass(model, Page) else _wrapped(schemas, model)
        made["content"] = {JSON: content}
    elif declared.returns is Raw:
        kind = {"type": "object"} if declared.media_type == JSON else _TEXT
        made["content"] = {declared.media_type.partition(";")[0]: {"schema": kind}}
    return made


def _redirected(declared: Endpoint) -> Json:
    """The other answer of an endpoint that may send its caller elsewhere."""
    if not declared.redirects:
        return {}
    return {"302": {"description": _DONE[302], "headers": headers([*ALWAYS, "Location"])}}


def _wrapped(schemas: Schemas, model: type[Any]) -> Json:
    schema = schemas.shown(model)
    example = {name: {"data": value} for name, value in schemas.example(schema).items()}
    return {"schema": {"type": "object", "required": ["data"], "properties": {"data": schema}}, **example}


def _page(model: type[Any], schemas: Schemas, url: str) -> Json:
    """A page; its example is the only page of a short list."""
    made: Json = {"schema": schemas.shown(model)}
    rows = schemas.example(schemas.member(model, "data"))
    if rows:
        only = f"{url}?page=1"
        own = schemas.example(schemas.member(model, "meta")).get("example", {})
        place = {**own, "current_page": 1, "from": 1, "last_page": 1, "path": url, "per_page": 15}
        made["example"] = {
            "data": rows["example"],
            "links": {"first": only, "last": only, "prev": None, "next": None},
            "meta": {**place, "to": len(rows["example"]), "total": len(rows["example"])},
        }
    return made


def _example_path(declared: Endpoint) -> str:
    """The path with an example in the place of each parameter that has one."""
    examples = {
        name: (_path_parameter(declared, name)["schema"].get("examples") or [f"{{{name}}}"])[0]
        for name in _names(declared.path)
    }
    return declared.path.format(**examples)


def _links(declared: Endpoint, siblings: Sequence[Endpoint]) -> Json:
    """What can be called with the id of what was made: the paths that have one parameter more."""
    model = answer(declared)
    if declared.status != 201 or model is None or "id" not in model.model_fields:
        return {}
    own = _names(declared.path)
    return {
        other.view.__name__: {
            "operationId": other.view.__name__,
            "parameters": {
                **{name: f"$request.path.{name}" for name in own},
                _names(other.path)[-1]: "$response.body#/data/id",
            },
        }
        for other in siblings
        if other.path.startswith(f"{declared.path}/{{") and len(_names(other.path)) == len(own) + 1
    }


def _unchanged(declared: Endpoint) -> Json:
    if declared.cached is None:
        return {}
    told_headers = headers([*ALWAYS, "ETag", "Cache-Control"])
    return {"304": {"description": "Unchanged since the `ETag` in `If-None-Match`.", "headers": told_headers}}


def _refused(declared: Endpoint) -> Json:
    """References to the refusals that this endpoint can answer with."""
    has_body = declared.body is not None
    can: dict[type[DomainError], bool] = {
        Malformed: has_body or declared.idempotent,
        Unauthenticated: declared.abilities is not None
        or has_body,  # without a token, a body holds credentials
        Forbidden: bool(declared.abilities),
        NotFound: bool(_names(declared.path)) or _names_records(declared),
        Conflict: declared.method != "GET",
        PreconditionFailed: declared.conditional,
        TooLarge: has_body,
        UnsupportedType: has_body,
        Invalid: True,  # an unknown query parameter is refused everywhere
        RateLimited: True,
    }
    statuses = {error.status for error, possible in can.items() if possible} | {500}
    statuses |= {error.status for error in declared.refuses}
    return {
        str(refusal.status): {"$ref": f"#/components/responses/{refusal.name}"}
        for refusal in REFUSALS
        if refusal.status in statuses
    }


def _names_records(declared: Endpoint) -> bool:
    """Whether a body or query names records by id: there may be no such record."""
    models = [model for model in (declared.body, declared.query) if model is not None]
    fields = [field for model in models for field in model.model_fields]
    return declared.abilities is not None and any(field.endswith(("_id", "_ids")) for field in fields)
