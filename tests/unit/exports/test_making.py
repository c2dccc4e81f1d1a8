"""What a worker does with a job: which tries are its last, and what becomes of a claim that is lost."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from chalicelib.exports import making, models
from chalicelib.exports.making import BROKEN, TOO_LARGE, TRIES, OutOfTime
from chalicelib.exports.models import ClaimLost, JobItem, Place

PLACE = Place(institution_id="ins_1", export_id="exp_1")
MADE = making.Made("a.csv", 3, 100, "00", datetime(2026, 11, 25, tzinfo=UTC))


class Job:
    """A claimed job, and what was done with it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ends: list[Any] = []
        self._patch = monkeypatch.setattr
        self._patch(models, "release", lambda _: self.ends.append("released"))
        self._patch(making, "_complete", lambda _, made: self.ends.append(made))
        self._patch(making, "_fail", lambda _, error: self.ends.append(error))

    def make(self, *, tries: int, error: Exception | None = None) -> None:
        self._patch(models, "claim", lambda *_, **__: JobItem("ins_1", "exp_1", tries=tries))
        self._patch(making, "_write", self._writing(error))
        making.make(PLACE)

    @staticmethod
    def _writing(error: Exception | None) -> Callable[..., making.Made]:
        def write(*_: object) -> making.Made:
            if error is not None:
                raise error
            return MADE

        return write


@pytest.fixture
def job(monkeypatch: pytest.MonkeyPatch) -> Job:
    return Job(monkeypatch)


@pytest.mark.parametrize("tries", [1, TRIES])
def test_a_file_that_was_made_completes_its_job(job: Job, tries: int) -> None:
    job.make(tries=tries)
    assert job.ends == [MADE]


def test_a_job_that_is_not_ours_is_left_alone(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "claim", lambda *_, **__: None)
    making.make(PLACE)
    assert job.ends == []


@pytest.mark.parametrize("tries", range(1, TRIES))
def test_a_try_that_failed_gives_the_job_back_and_its_message_too(job: Job, tries: int) -> None:
    with pytest.raises(ConnectionError):
        job.make(tries=tries, error=ConnectionError())
    assert job.ends == ["released"]


def test_the_last_try_ends_the_job_and_the_message_with_it(job: Job) -> None:
    job.make(tries=TRIES, error=ConnectionError())
    assert job.ends == [BROKEN]


def test_a_job_whose_last_worker_died_is_not_begun_again(job: Job) -> None:
    job.make(tries=TRIES + 1)
    assert job.ends == [BROKEN]


def test_too_much_for_one_run_is_not_tried_again(job: Job) -> None:
    job.make(tries=1, error=OutOfTime())
    assert job.ends == [TOO_LARGE]


@pytest.mark.parametrize("tries", [1, TRIES])
def test_who_has_lost_the_claim_writes_nothing(job: Job, tries: int) -> None:
    job.make(tries=tries, error=ClaimLost())
    assert job.ends == []
