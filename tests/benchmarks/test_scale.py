"""Reads cost the same among few learners and many, and a place is that of a full sort."""

from collections.abc import Sequence

import pytest

from tests.benchmarks.memory import Usage
from tests.benchmarks.scale import SIZES, BoardCost, board_cost, read_costs


def is_flat(name: str, usages: Sequence[Usage]) -> None:
    """Not a call nor a row more for a learner's own numbers; for a board more counters, up to a bound."""
    fewest, most = usages[0], usages[-1]
    if "leaderboard" not in name:
        assert most.calls == fewest.calls, name
        assert most.bytes_read <= fewest.bytes_read + 64, name
        return
    assert sum(most.calls.values()) <= 32, name
    assert most.items_read <= 8 * (10 + 4) + 32 * (1 + 5 + 5) + 10, name
    assert most.bytes_read <= 400 * 1024, name


def is_cheap_and_exact(cost: BoardCost, looks: int) -> None:
    assert cost.exact == looks
    assert cost.items_written < 4.5
    assert cost.hottest < 0.05
    assert cost.root < 0.01
    assert cost.calls < 30


def test_reads_are_flat_from_a_hundred_to_two_thousand_learners() -> None:
    for name, usages in read_costs((100, 2_000), days=20).items():
        is_flat(name, usages)


def test_a_place_is_that_of_a_full_sort() -> None:
    is_cheap_and_exact(board_cost(2_000, updates=200, looks=20), 20)


@pytest.mark.proof
def test_reads_are_flat_to_a_hundred_thousand_learners() -> None:
    for name, usages in read_costs(SIZES).items():
        is_flat(name, usages)


@pytest.mark.proof
@pytest.mark.parametrize("learners", [10_000, 100_000, 1_000_000])
def test_a_place_is_that_of_a_full_sort_among_a_million(learners: int) -> None:
    is_cheap_and_exact(board_cost(learners, updates=4_000, looks=300), 300)
