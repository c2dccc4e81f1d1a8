"""DynamoDB's reads from memory, counted: what a query costs, at sizes that the local store cannot hold."""

import re
from bisect import bisect_left, bisect_right, insort
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pynamodb.models import Model

Item = Mapping[str, Mapping[str, Any]]
HIGHEST = "\U0010ffff"


@dataclass
class Cost:
    calls: int = 0
    items: int = 0
    bytes: int = 0


@dataclass
class CountingStore:
    """One table with string keys `pk` and `sk`; answers GetItem, BatchGetItem and Query."""

    keys: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    rows: dict[tuple[str, str], Item] = field(default_factory=dict)
    cost: Cost = field(default_factory=Cost)

    def put(self, records: Iterable[Model]) -> None:
        for record in records:
            item = record.serialize()
            key = item["pk"]["S"], item["sk"]["S"]
            if key not in self.rows:
                insort(self.keys[key[0]], key[1])
            self.rows[key] = item

    def answer(self, operation: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        """What DynamoDB would answer."""
        self.cost.calls += 1
        if operation == "GetItem":
            found = self._found([asked["Key"]])
            return {"Item": found[0]} if found else {}
        if operation == "BatchGetItem":
            ((table, wanted),) = asked["RequestItems"].items()
            return {"Responses": {table: self._found(wanted["Keys"])}, "UnprocessedKeys": {}}
        if operation == "Query":
            return self._query(asked)
        raise NotImplementedError(operation)

    def _query(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        names, values = asked["ExpressionAttributeNames"], asked["ExpressionAttributeValues"]
        condition = asked["KeyConditionExpression"]
        (pk,) = (
            values[value]["S"]
            for name, value in re.findall(r"(#\d+) = (:\d+)", condition)
            if names[name] == "pk"
        )
        low, high = "", HIGHEST
        if between := re.search(r"#\d+ BETWEEN (:\d+) AND (:\d+)", condition):
            low, high = (values[name]["S"] for name in between.groups())
        elif begins := re.search(r"begins_with \(#\d+, (:\d+)\)", condition):
            low = values[begins[1]]["S"]
            high = low + HIGHEST
        keys = self.keys.get(pk, [])
        chosen = keys[bisect_left(keys, low) : bisect_right(keys, high)]
        if not asked.get("ScanIndexForward", True):
            chosen.reverse()
        limit = asked.get("Limit", len(chosen))
        found = self._found([{"pk": {"S": pk}, "sk": {"S": sk}} for sk in chosen[:limit]])
        told: dict[str, Any] = {"Items": found, "Count": len(found), "ScannedCount": len(found)}
        if len(chosen) > limit:
            told["LastEvaluatedKey"] = {"pk": {"S": pk}, "sk": {"S": chosen[limit - 1]}}
        return told

    def _found(self, keys: Iterable[Item]) -> list[Item]:
        named = [(key["pk"]["S"], key["sk"]["S"]) for key in keys]
        found = [self.rows[key] for key in named if key in self.rows]
        self.cost.items += len(found)
        self.cost.bytes += sum(_size(item) for item in found)
        return found


def _size(item: Item) -> int:
    """As DynamoDB counts: names and values in UTF-8 (numbers, roughly, as their digits)."""
    return sum(len(name) + len(str(*value.values()).encode()) for name, value in item.items())
