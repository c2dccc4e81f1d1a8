"""What `stats` of an Insights query counts in groups of rows."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]
Aggregate = Callable[[Sequence[Row]], Any]
OfField = Callable[[Sequence[Row], str], Any]
TIME = "@timestamp"


def grouped(rows: Sequence[Row], by: Sequence[str], aggregates: Mapping[str, Aggregate]) -> list[Row]:
    """A row for each combination of values of `by`; without `by` one, also of nothing."""
    groups: dict[tuple[Any, ...], list[Row]] = {} if by else {(): []}
    for row in rows:
        groups.setdefault(tuple(row.get(name) for name in by), []).append(row)
    return [
        {
            **dict(zip(by, key, strict=True)),
            **{name: aggregate(group) for name, aggregate in aggregates.items()},
        }
        for key, group in groups.items()
    ]


def percentile(percent: float) -> OfField:
    """By nearest rank."""

    def of(rows: Sequence[Row], name: str) -> float | None:
        values = sorted(_numbers(rows, name))
        return values[max(0, math.ceil(percent / 100 * len(values)) - 1)] if values else None

    return of


def _mean(rows: Sequence[Row], name: str) -> float | None:
    values = _numbers(rows, name)
    return round(sum(values) / len(values), 4) if values else None


def _numbers(rows: Sequence[Row], name: str) -> list[float]:
    return [row[name] for row in rows if isinstance(row.get(name), int | float)]


AGGREGATES: Mapping[str, OfField] = {
    "count_distinct": lambda rows, name: len({row[name] for row in rows if row.get(name) is not None}),
    "avg": _mean,
    "max": lambda rows, name: max(_numbers(rows, name), default=None),
    "latest": lambda rows, name: max(rows, key=lambda row: row[TIME]).get(name),
}
