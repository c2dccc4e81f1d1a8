"""No event is lost and none invented, whatever fails: a thousand storms, each from a seed."""

import multiprocessing
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import pytest

from infra.local.cloud import REPOSITORY
from tests.simulation.storm import LONG, Report, run

AGAIN = ".venv/bin/python -m tests.simulation {} shows it call by call"


def failures(reports: Iterable[Report], how: str) -> list[str]:
    return [
        f"{AGAIN.format(f'{report.seed} {how}')}: {report.faults[0]}" for report in reports if report.faults
    ]


def told(reports: Iterable[Report]) -> str:
    """What all these runs were, in a few lines."""
    total: Counter[str] = Counter()
    for report in reports:
        total.update(report.counts)
    names = (
        "events", "deliveries", "attempts", "AWS calls", "steps", "deaths", "failed calls", "lost answers",
        "repeated calls", "messages sent twice", "messages received again", "lost messages",
        "dead letters moved back", "requests", "requests repeated", "requests never recorded",
        "sent after a lease was lost", "taken more than once",
    )  # fmt: skip
    return ", ".join(f"{total[name]:,} {name}" for name in names)


def test_a_few_storms() -> None:
    reports = [run(seed, 60) for seed in range(1, 4)]
    assert failures(reports, "60") == []
    total = sum((report.counts for report in reports), Counter[str]())
    assert (
        min(total[what] for what in ("deaths", "lost answers", "requests repeated", "attempts resumed")) > 0
    )


def test_six_days_of_a_receiver_that_only_fails() -> None:
    report = run(3, 30, LONG)
    assert failures([report], f"30 {LONG:.0f}") == []
    assert report.counts["deliveries failed exhausted"] > 0


def test_a_seed_is_the_same_run_again() -> None:
    """In another process too, whose sets have another order."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.simulation", "7", "10"],
        env=os.environ | {"PYTHONHASHSEED": "1"}, cwd=REPOSITORY, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    assert done.stdout.splitlines()[-1] == f"{run(7, 10).digest:08x}"


@pytest.mark.proof
@pytest.mark.parametrize(
    ("seeds", "events", "minutes"),
    [(range(1000), 60, None), (range(1000, 1020), 1000, None), (range(2000, 2050), 100, LONG)],
    ids=["a thousand seeds", "a thousand events each", "six days each"],
)
def test_storms(seeds: range, events: int, minutes: float | None, capsys: pytest.CaptureFixture[str]) -> None:
    with ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn")) as pool:
        reports = list(pool.map(partial(run, events=events, minutes=minutes), seeds, chunksize=5))
    with capsys.disabled():
        print(f"\n{len(reports)} seeds: {told(reports)}")  # noqa: T201
    assert failures(reports, f"{events} {minutes or ''}") == []
