"""`make bench` still runs, and what it compares still does the same: each part raises where it does not."""

from tests.benchmarks import export, warm


def test_the_frameworks_answer_alike() -> None:
    assert len(warm.run(rounds=1, times=1).splitlines()) == 2 + 4


def test_an_export_writes_every_row() -> None:
    assert len(export.measured(export.SIZES[0], "with botocore")) == 3
