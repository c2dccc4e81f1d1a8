"""What every DynamoDB call of the app read and wrote: each item before and after, and its capacity."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from tests.capacity import Index, Item, index_units, item_size, read_units, write_units

Key = tuple[str, tuple[str, ...]]
"""Table and key values."""


@dataclass
class Images:
    """An item before the first and after the last call that may have written it."""

    before: Item | None
    after: Item | None


@dataclass
class Ledger:
    """Watches a botocore client; `look` is another one, whose calls count for nothing."""

    look: Any
    watching: bool = False
    images: dict[Key, Images] = field(default_factory=dict)
    read: float = 0
    written: float = 0
    _open: list[tuple[Key, Item | None]] = field(default_factory=list)

    def begin(self) -> None:
        self.images, self.read, self.written, self.watching = {}, 0, 0, True

    def end(self) -> None:
        self.watching = False

    def before(self, model: Any, params: Mapping[str, Any], **_: Any) -> None:
        if not self.watching:
            return
        request = json.loads(params["body"])
        self._request = request
        self._open = [(key, self._item(key)) for key in self._writes(model.name, request)]

    def after(self, model: Any, parsed: Mapping[str, Any], **_: Any) -> None:
        if not self.watching:
            return
        self.read += self._read_units(model.name, self._request, parsed)
        times = 2 if model.name == "TransactWriteItems" else 1
        for key, before in self._open:
            after = self._item(key)
            self.images.setdefault(key, Images(before, before)).after = after
            self.written += times * write_units(before, after)
            self.written += index_units(self._table(key[0])[1], before, after)

    def _writes(self, name: str, request: Mapping[str, Any]) -> Iterator[Key]:
        if name == "TransactWriteItems":
            for action in request["TransactItems"]:
                ((_, what),) = action.items()
                yield self._key(what)
        elif name in ("PutItem", "UpdateItem", "DeleteItem"):
            yield self._key(request)
        elif name == "BatchWriteItem":
            for table, requests in request["RequestItems"].items():
                for what in (one for each in requests for one in each.values()):
                    yield self._key({"TableName": table, **what})
        elif name not in ("GetItem", "BatchGetItem", "Query", "DescribeTable"):
            raise ValueError(f"{name} is not counted yet")

    def _key(self, what: Mapping[str, Any]) -> Key:
        table, attributes = what["TableName"], what.get("Key") or what["Item"]
        return table, tuple(attributes[name]["S"] for name in self._table(table)[0])

    def _item(self, key: Key) -> Item | None:
        names = self._table(key[0])[0]
        wanted = {name: {"S": value} for name, value in zip(names, key[1], strict=True)}
        found: Item | None = self.look.get_item(TableName=key[0], Key=wanted, ConsistentRead=True).get("Item")
        return found

    @staticmethod
    def _read_units(name: str, request: Mapping[str, Any], parsed: Mapping[str, Any]) -> float:
        if name == "GetItem":
            consistent = request.get("ConsistentRead", False)
            return read_units(item_size(parsed.get("Item")), consistent=consistent)
        if name == "Query":
            size = sum(item_size(item) for item in parsed.get("Items", []))  # none: counted
            return read_units(size, consistent=request.get("ConsistentRead", False))
        if name == "BatchGetItem":
            units = 0.0
            for table, asked in request["RequestItems"].items():
                consistent = asked.get("ConsistentRead", False)
                found = parsed["Responses"].get(table, [])
                units += sum(read_units(item_size(item), consistent=consistent) for item in found)
                units += (len(asked["Keys"]) - len(found)) * read_units(0, consistent=consistent)
            return units
        return 0

    def _table(self, name: str) -> tuple[tuple[str, ...], tuple[Index, ...]]:
        return _described(self.look, name)


@cache
def _described(look: Any, name: str) -> tuple[tuple[str, ...], tuple[Index, ...]]:
    """The table's key attributes, and its indexes."""
    table = look.describe_table(TableName=name)["Table"]
    keys = tuple(part["AttributeName"] for part in table["KeySchema"])
    indexes = []
    for index in table.get("GlobalSecondaryIndexes", ()):
        own = tuple(part["AttributeName"] for part in index["KeySchema"])
        projection = index["Projection"]
        every = projection["ProjectionType"] == "ALL"
        holds = None if every else frozenset({*keys, *own, *projection.get("NonKeyAttributes", ())})
        indexes.append(Index(own, holds))
    return keys, tuple(indexes)
