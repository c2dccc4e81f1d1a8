"""One file: claim its job, stream its rows to S3, record what came of it.

A job that fails is tried again from the beginning, and for good after five tries. A try that lost
its claim (its lease ran out while it worked) leaves nothing behind: it writes to a key of its own,
and only the job's record says which key is the file.
"""

import itertools
import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pynamodb.expressions.update import Action

from chalicelib.core import clock, outbox
from chalicelib.core.clock import instant
from chalicelib.core.events import EventData, new_event
from chalicelib.core.logs import log
from chalicelib.core.store import RawItem, Transaction
from chalicelib.exports import csv_file, models, service
from chalicelib.exports.events import ExportCompleted, ExportFailed
from chalicelib.exports.files import Upload
from chalicelib.exports.kinds import KINDS, Kind, Partitions, Selection, items_of
from chalicelib.exports.models import ClaimLost, JobItem, Place

TRIES = 5
LEASE = timedelta(seconds=330)
"""Longer than the function may run."""
RUN_SECONDS = 270.0
"""Shorter than the function may run, so that an end can be put to it in good order."""
PROGRESS_SECONDS = 2.0
ROWS_AT_ONCE = 500

BROKEN = "Something failed on our side, several times in a row. Request the export again; if it fails again, \
tell support its id."
TOO_LARGE = "There is more to export than can be written in one go. Ask for less time, or for one course."


class OutOfTime(Exception):
    """More rows than one run can write."""


@dataclass(frozen=True)
class Made:
    """A file that was written."""

    key: str
    rows: int
    size_bytes: int
    sha256: str
    begun_at: datetime


def make(place: Place) -> None:
    """Make the file of one job, unless somebody else does. Safe to repeat."""
    now = clock.now()
    job = models.claim(place, secrets.token_hex(8), now=now, lease=LEASE, cut_off=service.cut_off(now))
    if job is None:
        log.info("export.not_claimed", institution_id=place.institution_id, export_id=place.export_id)
        return
    try:
        _try(job, now)
    except ClaimLost:
        log.warning("export.claim_lost", institution_id=job.pk, export_id=job.sk)


def _try(job: JobItem, now: datetime) -> None:
    """Raises `ClaimLost`, or whatever made the try fail where another one follows."""
    if job.tries > TRIES:  # the last one died without a word
        _fail(job, BROKEN)
        return
    try:
        _complete(job, _write(job, now))
    except ClaimLost:
        raise
    except OutOfTime:
        _fail(job, TOO_LARGE)
    except Exception:
        if job.tries < TRIES:
            models.release(job)
            raise
        log.exception("export.last_try_failed", institution_id=job.pk, export_id=job.sk)
        _fail(job, BROKEN)


def _write(job: JobItem, now: datetime) -> Made:
    kind, selection = KINDS[service.type_of(job)], _selection(job)
    steps = kind.steps(selection)
    progress = _Progress(job, len(steps))
    key = f"{job.pk}/{job.sk}/{job.tries}.csv"
    with Upload(key) as upload:
        upload.add(csv_file.beginning(kind.columns, job.delimiter, bom=bool(job.bom)))
        for number, partitions in enumerate(steps):
            for batch in _batches(kind, selection, partitions):
                upload.add(csv_file.lines([kind.row(item) for item in batch], job.delimiter))
                progress.reached(number, rows=len(batch))
            progress.reached(number + 1)
        upload.finish()
    return Made(key, progress.rows, upload.size_bytes, upload.sha256, now)


def _batches(kind: Kind, selection: Selection, partitions: Partitions) -> Iterator[list[RawItem]]:
    items = filter(kind.wanted(selection), items_of(kind, selection, partitions))
    while batch := list(itertools.islice(items, ROWS_AT_ONCE)):
        yield batch


class _Progress:
    """Counts, and tells every other second: also how a worker learns that its claim is lost."""

    def __init__(self, job: JobItem, steps: int) -> None:
        self.rows = 0
        self._job, self._steps = job, steps
        self._began = self._told = time.monotonic()

    def reached(self, step: int, *, rows: int = 0) -> None:
        """Raises `ClaimLost`, and `OutOfTime` where this run must come to an end."""
        self.rows += rows
        now = time.monotonic()
        if now - self._began > RUN_SECONDS:
            raise OutOfTime
        if now - self._told > PROGRESS_SECONDS:
            self._told = now
            models.tell_progress(self._job, self.rows, min(99, 100 * step // self._steps))


def _selection(job: JobItem) -> Selection:
    cut_off = datetime.fromisoformat(job.cut_off_at)
    to_at = cut_off if job.to_at is None else datetime.fromisoformat(job.to_at)
    return Selection(
        institution_id=job.pk,
        from_at=None if job.from_at is None else datetime.fromisoformat(job.from_at),
        until=min(to_at, cut_off),
        course_id=job.course_id,
    )


def _complete(job: JobItem, made: Made) -> None:
    now = clock.now()
    facts = [
        JobItem.rows.set(made.rows),
        JobItem.percent.set(100),
        JobItem.file_key.set(made.key),
        JobItem.size_bytes.set(made.size_bytes),
        JobItem.sha256.set(made.sha256),
        JobItem.file_expires_at.set(instant(made.begun_at + service.FILE_LIVES)),
    ]
    told = ExportCompleted(
        export_id=job.sk,
        type=service.type_of(job),
        rows=made.rows,
        size_bytes=made.size_bytes,
        download_path=service.download_path(job.sk),
    )
    _finish(job, "completed", now, facts, told)
    log.info(
        "export.completed",
        institution_id=job.pk,
        export_id=job.sk,
        export_type=job.type,
        rows=made.rows,
        size_bytes=made.size_bytes,
        sha256=made.sha256,
        tries=int(job.tries),
        duration_ms=round((now - made.begun_at).total_seconds() * 1000),
        request_id=job.request_id,
    )


def _fail(job: JobItem, error: str) -> None:
    told = ExportFailed(export_id=job.sk, type=service.type_of(job), error=error)
    _finish(job, "failed", clock.now(), [JobItem.error.set(error)], told)
    log.error(
        "export.failed",
        institution_id=job.pk,
        export_id=job.sk,
        export_type=job.type,
        error=error,
        tries=int(job.tries),
        request_id=job.request_id,
    )


def _finish(job: JobItem, status: str, now: datetime, facts: Sequence[Action], told: EventData) -> None:
    """The job's end and the event that tells it, together. Raises `ClaimLost`."""
    transaction = Transaction()
    models.finish(transaction, job, status, now, facts)
    event = new_event(told, institution_id=job.pk, now=now, request_id=job.request_id)
    outbox.add(transaction, event)
    transaction.commit()
