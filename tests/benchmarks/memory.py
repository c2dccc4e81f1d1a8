"""DynamoDB and SQS in memory, for more data than a local store holds; every call's reads and writes counted.

It answers what our code sends and no more. One caller at a time is assumed, so conditions are taken to hold.
Capacity is computed from item sizes by AWS's published rules (a local store reports it wrongly): a write unit
per KB, twice in a transaction, one more for each index entry written; half a read unit per 4 KB, a whole one
where the read is consistent.
"""

import base64
import json
import math
import re
from bisect import bisect_left, bisect_right, insort
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from chalicelib.core import aws, sealing
from chalicelib.core.settings import settings
from chalicelib.core.store import Table, connection

Row = dict[str, Any]
INDEXES = {
    "by_institution": ("institution_key", "institution_sort"),
    "by_due": ("due_key", "due_sort"),
}
_PROJECTED = {"by_due": {"pk", "sk", "due_key", "due_sort", "place", "reviews", "score"}}
_KEYS = {"tokens": ("token_id", None), "accounts": ("pk", None), "requests": ("pk", None)}


@dataclass
class Usage:
    """What a piece of work has cost."""

    calls: Counter[str] = field(default_factory=Counter)
    items_read: int = 0
    bytes_read: int = 0
    read_units: float = 0
    write_units: Counter[str] = field(default_factory=Counter)
    written: Counter[tuple[str, str]] = field(default_factory=Counter)


class Partition:
    """Rows in the order of their sort keys. What all rows of a partition share is kept once."""

    def __init__(self, shared: Row | None = None) -> None:
        self.order: list[str] = []
        self.rows: dict[str, Row] = {}
        self.shared = shared or {}

    def put(self, sort: str, row: Row) -> None:
        if sort not in self.rows:
            insort(self.order, sort)
        self.rows[sort] = row

    def load(self, sorts: list[str]) -> None:
        """Rows that are nothing but their key and what is shared."""
        self.order = sorted(sorts)
        nothing: Row = {}
        self.rows = {sort: nothing for sort in self.order}  # noqa: C420 (one for all, as nobody changes it)

    def remove(self, sort: str) -> None:
        if self.rows.pop(sort, None) is not None:
            del self.order[bisect_left(self.order, sort)]

    def between(self, low: str | None, high: str | None, *, open_ends: bool) -> list[str]:
        """Sort keys from `low` to `high`, both with `open_ends` or both without."""
        before, after = (bisect_right, bisect_left) if open_ends else (bisect_left, bisect_right)
        start = 0 if low is None else before(self.order, low)
        stop = len(self.order) if high is None else after(self.order, high)
        return self.order[start:stop]


