"""What a worker does with a job: which tries are its last, and what becomes of a claim that is lost."""

from collections.abc import Callable
from typing import Any

import pytest

from chalicelib.core import storage
from chalicelib.exports import files, making, models, service
from chalicelib.exports.making import BROKEN, TRIES, OutOfTime, TooManyRows
from chalicelib.exports.models import ClaimLost, JobItem, Place

PLACE = Place(institution_id="ins_1", export_id="exp_1")
MADE = making.Made("a.csv", 3, 100, "00")


class Job:
    """A claimed job, and what was done with it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ends: list[Any] = []
        self._patch = monkeypatch.setattr
        self._patch(models, "release", lambda _: self.ends.append("released"))
        self._patch(models, "start_over", lambda _: self.ends.append("started over"))
        self._patch(models, "job_of", lambda *_: JobItem("ins_1", "exp_1", status="running"))
        self._patch(service, "wake", lambda _: self.ends.append("woken"))
        self._patch(making, "_complete", lambda _, made, __: self.ends.append(made))
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


def test_what_is_not_done_in_time_is_gone_on_with_at_once(job: Job) -> None:
    job.make(tries=1, error=OutOfTime())
    assert job.ends == ["released", "woken"]


def test_more_rows_than_the_plan_allows_are_not_tried_again(job: Job) -> None:
    job.make(tries=1, error=TooManyRows())
    assert job.ends == [making.TOO_MANY.format("100,000")]


def test_a_file_that_was_completed_by_one_who_then_died_is_made_anew(job: Job) -> None:
    with pytest.raises(files.UploadGone):
        job.make(tries=1, error=files.UploadGone())
    assert job.ends == ["started over", "released"]


@pytest.mark.parametrize("tries", [1, TRIES])
def test_who_has_lost_the_claim_writes_nothing(job: Job, tries: int) -> None:
    job.make(tries=tries, error=ClaimLost())
    assert job.ends == []


def test_who_was_cancelled_removes_what_s3_has(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "job_of", lambda *_: JobItem("ins_1", "exp_1", status="cancelled"))
    monkeypatch.setattr(files, "abandon", lambda key, _: job.ends.append(key))
    monkeypatch.setattr(storage, "remove", lambda *keys: job.ends.append(keys))
    job.make(tries=1, error=ClaimLost())
    assert job.ends == ["ins_1/exp_1.csv", ("ins_1/exp_1.csv", "ins_1/exp_1.manifest.json")]
