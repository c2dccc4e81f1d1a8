"""Figures from counters."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.webhooks.statistics import BOUNDS, figures, percentile

CLASSES = len(BOUNDS) + 1


def histogram(**counts: int) -> list[int]:
    found = [0] * CLASSES
    for name, number in counts.items():
        found[int(name[1:])] = number
    return found


@pytest.mark.parametrize(
    ("counts", "share", "wanted"),
    [
        ({}, 0.5, None),
        ({"n0": 10}, 0.5, 5),
        ({"n0": 50, "n4": 50}, 0.5, 10),
        ({"n3": 95, "n8": 5}, 0.95, 100),
        ({"n3": 90, "n8": 10}, 0.95, 2250),
        ({"n11": 1}, 0.95, 10_000),
    ],
)
def test_a_percentile_lies_where_its_class_is(
    counts: dict[str, int], share: float, wanted: int | None
) -> None:
    assert percentile(histogram(**counts), share) == wanted


@given(st.lists(st.integers(0, 50), min_size=CLASSES, max_size=CLASSES))
def test_percentiles_are_in_order(counts: list[int]) -> None:
    low, high = percentile(counts, 0.5), percentile(counts, 0.95)
    assert (low is None) == (high is None) == (not sum(counts))
    if low is not None and high is not None:
        assert 0 <= low <= high <= BOUNDS[-1]


def test_hours_add_up() -> None:
    hours = [
        {"attempts": 3, "successes": 2, "failed_timeout": 1, "within_0": 3, "expires_at": 9},
        {"attempts": 2, "failed_timeout": 1, "failed_http_5xx": 1, "within_0": 2},
    ]
    found = figures(hours)
    assert (found.attempts, found.successes) == (5, 2)
    assert found.failures == {"http_5xx": 1, "timeout": 2}
