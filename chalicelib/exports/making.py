"""One file: claim its job, stream its rows to S3, record what came of it.

S3 gets the file in parts, and after each the job notes up to where it has the rows. So a job that outlives
a run, or whose worker dies, goes on from there in the next run: byte for byte the same for what is only
ever appended, and no row lost or doubled for the rest. A job that fails is tried again, and for good after
five tries that got no further.
"""

import itertools
import json
import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from pynamodb.expressions.update import Action

from chalicelib.core import clock, csv_file, outbox, storage
from chalicelib.core.clock import instant
from chalicelib.core.errors import NotFound
from chalicelib.core.events import EventData, new_event
from chalicelib.core.logs import log
from chalicelib.core.settings import settings
from chalicelib.core.store import RawItem, Transaction
from chalicelib.exports import files, models, service
from chalicelib.exports.events import ExportCompleted, ExportFailed
from chalicelib.exports.files import Upload
from chalicelib.exports.kinds import KINDS, Kind, Partitions, Row, Selection, chosen, in_zone, items_of
from chalicelib.exports.models import ClaimLost, JobItem, Place

TRIES = 5
LEASE = timedelta(seconds=330)
"""Longer than the function may run, so that two never write to one upload."""
PROGRESS_SECONDS = 2.0
ROWS_AT_ONCE = 500

BROKEN = "Something failed on our side, several times in a row. Request the export again; if it fails again, \
tell support its id."
TOO_MANY = "There are more rows than the {} of your plan. Ask for less time, one course, or fewer members."


class OutOfTime(Exception):
    """This run comes to its end, the file does not yet."""


class TooManyRows(Exception):
    """More than the plan allows."""


@dataclass(frozen=True)
class Made:
    """A file that was written."""

    key: str
    rows: int
    size_bytes: int
    sha256: str


def make(place: Place) -> None:
    """Go on with the file of one job, unless somebody else does. Safe to repeat."""
    now = clock.now()
    job = models.claim(place, secrets.token_hex(8), now=now, lease=LEASE, cut_off=service.cut_off(now))
    if job is None:
        log.info("export.not_claimed", institution_id=place.institution_id, export_id=place.export_id)
        return
    try:
        _try(job, now)
    except ClaimLost:
        log.warning("export.claim_lost", institution_id=job.pk, export_id=job.sk)
        _clear_up(job, now)


def _try(job: JobItem, now: datetime) -> None:
    """Raises `ClaimLost`, or whatever made the try fail where another one follows."""
    if job.tries > TRIES:  # the last one died without a word
        _fail(job, BROKEN)
        return
    try:
        _complete(job, _write(job), now)
    except ClaimLost:
        raise
    except OutOfTime:
        models.release(job)
        service.wake([Place(institution_id=job.pk, export_id=job.sk)])
    except files.UploadGone:  # it was completed by a worker that then died, or is too old
        models.start_over(job)
        models.release(job)
        raise
    except TooManyRows:
        _fail(job, TOO_MANY.format(f"{int(job.rows_at_most):,}"))
    except Exception:
        if job.tries < TRIES:
            models.release(job)
            raise
        log.exception("export.last_try_failed", institution_id=job.pk, export_id=job.sk)
        _fail(job, BROKEN)


def _clear_up(job: JobItem, now: datetime) -> None:
    """Where the job was cancelled or removed, nobody else will remove what S3 has of it."""
    try:
        present = models.job_of(job.pk, job.sk, now)
    except NotFound:
        present = None
    if present is None or present.status == "cancelled":
        files.abandon(service.file_key(job), job.sent)
        storage.remove(service.file_key(job), service.manifest_key(job))


