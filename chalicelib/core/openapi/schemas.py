"""The JSON schemas of all models, under names that are plain and unique across slices."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, JsonSchemaValue, models_json_schema
from pydantic_core.core_schema import IntSchema

from chalicelib.core.events import EventData
from chalicelib.core.http import Endpoint
from chalicelib.core.openapi.examples import REF, NoExample, Schema, example


class Schemas:
    """What every endpoint and event reads and shows. `components` are the shared ones by name."""

    def __init__(self, declared: Sequence[Endpoint], event_types: Sequence[type[EventData]]) -> None:
        wanted = [*_wanted(declared), *((event, _SHOWN) for event in event_types)]
        made, definitions = models_json_schema(
            list(dict.fromkeys(wanted)), schema_generator=_Plain, ref_template=f"{REF}{{model}}"
        )
        found = definitions.get("$defs", {})
        names = _plain_names(sorted(found))
        self._all = {plain: _renamed(_untitled(found[name]), names) for name, plain in names.items()}
        self._references: dict[tuple[Any, JsonSchemaMode], Schema] = {
            key: _renamed(value, names) for key, value in made.items()
        }
        # The parameters of a query are told one by one: no one refers to their model.
        queries = {self._name(one.query, _READ) for one in declared if one.query is not None}
        self.components = {name: schema for name, schema in self._all.items() if name not in queries}

    def read(self, model: type[BaseModel]) -> Schema:
        """What a client sends."""
        return self._references[model, _READ]

    def shown(self, model: type[BaseModel]) -> Schema:
        """What a client gets."""
        return self._references[model, _SHOWN]

    def parameters(self, query: type[BaseModel]) -> list[tuple[str, Schema, bool]]:
        """The fields of a query: name, schema, whether required."""
        schema = self._all[self._name(query, _READ)]
        required = schema.get("required", [])
        return [(name, field, name in required) for name, field in schema.get("properties", {}).items()]

    def member(self, page: type[BaseModel], name: str) -> Schema:
        """The `data` of a page, or its `meta`."""
        member: Schema = self._all[self._name(page, _SHOWN)]["properties"][name]
        return member

    def example(self, schema: Schema) -> dict[str, Any]:
        """`{"example": …}`, or nothing where the schema does not say enough."""
        try:
            return {"example": example(schema, self._all)}
        except NoExample:
            return {}

    def _name(self, model: type[BaseModel], mode: JsonSchemaMode) -> str:
        return str(self._references[model, mode]["$ref"]).removeprefix(REF)


_READ: JsonSchemaMode = "validation"
_SHOWN: JsonSchemaMode = "serialization"


class _Plain(GenerateJsonSchema):
    """Without a title per field, which would only repeat the field's name; integers with their width."""

    def field_title_should_be_set(self, schema: Any) -> Literal[False]:  # noqa: ARG002
        return False

    def int_schema(self, schema: IntSchema) -> JsonSchemaValue:
        made = super().int_schema(schema)
        fits = max(abs(made.get("minimum", 0)), abs(made.get("maximum", 2**63 - 1))) < 2**31
        return {**made, "format": "int32" if fits else "int64"}


def plain_schema(of: Any) -> Schema:
    """The schema of a type by itself."""
    return TypeAdapter(of).json_schema(schema_generator=_Plain)


def answer(declared: Endpoint) -> type[BaseModel] | None:
    """The model that an endpoint answers with, if it does."""
    returns = declared.returns
    return returns if returns is not None and issubclass(returns, BaseModel) else None


def _wanted(declared: Iterable[Endpoint]) -> Iterable[tuple[type[BaseModel], JsonSchemaMode]]:
    for one in declared:
        for model, mode in ((one.body, _READ), (one.query, _READ), (answer(one), _SHOWN)):
            if model is not None:
                yield model, mode


def _plain_names(made: Iterable[str]) -> dict[str, str]:
    """Pydantic's names as ours: `Page_Token_` is TokenPage.

    Where two slices have a Token, `chalicelib__auth__schemas__Token` is AuthToken.
    """
    names: dict[str, str] = {}
    for name in made:
        plain = _MODULE.sub(lambda found: found["slice"].title().replace("_", ""), name)
        plain = _PAGE.sub(r"\1Page", plain)
        names[name] = plain if plain not in names.values() else name
    return names


_MODULE = re.compile(r"chalicelib__(?P<slice>[a-z_]+?)__(?:[a-z_]+__)*")
_PAGE = re.compile(r"^Page_(\w+)_(?=$|-)")


def _untitled(schema: Schema) -> Schema:
    """Its name among the components tells as much."""
    return {key: value for key, value in schema.items() if key != "title"}


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _renamed(member, names) for key, member in value.items()}
    if isinstance(value, list):
        return [_renamed(member, names) for member in value]
    if isinstance(value, str) and value.startswith(REF):
        return REF + names[value.removeprefix(REF)]
    return value
