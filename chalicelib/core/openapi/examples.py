"""Example values made from JSON schemas, out of what the schemas themselves say.

Nothing is invented where a schema gives no hint (free text without `examples`): there is then no
example rather than a row of the word "string".
"""

from collections.abc import Mapping
from typing import Any

REF = "#/components/schemas/"
_FORMATS = {
    "date-time": "2026-11-25T12:00:00Z",
    "date": "2026-11-25",
    "uri": "https://lms.example.com/talktiko",
    "email": "ada@example.com",
}

Schema = Mapping[str, Any]


class NoExample(Exception):
    """The schema does not say enough to make a value that a reader would believe."""


def example(schema: Schema, components: Mapping[str, Schema], inside: frozenset[str] = frozenset()) -> Any:
    """A value that `schema` accepts. `components` are what it refers to; `inside` ends recursion.

    Raises `NoExample`.
    """
    if schema.get("examples"):
        return schema["examples"][0]
    if "$ref" in schema:
        name = schema["$ref"].removeprefix(REF)
        if name in inside:
            raise NoExample(name)
        return example(components[name], components, inside | {name})
    for value in (schema.get("default"), schema.get("const"), *schema.get("enum", ())):
        if value is not None:
            return value
    branches = schema.get("anyOf") or schema.get("oneOf")
    if branches:
        return _first(branches, components, inside)
    make = {"object": _object, "array": _array}.get(schema.get("type", ""), _scalar)
    return make(schema, components, inside)


def _first(branches: list[Schema], components: Mapping[str, Schema], inside: frozenset[str]) -> Any:
    """An example of the first branch that has one; null comes last."""
    for branch in sorted(branches, key=lambda branch: branch.get("type") == "null"):
        try:
            return example(branch, components, inside)
        except NoExample:
            continue
    raise NoExample("no branch")


def _object(schema: Schema, components: Mapping[str, Schema], inside: frozenset[str]) -> dict[str, Any]:
    found = {}
    for name, member in schema.get("properties", {}).items():
        try:
            found[name] = example(member, components, inside)
        except NoExample:
            if name in schema.get("required", ()):
                raise
    return found


def _array(schema: Schema, components: Mapping[str, Schema], inside: frozenset[str]) -> list[Any]:
    if schema.get("minItems", 0) > 1:
        raise NoExample("several items")
    return [example(schema.get("items", {}), components, inside)]


def _scalar(schema: Schema, *_: object) -> Any:
    kind = schema.get("type")
    if kind == "null":
        return None
    if kind == "boolean":
        return True
    if kind in ("integer", "number"):
        least = schema.get("minimum", schema.get("exclusiveMinimum", 0) + 1)
        return min(least, schema.get("maximum", least))
    if kind == "string" and schema.get("format") in _FORMATS:
        return _FORMATS[schema["format"]]
    raise NoExample(str(kind))
