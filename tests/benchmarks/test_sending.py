"""The benchmark of sending still runs, and tells what a dead endpoint takes from the others."""

import pytest

from tests.benchmarks import sending


def measured(endpoints: int, dead: int, deliveries: int) -> list[sending.Found]:
    with sending.receivers() as url:
        return [sending.measured(way, url, endpoints, dead, deliveries) for way in sending.WAYS]


def test_everything_arrives() -> None:
    ours, theirs = measured(4, 0, 20)
    assert ours["calls"] > theirs["calls"] == 0
    assert ours["wasted"] == theirs["wasted"] == 0


@pytest.mark.proof
def test_a_dead_endpoint_is_soon_left_alone() -> None:
    ours, theirs = measured(5, 1, 200)
    assert theirs["wasted"] == 200 / 5
    assert 5 <= ours["wasted"] < theirs["wasted"] / 2
