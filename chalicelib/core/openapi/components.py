"""What operations share: problem documents, answers that refuse, headers, the idempotency key."""

from collections.abc import Iterable, Iterator
from typing import Any

from chalicelib.core import problems
from chalicelib.core.abilities import ABILITIES
from chalicelib.core.openapi.examples import REF
from chalicelib.core.openapi.refusals import REFUSALS, Refusal

Json = dict[str, Any]

ALWAYS = ("X-Request-Id", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")

SECURITY: Json = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "tlk_<id>_<secret>",
        "description": "An API token, or the token of a sign-in.",
    }
}

PARAMETERS: Json = {
    "IdempotencyKey": {
        "name": "Idempotency-Key",
        "in": "header",
        "required": False,
        "description": "A key of your own, such as a UUID. Sent again with the same body within 24 hours, "
        "the first answer comes back and nothing happens twice.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]{1,255}$"},
        "example": "5f0c1d2e-8f3b-4c39-9d3e-0b7a2f6c1e55",
    },
    "IfNoneMatch": {
        "name": "If-None-Match",
        "in": "header",
        "required": False,
        "description": "The `ETag` of the answer that you have: 304 if it still holds.",
        "schema": {"type": "string"},
        "example": '"2f5b8a61c7d04e93b1c6f07a9e48d532"',
    },
    "IfMatch": {
        "name": "If-Match",
        "in": "header",
        "required": False,
        "description": "The `ETag` that you read. Where the record has changed since, nothing is done: 412.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 255},
        "example": '"3"',
    },
}


def headers(names: Iterable[str]) -> Json:
    """References to shared headers."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def components(schemas: Json, used_by: Json) -> Json:
    """The components that `used_by` refers to, directly or through one another."""
    every: dict[str, Json] = {
        "schemas": {**PROBLEMS, **schemas},
        "responses": {refusal.name: _answer(refusal) for refusal in REFUSALS},
        "headers": HEADERS,
        "parameters": PARAMETERS,
    }
    used: set[tuple[str, str]] = set()
    found = set(_references(used_by))
    while found:
        used |= found
        found = {further for kind, name in found for further in _references(every[kind][name])} - used
    kept = {
        kind: {name: part for name, part in parts.items() if (kind, name) in used}
        for kind, parts in every.items()
    }
    return {"securitySchemes": SECURITY, **kept}


def _references(value: Any) -> Iterator[tuple[str, str]]:
    """`("schemas", "Token")` for each reference in `value`."""
    if isinstance(value, list):
        for member in value:
            yield from _references(member)
    if isinstance(value, dict):
        for key, member in value.items():
            if key == "$ref" and isinstance(member, str):
                kind, name = member.split("/")[2:]
                yield kind, name
            else:
                yield from _references(member)


def _answer(refusal: Refusal) -> Json:
    schema = "ValidationProblem" if "errors" in refusal.example else "Problem"
    return {
        "description": refusal.meaning,
        "headers": headers([*ALWAYS, *refusal.headers]),
        "content": {problems.MEDIA_TYPE: {"schema": {"$ref": REF + schema}, "example": refusal.example}},
    }


def _text(most: int, told: str) -> Json:
    return {"type": "string", "maxLength": most, "description": told}


_STANDARD: dict[str, Json] = {
    "type": _text(100, "Which kind of problem; the page at this address explains it."),
    "title": _text(100, "The kind in words."),
    "status": {
        "type": "integer",
        "format": "int32",
        "minimum": 400,
        "maximum": 599,
        "description": "The HTTP status.",
    },
    "detail": _text(4000, "What went wrong this time."),
    "instance": _text(4000, "The path that was called."),
    "request_id": _text(100, "Tell support this."),
    "message": _text(4000, "The same as `detail`, for clients written for Laravel."),
}
_ABILITY: Json = {
    "type": "string",
    "enum": sorted(ABILITIES),
    "description": "With 403: the ability that the token lacks.",
}
_ERRORS: Json = {
    "type": "object",
    "description": "What is wrong, by field; a field inside another is told with dots.",
    "additionalProperties": {
        "type": "array",
        "minItems": 1,
        "maxItems": 100,
        "items": _text(1000, "What is wrong with it."),
    },
}
PROBLEMS: Json = {
    "Problem": {
        "type": "object",
        "description": "Why a request was refused (RFC 9457).",
        "required": [*_STANDARD],
        "properties": {**_STANDARD, "ability": _ABILITY},
    },
    "ValidationProblem": {
        "type": "object",
        "description": "Which fields break which rules (RFC 9457).",
        "required": [*_STANDARD, "errors"],
        "properties": {**_STANDARD, "errors": _ERRORS},
    },
}


def _header(told: str, schema: Json, *, required: bool = False) -> Json:
    return {"description": told, "required": required, "schema": schema}


_COUNT: Json = {"type": "integer", "format": "int64", "minimum": 0, "maximum": 10**10}
_WORDS: Json = {"type": "string", "maxLength": 4000}
HEADERS: Json = {
    "X-Request-Id": _header("The id of this request; it is in our logs.", _WORDS, required=True),
    "X-RateLimit-Limit": _header("Requests a minute.", _COUNT),
    "X-RateLimit-Remaining": _header("Requests left in this minute.", _COUNT),
    "X-RateLimit-Reset": _header("When the minute ends, in seconds since 1970.", _COUNT),
    "Retry-After": _header("Wait this many seconds; then the request gets through.", _COUNT),
    "WWW-Authenticate": _header("`Bearer`: send an API token (RFC 6750).", _WORDS),
    "Idempotent-Replayed": _header("`true` where the first answer to a key is given again.", _WORDS),
    "ETag": _header("The version of this answer, for `If-None-Match` or `If-Match`.", _WORDS),
    "Cache-Control": _header("Who may keep the answer, and how long.", _WORDS),
    "Location": _header("Where to go on.", _WORDS),
}
