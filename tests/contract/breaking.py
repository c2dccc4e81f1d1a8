"""What an integrator's program may stumble over when one OpenAPI document of this API takes another's place.

Requests may only grow wider and answers only fuller. A value more in an answer's enum, or a kind more in a
union that is told apart by a tag, breaks nothing: clients are told to expect new item types and events.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Json = Mapping[str, Any]

UPPER = ("maxLength", "maximum", "exclusiveMaximum", "maxItems", "maxProperties")
LOWER = ("minLength", "minimum", "exclusiveMinimum", "minItems", "minProperties")
FORMS = ("pattern", "format", "uniqueItems")
_VARIABLE = re.compile(r"\{\w+\}")


def breaking(old: Json, new: Json) -> list[str]:
    """Every breaking change, in words; empty where clients of `old` go on working."""
    return list(dict.fromkeys(_Comparison(old, new).changes()))


class _Comparison:
    def __init__(self, old: Json, new: Json) -> None:
        self.old, self.new = old, new
        self.compared: set[tuple[str, str, bool]] = set()

    def changes(self) -> Iterator[str]:
        for kind in ("paths", "webhooks"):
            mine, theirs = _operations(self.old[kind]), _operations(self.new[kind])
            for name, (old, was_called) in mine.items():
                if name not in theirs:
                    yield f"{was_called}: gone"
                else:
                    yield from self._operation(was_called, old, theirs[name][0], told=kind == "webhooks")

    def _operation(self, name: str, old: Json, new: Json, *, told: bool) -> Iterator[str]:
        """`told`: an event, whose body and headers we send."""
        if old["operationId"] != new["operationId"]:
            yield f"{name}: operationId {old['operationId']} is now {new['operationId']}"
        needed = _abilities(new, self.new) - _abilities(old, self.old)
        if needed:
            yield f"{name}: now needs {', '.join(sorted(needed))}"
        yield from self._parameters(name, old, new, told=told)
        old_body, new_body = old.get("requestBody", {}), new.get("requestBody", {})
        if new_body.get("required") and not old_body.get("required"):
            yield f"{name}: now needs a body"
        yield from self._content(f"{name}: body", old_body, new_body, sent=not told)
        for status, was in old["responses"].items():
            before = self._resolved(self.old, was)
            if status not in new["responses"]:
                if status.startswith("2"):
                    yield f"{name}: answers no {status} any more"
                continue
            after = self._resolved(self.new, new["responses"][status])
            for header in sorted(before.get("headers", {}).keys() - after.get("headers", {}).keys()):
                yield f"{name}: {status} without the header {header}"
            yield from self._content(f"{name}: {status}", before, after, sent=False)

    def _parameters(self, name: str, old: Json, new: Json, *, told: bool) -> Iterator[str]:
        before, after = self._by_place(self.old, old), self._by_place(self.new, new)
        for place, parameter in before.items():
            if place not in after:
                yield f"{name}: parameter {place} is gone"
            else:
                where = f"{name}: parameter {place}"
                yield from self._schema(where, parameter["schema"], after[place]["schema"], sent=not told)
        for place, parameter in after.items():
            if not told and parameter["required"] and not before.get(place, {}).get("required"):
                yield f"{name}: parameter {place} is now required"

    def _by_place(self, document: Json, operation: Json) -> dict[str, Json]:
        """Variables of a path by their position: their names are nobody's business."""
        found = [self._resolved(document, one) for one in operation.get("parameters", [])]
        in_path = [one for one in found if one["in"] == "path"]
        return {f"path {at}": one for at, one in enumerate(in_path, 1)} | {
            f"{one['in']} {one['name']}": one for one in found if one["in"] != "path"
        }

    def _content(self, where: str, old: Json, new: Json, *, sent: bool) -> Iterator[str]:
        for media_type, was in old.get("content", {}).items():
            if media_type not in new.get("content", {}):
                yield f"{where} is no {media_type} any more"
            else:
                yield from self._schema(where, was["schema"], new["content"][media_type]["schema"], sent=sent)

    # Schemas: `sent` by clients, or shown to them

    def _schema(self, where: str, old: Json, new: Json, *, sent: bool) -> Iterator[str]:
        pair = (old.get("$ref"), new.get("$ref"))
        if pair[0] and pair[1]:
            seen = (pair[0], pair[1], sent)
            if seen in self.compared:
                return
            self.compared.add(seen)
            where = pair[0].rpartition("/")[2]
        before, after = self._branches(self.old, old), self._branches(self.new, new)
        lost = _uncovered(before, after) if sent else _uncovered(after, before)
        if lost:
            verb = "takes no" if sent else "may now be"
            yield f"{where} {verb} {' or '.join(sorted(lost))}"
            return
        for was in before:
            match = _match(was, after)
            if match is not None:
                yield from self._same_type(where, was, match, sent=sent)
            elif sent:
                yield f"{where} takes no {_tag(was)} any more"

    def _branches(self, document: Json, schema: Json) -> list[Json]:
        """What a value may be: the members of its unions, resolved; those that list values as one list."""
        plain = self._resolved(document, schema)
        members = plain.get("anyOf") or plain.get("oneOf")
        if not members:
            return [plain]
        branches = [branch for member in members for branch in self._branches(document, member)]
        values = [value for branch in branches for value in _values(branch) or ()]
        listed = [{"type": "string", "enum": values}] if values else []
        return [branch for branch in branches if _values(branch) is None] + listed

    def _same_type(self, where: str, old: Json, new: Json, *, sent: bool) -> Iterator[str]:
        if sent:
            yield from _tightened(where, old, new)
        yield from self._object(where, old, new, sent=sent)
        for part in ("items", "additionalProperties"):
            if isinstance(old.get(part), Mapping) and isinstance(new.get(part), Mapping):
                yield from self._schema(f"{where}[]", old[part], new[part], sent=sent)

    def _object(self, where: str, old: Json, new: Json, *, sent: bool) -> Iterator[str]:
        before, after = old.get("properties", {}), new.get("properties", {})
        for field, was in before.items():
            if field not in after:
                yield f"{where}.{field} is gone"
            else:
                yield from self._schema(f"{where}.{field}", was, after[field], sent=sent)
        was_required, is_required = set(old.get("required", ())), set(new.get("required", ()))
        if sent:
            for field in sorted(is_required - was_required):
                yield f"{where}.{field} is now required"
        else:
            for field in sorted((was_required - is_required) & after.keys()):
                yield f"{where}.{field} may now be missing"

    @staticmethod
    def _resolved(document: Json, part: Json) -> Json:
        while "$ref" in part:
            kind, name = part["$ref"].split("/")[2:]
            part = document["components"][kind][name]
        return part


