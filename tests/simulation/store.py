"""DynamoDB in memory, whose conditions and transactions hold: each call happens whole, at one moment.

Keys and indexes are those of `infra/resources.yaml`. It answers the calls that our code makes and refuses
others; `tests/store/test_simulated_store.py` compares it with the local cloud's, call by call.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from botocore.exceptions import ClientError

from infra import stacks
from infra.local.cloud import REPOSITORY
from infra.packaging import RESOURCES
from tests.simulation import expressions
from tests.simulation.expressions import Row

Key = tuple[str, str]
Write = Callable[[str, Row | None, Row | None], None]
"""Table, and a row before and after it was written."""


@dataclass(frozen=True)
class Described:
    """A table's or index's key attributes, and what it holds of a row (None: everything)."""

    keys: tuple[str, ...]
    holds: frozenset[str] | None = None


@dataclass
class Rows:
    """Partitions of rows in the order of their sort keys; in an index several rows may share both keys."""

    described: Described
    order: dict[str, list[tuple[str, Key]]] = field(default_factory=dict)
    rows: dict[Key, Row] = field(default_factory=dict)

    def set(self, key: Key, row: Row | None) -> None:
        before, after = self._place(self.rows.get(key)), self._place(row)
        if before is not None and before != after:
            entries = self.order[before[0]]
            del entries[bisect_left(entries, (before[1], key))]
            del self.rows[key]
        if after is not None and row is not None:
            if before != after:
                insort(self.order.setdefault(after[0], []), (after[1], key))
            self.rows[key] = row

    def _place(self, row: Row | None) -> Key | None:
        """None for a row that is not there, or that an index leaves out."""
        if row is None:
            return None
        values = [row[name]["S"] for name in self.described.keys if name in row]
        if len(values) < len(self.described.keys):
            return None
        return values[0], values[1] if len(values) > 1 else ""


class Refused(ClientError):
    """What DynamoDB answers to a condition that does not hold."""

    def __init__(self, code: str, operation: str, **members: Any) -> None:
        answer: Any = {"Error": {"Code": code, "Message": code}, **members}
        super().__init__(answer, operation)


class Store:
    """The tables of a stage. `watch` is told of every write; `soon` is asked to bring indexes up to date, as
    DynamoDB does that a moment later.
    """

    def __init__(self, soon: Callable[[Callable[[], None]], None] = lambda step: step()) -> None:
        self.watch: list[Write] = []
        self._soon = soon
        self.tables: dict[str, dict[str, Rows]] = {
            name: {index: Rows(described) for index, described in all_.items()}
            for name, all_ in tables().items()
        }

    def answer(self, operation: str, request: Mapping[str, Any]) -> Row:
        answered: Row = getattr(self, f"_{operation}")(request)
        return answered

    def rows(self, table: str) -> list[Row]:
        return list(self.tables[table][""].rows.values())

    def row(self, table: str, pk: str, sk: str) -> Row | None:
        return self.tables[table][""].rows.get((pk, sk))

    def _key(self, table: str, row: Row) -> Key:
        names = self.tables[table][""].described.keys
        return row[names[0]]["S"], row[names[1]]["S"] if len(names) > 1 else ""

    def _write(self, table: str, key: Key, row: Row | None) -> None:
        parts = self.tables[table]
        rows = parts[""]
        before = rows.rows.get(key)
        rows.set(key, row)
        if len(parts) > 1:
            self._soon(lambda: self._index(table, key))
        if before != row:
            for watch in self.watch:
                watch(table, before, row)

    def _index(self, table: str, key: Key) -> None:
        rows, *indexes = self.tables[table].values()
        for index in indexes:
            index.set(key, rows.rows.get(key))

    def _decide(self, kind: str, request: Mapping[str, Any]) -> tuple[str, Key, Row | None, bool]:
        """What a write leaves of which row, and whether its condition holds."""
        table = _short(request["TableName"])
        key = self._key(table, request["Item"] if kind == "Put" else request["Key"])
        before = self.tables[table][""].rows.get(key)
        names = request.get("ExpressionAttributeNames", {})
        values = request.get("ExpressionAttributeValues", {})
        text = request.get("ConditionExpression")
        holds = text is None or expressions.condition(text)(before or {}, names, values)
        after: Row | None = before
        if kind == "Put":
            after = dict(request["Item"])
        elif kind == "Update":
            after = expressions.update(request["UpdateExpression"])(
                before or dict(request["Key"]), names, values
            )
        elif kind == "Delete":
            after = None
        return table, key, after, holds

    def _single(self, kind: str, request: Mapping[str, Any]) -> Row | None:
        table, key, after, holds = self._decide(kind, request)
        if not holds:
            raise Refused("ConditionalCheckFailedException", f"{kind}Item")
        self._write(table, key, after)
        return after

    def _PutItem(self, request: Mapping[str, Any]) -> Row:
        self._single("Put", request)
        return {}

    def _UpdateItem(self, request: Mapping[str, Any]) -> Row:
        after = self._single("Update", request)
        return {"Attributes": after} if request.get("ReturnValues") == "ALL_NEW" else {}

    def _DeleteItem(self, request: Mapping[str, Any]) -> Row:
        self._single("Delete", request)
        return {}

    def _TransactWriteItems(self, request: Mapping[str, Any]) -> Row:
        decided = [
            self._decide(kind, details) for one in request["TransactItems"] for kind, details in one.items()
        ]
        if len({(table, key) for table, key, _, _ in decided}) < len(decided):
            raise Refused("ValidationException", "TransactWriteItems")
        if not all(holds for *_, holds in decided):
            reasons = [{"Code": "None" if holds else "ConditionalCheckFailed"} for *_, holds in decided]
            raise Refused("TransactionCanceledException", "TransactWriteItems", CancellationReasons=reasons)
        for kind, (table, key, after, _) in zip(_kinds(request), decided, strict=True):
            if kind != "ConditionCheck":
                self._write(table, key, after)
        return {}

    def _GetItem(self, request: Mapping[str, Any]) -> Row:
        table = _short(request["TableName"])
        found = self.tables[table][""].rows.get(self._key(table, request["Key"]))
        return {} if found is None else {"Item": dict(found)}

    def _BatchGetItem(self, request: Mapping[str, Any]) -> Row:
        responses = {}
        for name, wanted in request["RequestItems"].items():
            table = _short(name)
            found = [self.tables[table][""].rows.get(self._key(table, key)) for key in wanted["Keys"]]
            responses[name] = [dict(row) for row in found if row is not None]
        return {"Responses": responses, "UnprocessedKeys": {}}

    def _Query(self, request: Mapping[str, Any]) -> Row:
        table, index = _short(request["TableName"]), request.get("IndexName", "")
        rows = self.tables[table][index]
        names, values = request.get("ExpressionAttributeNames", {}), request["ExpressionAttributeValues"]
        text = request["KeyConditionExpression"]
        text = text[1:-1] if text.startswith("(") else text
        hash_part, _, sort_part = text.partition(" AND ")
        entries = rows.order.get(values[hash_part.split(" = ")[1]]["S"], [])
        low, high = _bounds(sort_part, values)
        chosen = entries[bisect_left(entries, (low,)) : bisect_right(entries, (high + "\U0010ffff",))]
        within = expressions.condition(sort_part) if sort_part else None
        chosen = [entry for entry in chosen if within is None or within(rows.rows[entry[1]], names, values)]
        if not request.get("ScanIndexForward", True):
            chosen = chosen[::-1]
        if (start := request.get("ExclusiveStartKey")) is not None:
            keys = [key for _, key in chosen]
            chosen = chosen[keys.index(self._key(table, start)) + 1 :]
        limit = request.get("Limit", len(chosen))
        found = [_held(rows.rows[key], rows.described.holds) for _, key in chosen[:limit]]
        answered: Row = {"Items": found, "Count": len(found), "ScannedCount": len(found)}
        if len(chosen) > limit:
            last = rows.rows[chosen[limit - 1][1]]
            named = {*self.tables[table][""].described.keys, *rows.described.keys}
            answered["LastEvaluatedKey"] = {name: last[name] for name in named}
        return answered


def _kinds(request: Mapping[str, Any]) -> list[str]:
    return [kind for one in request["TransactItems"] for kind in one]


def _bounds(sort_part: str, values: Mapping[str, Any]) -> tuple[str, str]:
    """Between which sort keys to look; the condition itself decides."""
    given = [values[word.strip("(),")]["S"] for word in sort_part.split() if word.startswith(":")]
    if "BETWEEN" in sort_part:
        return given[0], given[1]
    if "begins_with" in sort_part:
        return given[0], given[0]
    if "<" in sort_part:
        return "", given[0]
    return "", "\U0010ffff"


def _held(row: Row, names: frozenset[str] | None) -> Row:
    return {name: value for name, value in row.items() if names is None or name in names}


def _short(table: str) -> str:
    return table.rpartition("-")[2]


@cache
def _template() -> Mapping[str, Any]:
    return stacks.load(REPOSITORY / RESOURCES)


def resources(kind: str) -> list[Mapping[str, Any]]:
    """Properties of the stage's resources of a type."""
    return [one["Properties"] for one in _template()["Resources"].values() if one["Type"] == kind]


@cache
def tables() -> dict[str, dict[str, Described]]:
    """Tables by name, and of each its indexes; the table itself stands under ""."""
    found: dict[str, dict[str, Described]] = {}
    for facts in resources("AWS::DynamoDB::Table"):
        keys = _keys_of(facts)
        parts = found[_short(facts["TableName"]["Fn::Sub"])] = {"": Described(keys)}
        for index in facts.get("GlobalSecondaryIndexes", ()):
            own, projection = _keys_of(index), index["Projection"]
            held = frozenset({*keys, *own, *projection.get("NonKeyAttributes", ())})
            every = projection["ProjectionType"] == "ALL"
            parts[index["IndexName"]] = Described(own, None if every else held)
    return found


def _keys_of(facts: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(part["AttributeName"] for part in facts["KeySchema"])