class Memory:
    """The tables."""

    def __init__(self) -> None:
        self.usage = Usage()
        self.messages: dict[str, list[str]] = defaultdict(list)
        self._partitions: dict[tuple[str, str], dict[str, Partition]] = defaultdict(dict)

    def measure(self, work: Callable[..., object], *given: object) -> Usage:
        self.usage = Usage()
        work(*given)
        return self.usage

    def partition(self, table: str, key: str, shared: Row | None = None) -> Partition:
        return self._partitions[table, ""].setdefault(key, Partition(shared))

    def add(self, item: Table) -> None:
        """Store a row; nothing is counted."""
        self._put(_short(item.Meta.table_name), item.serialize())

    # Rows

    def _at(self, table: str, key: Row) -> tuple[Partition, str, Row]:
        hash_name, range_name = _KEYS.get(table, ("pk", "sk"))
        sort = key[range_name]["S"] if range_name else ""
        named = {hash_name: key[hash_name], **({range_name: key[range_name]} if range_name else {})}
        return self.partition(table, key[hash_name]["S"]), sort, named

    def _get(self, table: str, key: Row) -> Row | None:
        partition, sort, named = self._at(table, key)
        found = partition.rows.get(sort)
        return None if found is None else {**partition.shared, **found, **named}

    def _put(self, table: str, row: Row) -> tuple[float, int]:
        """Store a row, in its indexes too. Its write units, and those of its indexes."""
        before = self._get(table, row)
        partition, sort, _ = self._at(table, row)
        partition.put(sort, row)
        of_indexes = sum(self._index(table, name, before, row) for name in INDEXES)
        return _write_units(max(row, before or {}, key=size_of)), of_indexes

    def _remove(self, table: str, key: Row) -> float:
        before = self._get(table, key) or {}
        partition, sort, _ = self._at(table, key)
        partition.remove(sort)
        return _write_units(before)

    def _index(self, table: str, name: str, before: Row | None, row: Row) -> int:
        hash_name, range_name = INDEXES[name]
        units = 0
        entries = [_projected(name, one) for one in (before or {}, row)]
        old, new = ([one[key]["S"] for key in (hash_name, range_name) if key in one] for one in entries)
        if len(old) == 2 and old != new:
            self._partitions[table, name][old[0]].remove(old[1])
            units += _write_units(entries[0])
        if len(new) == 2 and entries[0] != entries[1]:
            self._partitions[table, name].setdefault(new[0], Partition()).put(new[1], entries[1])
            units += _write_units(entries[1])
        return units

    # Calls

    def answer(self, operation: str, request: Row) -> Row:
        self.usage.calls[operation] += 1
        answered: Row = getattr(self, f"_{_snake(operation)}")(request)
        return answered

    def _read(self, row: Row) -> Row:
        self.usage.items_read += 1
        self.usage.bytes_read += size_of(row)
        return row

    def _count_read(self, size: int, request: Row) -> None:
        units = max(1, math.ceil(size / 4096))
        self.usage.read_units += units if request.get("ConsistentRead") else units / 2

    def _count_written(self, table: str, key: str, units: float) -> None:
        self.usage.write_units[table] += math.ceil(units)
        self.usage.written[table, key] += 1

    def _get_item(self, request: Row) -> Row:
        row = self._get(_short(request["TableName"]), request["Key"])
        self._count_read(size_of(row or {}), request)
        return {"Item": self._read(row)} if row is not None else {}

    def _batch_get_item(self, request: Row) -> Row:
        responses = {}
        for name, wanted in request["RequestItems"].items():
            found = [self._get(_short(name), key) for key in wanted["Keys"]]
            for row in found:
                self._count_read(size_of(row or {}), wanted)
            responses[name] = [self._read(row) for row in found if row is not None]
        return {"Responses": responses, "UnprocessedKeys": {}}

    def _query(self, request: Row) -> Row:
        names, values = request.get("ExpressionAttributeNames", {}), request["ExpressionAttributeValues"]
        hash_part, _, sort_part = request["KeyConditionExpression"].strip("()").partition(" AND ")
        (key,) = [values[name]["S"] for name in re.findall(r":\w+", hash_part)]
        table, index = _short(request["TableName"]), request.get("IndexName", "")
        partition = self._partitions[table, index].get(key, Partition())
        sorts = _within(partition, sort_part, {name: value["S"] for name, value in values.items()})
        if not request.get("ScanIndexForward", True):
            sorts = sorts[::-1]
        limit = request.get("Limit", len(sorts))
        hash_name = INDEXES[index][0] if index else names.get(hash_part.split()[0], "pk")
        rows = []
        for sort in sorts[:limit]:
            row = {**partition.shared, hash_name: {"S": key}, **partition.rows[sort]}
            if not index:
                row["sk"] = {"S": sort}
            rows.append(self._read(row))
        self._count_read(sum(map(size_of, rows)), request)
        answered: Row = {"Count": len(rows), "ScannedCount": len(rows)}
        if request.get("Select") != "COUNT":
            answered["Items"] = rows
        if len(sorts) > limit:
            last = rows[-1]
            keys = ("pk", "sk", *(INDEXES[index] if index else ()))
            answered["LastEvaluatedKey"] = {name: last[name] for name in keys if name in last}
        return answered

    def _put_item(self, request: Row) -> Row:
        table = _short(request["TableName"])
        units, of_indexes = self._put(table, request["Item"])
        self._count_written(table, _name_of(table, request["Item"]), units + of_indexes)
        return {}

    def _delete_item(self, request: Row) -> Row:
        table = _short(request["TableName"])
        units = self._remove(table, request["Key"])
        self._count_written(table, _name_of(table, request["Key"]), units)
        return {}

    def _update_item(self, request: Row) -> Row:
        table = _short(request["TableName"])
        row = self._updated(table, request)
        units, of_indexes = self._put(table, row)
        self._count_written(table, _name_of(table, row), units + of_indexes)
        return {"Attributes": row}

    def _transact_write_items(self, request: Row) -> Row:
        for action in request["TransactItems"]:
            ((kind, details),) = action.items()
            table = _short(details["TableName"])
            row, units, of_indexes = details.get("Key"), 1.0, 0
            if kind == "Put":
                row = details["Item"]
                units, of_indexes = self._put(table, row)
            elif kind == "Update":
                units, of_indexes = self._put(table, self._updated(table, details))
            elif kind == "Delete":
                units = self._remove(table, details["Key"])
            self._count_written(table, _name_of(table, row), 2 * units + of_indexes)
        return {}

    def _batch_write_item(self, request: Row) -> Row:
        for name, writes in request["RequestItems"].items():
            for write in writes:
                ((kind, details),) = write.items()
                if kind == "PutRequest":
                    self._put(_short(name), details["Item"])
                else:
                    self._remove(_short(name), details["Key"])
        return {"UnprocessedItems": {}}

    def _updated(self, table: str, request: Row) -> Row:
        """The row after an update of ADD, SET name = value and REMOVE."""
        row = dict(self._get(table, request["Key"]) or request["Key"])
        names, values = (request.get(f"ExpressionAttribute{what}", {}) for what in ("Names", "Values"))
        for verb, rest in re.findall(
            r"(ADD|SET|REMOVE) (.*?)(?= ADD | SET | REMOVE |$)", request["UpdateExpression"]
        ):
            for change in rest.split(","):
                name, value = change.split()[0], change.split()[-1]
                name = names.get(name, name)
                if verb == "REMOVE":
                    row.pop(name, None)
                elif verb == "SET":
                    row[name] = values[value]
                elif "SS" in values[value]:
                    row[name] = {"SS": sorted({*row.get(name, {}).get("SS", ()), *values[value]["SS"]})}
                else:
                    row[name] = {"N": str(int(row.get(name, {"N": "0"})["N"]) + int(values[value]["N"]))}
        return row