def _operations(paths: Json) -> dict[str, tuple[Json, str]]:
    """Each operation by method and path, with how it is called in words."""
    return {
        f"{method} {_VARIABLE.sub('{}', path)}": (operation, f"{method.upper()} {path}")
        for path, methods in paths.items()
        for method, operation in methods.items()
    }


def _abilities(operation: Json, document: Json) -> set[str]:
    """What a caller must have: a token, and its abilities."""
    (needed, *_) = operation.get("security", document["security"]) or [{}]
    return {f"a token of {scheme}" for scheme in needed} | {one for roles in needed.values() for one in roles}


def _types(branches: Sequence[Json]) -> set[str]:
    found: set[str] = set()
    for branch in branches:
        kind = branch.get("type") or {type(value).__name__ for value in _values(branch) or ()} or "anything"
        found |= {kind} if isinstance(kind, str) else set(kind)
    return found


def _uncovered(inner: Sequence[Json], outer: Sequence[Json]) -> set[str]:
    """The types of `inner` that `outer` has not."""
    covers = _types(outer)
    if "anything" in covers:
        return set()
    return _types(inner) - covers - ({"integer"} if "number" in covers else set())


def _match(branch: Json, among: Sequence[Json]) -> Json | None:
    """The branch of the same tag; without tags, of the same type."""
    same = [one for one in among if _types([one]) == _types([branch])] or (
        [one for one in among if "anything" in _types([one])]
    )
    tagged = [one for one in same if _tag(one) == _tag(branch)]
    if tagged:
        return tagged[0]
    return same[0] if len(same) == 1 and _tag(branch) is None else None


def _tag(branch: Json) -> str | None:
    """`cloze` of a union whose members are told apart by their `type`, `True` of one with tombstones."""
    fields = branch.get("properties", {})
    tags = [fields[name]["const"] for name in ("type", "deleted") if "const" in fields.get(name, {})]
    return str(tags[0]) if tags else None


def _values(schema: Json) -> list[Any] | None:
    return [schema["const"]] if "const" in schema else schema.get("enum")


def _tightened(where: str, old: Json, new: Json) -> Iterator[str]:
    for limit in UPPER:
        if limit in new and (limit not in old or new[limit] < old[limit]):
            yield f"{where}: {limit} is now {new[limit]}"
    for limit in LOWER:
        if limit in new and new[limit] > old.get(limit, 0 if limit.endswith(("Length", "s")) else -(10**30)):
            yield f"{where}: {limit} is now {new[limit]}"
    for form in FORMS:
        if new.get(form) and new[form] != old.get(form):
            yield f"{where}: {form} is now {new[form]}"
    if new.get("additionalProperties") is False and old.get("additionalProperties") is not False:
        yield f"{where} takes no further fields any more"
    allowed, was_allowed = _values(new), _values(old)
    if allowed is not None:
        gone = ["all others"] if was_allowed is None else [v for v in was_allowed if v not in allowed]
        if gone:
            yield f"{where} takes no {', '.join(map(str, gone))} any more"
