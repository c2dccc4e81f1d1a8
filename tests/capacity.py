"""Capacity units as AWS counts them, from the items themselves: emulators report them wrongly.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Item = Mapping[str, Mapping[str, Any]]


def item_size(item: Item | None) -> int:
    """Bytes, names included; 0 for an item that is not there."""
    return sum(len(name.encode()) + _value_size(value) for name, value in (item or {}).items())


def _value_size(value: Mapping[str, Any]) -> int:
    ((kind, content),) = value.items()
    if kind in ("L", "M"):
        named = content.items() if kind == "M" else (("", one) for one in content)
        return 3 + sum(1 + len(name.encode()) + _value_size(one) for name, one in named)
    if kind in ("SS", "NS", "BS"):
        return sum(_value_size({kind[0]: one}) for one in content)
    if kind in ("BOOL", "NULL"):
        return 1
    return _scalar_size(kind, content)


def _scalar_size(kind: str, content: Any) -> int:
    if kind == "N":
        return _number_size(content)
    if kind == "B" and isinstance(content, str):
        return len(base64.b64decode(content))
    return len(content.encode() if kind == "S" else content)


def _number_size(text: str) -> int:
    """A byte for two significant digits, one more, and one for a sign."""
    digits = text.partition("e")[0].lstrip("-").replace(".", "").strip("0")
    return (len(digits) + 1) // 2 + 1 + text.startswith("-")


def read_units(size: int, *, consistent: bool) -> float:
    """For 4 KiB begun; the least is for an item that is not there, or a list without rows."""
    return max(1, -(-size // 4096)) * (1.0 if consistent else 0.5)


def write_units(before: Item | None, after: Item | None) -> int:
    """For 1 KiB begun of the larger of the two. A condition that fails costs the same."""
    return max(1, -(-max(item_size(before), item_size(after)) // 1024))


@dataclass(frozen=True)
class Index:
    """An index: its keys, and the attributes that it holds beside all keys (None: every one)."""

    keys: tuple[str, ...]
    holds: frozenset[str] | None

    def write_units(self, before: Item | None, after: Item | None) -> int:
        """A row that appears, changes or goes is a write; one that moves is two."""
        old, new = self._row(before), self._row(after)
        if old == new:
            return 0
        moved = old and new and any(old[key] != new[key] for key in self.keys)
        if moved:
            return write_units(old, None) + write_units(None, new)
        return write_units(old, new)

    def _row(self, item: Item | None) -> Item | None:
        if item is None or not all(key in item for key in self.keys):
            return None
        return {name: value for name, value in item.items() if self.holds is None or name in self.holds}


def index_units(indexes: Sequence[Index], before: Item | None, after: Item | None) -> int:
    return sum(index.write_units(before, after) for index in indexes)
