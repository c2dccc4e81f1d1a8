"""How an endpoint does: counters per hour, from which a day and a week are added up.

PK whk_…   SK STATS#2026-11-25T12   attempts, successes, failures by class, a histogram of latencies; 8 days

They are counted beside the attempt's record and not with it: a worker that dies in between leaves one out.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.core.clock import epoch
from chalicelib.core.logs import log
from chalicelib.core.store import connection, table

KEPT = timedelta(days=8)
DAY, WEEK = timedelta(hours=24), timedelta(days=7)
BOUNDS = (10, 25, 50, 100, 200, 400, 800, 1500, 3000, 6000, 10_000)
"""Upper bounds of the histogram's classes, in milliseconds; a last one takes the rest."""


@dataclass(frozen=True)
class Figures:
    """Of a time. Latencies in milliseconds, interpolated within a class; None where there was no attempt."""

    attempts: int
    successes: int
    failures: dict[str, int]
    p50_ms: int | None
    p95_ms: int | None


def count(webhook_id: str, error_class: str | None, milliseconds: int, now: datetime) -> None:
    """Count one attempt; `error_class` is None for a success. A table that is away costs no delivery."""
    result = "successes" if error_class is None else f"failed_{error_class}"
    names = {"#a": "attempts", "#r": result, "#l": f"within_{_class_of(milliseconds)}"}
    try:
        connection().dispatch(
            "UpdateItem",
            {
                "TableName": table("webhooks"),
                "Key": {"pk": {"S": webhook_id}, "sk": {"S": _hour(now)}},
                "UpdateExpression": "ADD #a :one, #r :one, #l :one SET expires_at = :gone",
                "ExpressionAttributeNames": names,
                "ExpressionAttributeValues": {":one": {"N": "1"}, ":gone": {"N": str(epoch(now + KEPT))}},
            },
        )
    except (BotoCoreError, ClientError) as error:
        log.warning("webhook.attempt.not_counted", webhook_id=webhook_id, error=type(error).__name__)


def of_webhook(webhook_id: str, now: datetime) -> tuple[Figures, Figures]:
    """Of the last day and the last week, in whole hours and the present one: one query, 169 items at most."""
    answer = connection().dispatch(
        "Query",
        {
            "TableName": table("webhooks"),
            "KeyConditionExpression": "pk = :webhook AND sk BETWEEN :low AND :high",
            "ExpressionAttributeValues": {
                ":webhook": {"S": webhook_id},
                ":low": {"S": _hour(now - WEEK)},
                ":high": {"S": _hour(now)},
            },
        },
    )
    hours = [
        (item["sk"]["S"], {name: int(value["N"]) for name, value in item.items() if "N" in value})
        for item in answer["Items"]
    ]
    day = figures(counters for hour, counters in hours if hour >= _hour(now - DAY))
    return day, figures(counters for _, counters in hours)


def figures(hours: Iterable[Mapping[str, int]]) -> Figures:
    total: Counter[str] = Counter()
    for hour in hours:
        total.update(hour)
    histogram = [total[f"within_{n}"] for n in range(len(BOUNDS) + 1)]
    failures = {
        name.removeprefix("failed_"): number
        for name, number in sorted(total.items())
        if name.startswith("failed_")
    }
    return Figures(
        total["attempts"],
        total["successes"],
        failures,
        percentile(histogram, 0.5),
        percentile(histogram, 0.95),
    )


def percentile(histogram: list[int], share: float) -> int | None:
    """The latency that this share of attempts does not exceed; within a class, as if spread evenly."""
    attempts = sum(histogram)
    if not attempts:
        return None
    wanted, seen = share * attempts, 0
    for n, number in enumerate(histogram):
        if number and seen + number >= wanted:
            low = BOUNDS[n - 1] if n else 0
            high = BOUNDS[n] if n < len(BOUNDS) else low
            return round(low + (high - low) * (wanted - seen) / number)
        seen += number
    raise AssertionError("a share is at most 1")


def _class_of(milliseconds: int) -> int:
    return next((n for n, bound in enumerate(BOUNDS) if milliseconds <= bound), len(BOUNDS))


def _hour(moment: datetime) -> str:
    return f"STATS#{moment:%Y-%m-%dT%H}"