def _within(partition: Partition, condition: str, values: Mapping[str, str]) -> list[str]:
    given = [values[name] for name in re.findall(r":\w+", condition)]
    if not condition:
        return partition.order
    if "begins_with" in condition:
        return partition.between(given[0], given[0] + "\U0010ffff", open_ends=False)
    if "BETWEEN" in condition:
        return partition.between(given[0], given[1], open_ends=False)
    ((operator,),) = [re.findall(r" (<=|>=|<|>|=) ", condition)]
    low = given[0] if operator in {">", ">=", "="} else None
    high = given[0] if operator in {"<", "<=", "="} else None
    return partition.between(low, high, open_ends=operator in {"<", ">"})


def _projected(index: str, row: Row) -> Row:
    if INDEXES[index][0] not in row:
        return {}
    wanted = _PROJECTED.get(index)
    return row if wanted is None else {name: value for name, value in row.items() if name in wanted}


def size_of(row: Row) -> int:
    """Bytes, as DynamoDB counts them."""
    return sum(len(name.encode()) + _size(value) for name, value in row.items())


def _size(value: Row) -> int:
    ((kind, content),) = value.items()
    match kind:
        case "S":
            size = len(content.encode())
        case "N":
            size = math.ceil(len(content.strip("-").replace(".", "")) / 2) + 1
        case "B":
            size = len(base64.b64decode(content) if isinstance(content, str) else content)
        case "SS":
            size = sum(len(one.encode()) for one in content)
        case "L":
            size = 3 + sum(1 + _size(one) for one in content)
        case _:
            size = 1
    return size


def _write_units(row: Row) -> int:
    return max(1, math.ceil(size_of(row) / 1024))


def _name_of(table: str, row: Row | None) -> str:
    hash_name, _ = _KEYS.get(table, ("pk", "sk"))
    return str((row or {})[hash_name]["S"])


def _short(table: str) -> str:
    return table.rpartition("-")[2]


def _snake(operation: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", operation).lower()


class _Queues:
    """The calls of `core.queues`, counted."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    def get_queue_url(self, QueueName: str) -> Row:
        return {"QueueUrl": QueueName}

    def send_message_batch(self, QueueUrl: str, Entries: list[Row]) -> Row:
        self._memory.usage.calls["SendMessageBatch"] += 1
        self._memory.messages[QueueUrl.removeprefix("talktiko-local-")] += [
            entry["MessageBody"] for entry in Entries
        ]
        return {"Successful": [{"Id": entry["Id"]} for entry in Entries], "Failed": []}


@contextmanager
def in_memory() -> Iterator[Memory]:
    """Our code's calls go to tables in memory; afterwards to where they went before."""
    from botocore.awsrequest import AWSResponse, HeadersDict

    clients: list[Any] = [connection, aws.sqs, aws.kms]
    memory, made = Memory(), [client._made for client in clients]
    variables = {
        "STAGE": "local", "AWS_DEFAULT_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test", "PUBLIC_URL": "https://api.example.org",
    }  # fmt: skip

    def send(request: Any, **_: Any) -> Any:
        operation = request.headers["X-Amz-Target"].decode().partition(".")[2]
        content = json.dumps(memory.answer(operation, json.loads(request.body))).encode()
        raw = SimpleNamespace(stream=lambda *_, **__: iter([content]))
        return AWSResponse(request.url, 200, HeadersDict(), raw)  # type: ignore[arg-type]

    with patch.dict("os.environ", variables):
        keys = SimpleNamespace(generate_mac=lambda **_: {"Mac": bytes(32)})
        _forget()
        for client, instead in zip(clients, ([], [_Queues(memory)], [keys]), strict=True):
            client._made = instead
        connection().client.meta.events.register("before-send.dynamodb.*", send)
        try:
            yield memory
        finally:
            for client, before in zip(clients, made, strict=True):
                client._made = before
    _forget()


def _forget() -> None:
    for kept in (settings, aws.queue_url, sealing.signing_key):
        kept.cache_clear()