def _write(job: JobItem) -> Made:
    kind, selection = KINDS[service.type_of(job)], _selection(job)
    steps = kind.steps(selection)
    columns = list(job.columns) or list(kind.columns)
    upload = Upload(service.file_key(job), compressed=bool(job.gzip), sent=job.sent)
    progress = _Progress(job, len(steps))
    shown, picked = in_zone(kind, ZoneInfo(job.time_zone)), chosen(kind, columns)
    if job.sent is None:
        upload.add(csv_file.beginning(columns, job.delimiter, bom=bool(job.bom)))
    for number in range(int(job.step), len(steps)):
        after = job.after if number == int(job.step) else None
        for last, rows in _batches(kind, selection, steps[number], after):
            part_ended = upload.add(csv_file.lines([picked(shown(row)) for row in rows], job.delimiter))
            progress.add(len(rows))
            if part_ended and upload.sent is not None:
                models.checkpoint(job, number, last, progress.rows, upload.sent)
            progress.tell(number)
        progress.tell(number + 1)
    size_bytes, sha256 = upload.finish()
    return Made(service.file_key(job), progress.rows, size_bytes, sha256)


def _batches(
    kind: Kind, selection: Selection, partitions: Partitions, after: str | None
) -> Iterator[tuple[str, list[Row]]]:
    """Rows in hundreds, each time with the sort key of the last item that they are of."""
    wanted = kind.wanted(selection)
    items = (pair for pair in items_of(kind, selection, partitions, after) if wanted(pair[1]))
    while batch := list(itertools.islice(items, ROWS_AT_ONCE)):
        yield batch[-1][0], _rows(kind, selection, [item for _, item in batch])


def _rows(kind: Kind, selection: Selection, items: Sequence[RawItem]) -> list[Row]:
    return [row for item in items for row in kind.rows(item, selection)]


class _Progress:
    """Counts, and tells every other second: also how a worker learns that its claim is lost."""

    def __init__(self, job: JobItem, steps: int) -> None:
        self.rows = int(job.sent_rows)
        self._job, self._steps = job, steps
        self._began = self._told = time.monotonic()

    def add(self, rows: int) -> None:
        """Raises `TooManyRows`."""
        self.rows += rows
        if self.rows > int(self._job.rows_at_most):
            raise TooManyRows

    def tell(self, step: int) -> None:
        """Raises `ClaimLost`, and `OutOfTime` where this run must come to an end."""
        now = time.monotonic()
        if now - self._told > PROGRESS_SECONDS:
            self._told = now
            models.tell_progress(self._job, self.rows, min(99, 100 * step // max(1, self._steps)))
        if now - self._began > settings().export_run_seconds:
            raise OutOfTime


def _selection(job: JobItem) -> Selection:
    cut_off = datetime.fromisoformat(job.cut_off_at)
    to_at = cut_off if job.to_at is None else datetime.fromisoformat(job.to_at)
    return Selection(
        institution_id=job.pk,
        from_at=None if job.from_at is None else datetime.fromisoformat(job.from_at),
        until=min(to_at, cut_off),
        course_id=job.course_id,
        learner_ids=frozenset(job.learner_ids),
    )


def _complete(job: JobItem, made: Made, begun_at: datetime) -> None:
    now = clock.now()
    job.rows, job.size_bytes, job.sha256, job.file_key = made.rows, made.size_bytes, made.sha256, made.key
    manifest = json.dumps(service.manifest(job), indent=2).encode()
    storage.put(service.manifest_key(job), manifest, "application/json")
    facts = [
        JobItem.rows.set(made.rows),
        JobItem.percent.set(100),
        JobItem.file_key.set(made.key),
        JobItem.size_bytes.set(made.size_bytes),
        JobItem.sha256.set(made.sha256),
        JobItem.file_expires_at.set(instant(datetime.fromisoformat(job.created_at) + storage.FILE_LIVES)),
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
        duration_ms=round((now - begun_at).total_seconds() * 1000),
        request_id=job.request_id,
    )


def _fail(job: JobItem, error: str) -> None:
    files.abandon(service.file_key(job), job.sent)
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
