"""Exports: asked for, woken, downloaded."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import get_args

from chalicelib.core import queues
from chalicelib.core.clock import epoch, instant
from chalicelib.core.errors import Conflict, DomainError, Invalid, NotFound
from chalicelib.core.ids import new_id
from chalicelib.core.logs import log
from chalicelib.core.settings import settings
from chalicelib.core.store import Transaction
from chalicelib.core.tokens import Principal
from chalicelib.exports import files, models
from chalicelib.exports.kinds import ExportType
from chalicelib.exports.models import JobItem, Place

EXPORTS_QUEUE = "exports"
DEFAULT_SPAN = timedelta(days=30)
LONGEST_SPAN = timedelta(days=366)
EARLIEST = datetime(2020, 1, 1, tzinfo=UTC)
"""Nothing was recorded before."""
FILE_LIVES = timedelta(days=7)
"""The lifecycle of the bucket counts the same, from the day on which the file was begun."""
PATIENCE = timedelta(minutes=1)
"""How long a new job's queue message is waited for before it counts as lost."""
ASKED_AFTER = timedelta(minutes=6)
"""How often an unfinished job is woken again: longer than a claim lasts."""


class FileExpired(NotFound):
    """The job is there, its file is not any more."""

    def __init__(self) -> None:
        DomainError.__init__(self, "The file of this export has expired; request the export again.")


@dataclass(frozen=True)
class Wish:
    """An export as it was asked for."""

    type: ExportType
    from_at: datetime | None
    to_at: datetime | None
    course_id: str | None
    delimiter: str
    bom: bool


def request(
    transaction: Transaction, caller: Principal, wish: Wish, *, request_id: str, now: datetime
) -> JobItem:
    """A new job, queued once the transaction is committed.

    Raises `Invalid` naming what is wrong; `Conflict` at the commit where too many are unfinished. A course
    is not looked up: what was learned in one that has been withdrawn can be exported still.
    """
    from_at, to_at = checked_span(wish, now)
    job = JobItem(
        caller.institution_id,
        new_id("exp", now),
        type=wish.type,
        status="queued",
        from_at=None if from_at is None else instant(from_at),
        to_at=None if to_at is None else instant(to_at),
        course_id=wish.course_id,
        delimiter=wish.delimiter,
        bom=wish.bom,
        requested_by=caller.member_id,
        request_id=request_id,
        created_at=instant(now),
        expires_at=epoch(now + models.KEPT),
    )
    models.add_job(transaction, job, now + PATIENCE)
    transaction.after(lambda: _requested(job, caller))
    return job


def checked_span(wish: Wish, now: datetime) -> tuple[datetime | None, datetime | None]:
    """From when until when rows are asked for, defaults filled in. Raises `Invalid`."""
    given = {"filters.from": wish.from_at, "filters.to": wish.to_at}
    if wish.type != "activity":
        wrong = {name: ["applies to activity only"] for name, value in given.items() if value is not None}
        if wrong:
            raise Invalid(wrong)
        return None, None
    early = {
        name: [f"is before {EARLIEST:%Y-%m-%d}, when nothing was recorded yet"]
        for name, value in given.items()
        if value is not None and value < EARLIEST
    }
    if early:
        raise Invalid(early)
    to_at = wish.to_at or now
    from_at = wish.from_at or to_at - DEFAULT_SPAN
    if from_at >= now:
        raise Invalid({"filters.from": ["is in the future"]})
    if from_at >= to_at:
        raise Invalid({"filters.to": ["must be later than filters.from"]})
    if to_at - from_at > LONGEST_SPAN:
        raise Invalid({"filters.to": [f"is more than {LONGEST_SPAN.days} days after filters.from"]})
    return from_at, to_at


def _requested(job: JobItem, caller: Principal) -> None:
    log.info(
        "export.requested",
        institution_id=job.pk,
        export_id=job.sk,
        export_type=job.type,
        token_id=caller.token_id,
        member_id=caller.member_id,
        request_id=job.request_id,
    )
    wake([Place(institution_id=job.pk, export_id=job.sk)])


def wake(places: Sequence[Place]) -> list[bool]:
    """Ask for these jobs to be made. A lost message is made good by the sweeper."""
    return queues.send(EXPORTS_QUEUE, [queues.Outgoing(place, place.institution_id) for place in places])


def sweep(now: datetime) -> int:
    """Wake what is overdue: its message was lost, or whoever had it died. How many."""
    overdue = list(models.overdue(now))
    taken = wake([Place(institution_id=due.institution_id, export_id=due.sk) for due in overdue])
    for due, was_taken in zip(overdue, taken, strict=True):
        if was_taken:
            models.postpone(due, now + ASKED_AFTER)
    return sum(taken)


def cut_off(now: datetime) -> datetime:
    """Until when an index is complete, as it follows its table with a lag."""
    return now - timedelta(seconds=settings().export_cut_off_seconds)


def is_downloadable(job: JobItem, now: datetime) -> bool:
    """Whether the file is there: the job is completed, and less than seven days ago."""
    return job.status == "completed" and not _has_expired(job, now)


def _has_expired(job: JobItem, now: datetime) -> bool:
    return job.file_expires_at is None or job.file_expires_at <= instant(now)


def link(institution_id: str, export_id: str, now: datetime) -> tuple[str, datetime]:
    """A link to the file, and until when it works.

    Raises `NotFound`, `FileExpired`; `Conflict` while there is no file yet, or where there never will be.
    """
    job = models.job_of(institution_id, export_id, now)
    if job.status in models.UNFINISHED:
        raise Conflict(f"This export is not completed yet: it is {job.status}.", retry_after=5)
    if job.status != "completed" or job.file_key is None:
        raise Conflict(f"This export has no file: it is {job.status}.")
    if _has_expired(job, now):
        raise FileExpired
    return files.link(job.file_key, file_name(job)), now + files.LINK_LIVES


def file_name(job: JobItem) -> str:
    """`talktiko-activity-2026-11-25-exp_….csv`, with the day on which it was asked for."""
    return f"talktiko-{job.type.replace('_', '-')}-{job.created_at[:10]}-{job.sk}.csv"


def download_path(export_id: str) -> str:
    return f"/api/integrations/exports/{export_id}/download"


def type_of(job: JobItem) -> ExportType:
    for known in get_args(ExportType):
        if known == job.type:
            found: ExportType = known
            return found
    raise LookupError(job.type)
