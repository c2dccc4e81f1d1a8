"""Exports: asked for, woken, downloaded."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import get_args
from zoneinfo import available_timezones

from chalicelib.core import audit, queues, storage, waking
from chalicelib.core.clock import epoch, instant, shown
from chalicelib.core.errors import Conflict, DomainError, Invalid, NotFound
from chalicelib.core.ids import new_id
from chalicelib.core.settings import settings
from chalicelib.core.store import Transaction
from chalicelib.core.tokens import Principal
from chalicelib.exports import files, models
from chalicelib.exports.kinds import KINDS, SCHEMA_VERSION, ExportType
from chalicelib.exports.models import JobItem, Place
from chalicelib.institutions import service as institutions

EXPORTS_QUEUE = "exports"
DEFAULT_SPAN = timedelta(days=30)
LONGEST_SPAN = timedelta(days=366)
EARLIEST = datetime(2020, 1, 1, tzinfo=UTC)
"""Nothing was recorded before."""
LIMITS = {"free": (2, 100_000), "pro": (5, 2_000_000), "enterprise": (20, 20_000_000)}
"""By plan: how many exports may be unfinished, and how many rows a file may have."""
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
    """An export as it was asked for. `since`: go on where an earlier one ended."""

    type: ExportType
    from_at: datetime | None = None
    to_at: datetime | None = None
    since: datetime | None = None
    course_id: str | None = None
    learner_ids: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    delimiter: str = ","
    bom: bool = True
    gzip: bool = False
    time_zone: str = "UTC"


def request(
    transaction: Transaction, caller: Principal, wish: Wish, *, request_id: str, now: datetime
) -> JobItem:
    """A new job, queued once the transaction is committed.

    Raises `Invalid` naming what is wrong; `Conflict` at the commit where too many are unfinished. A course
    is not looked up: what was learned in one that has been withdrawn can be exported still.
    """
    from_at, to_at = checked_span(wish, now)
    _check_selection(wish)
    unfinished_at_most, rows_at_most = LIMITS[institutions.plan_of(caller.institution_id)]
    job = JobItem(
        caller.institution_id,
        new_id("exp", now),
        type=wish.type,
        status="queued",
        from_at=None if from_at is None else instant(from_at),
        to_at=None if to_at is None else instant(to_at),
        since=wish.since is not None,
        course_id=wish.course_id,
        learner_ids=list(wish.learner_ids),
        columns=list(wish.columns),
        delimiter=wish.delimiter,
        bom=wish.bom,
        gzip=wish.gzip,
        time_zone=wish.time_zone,
        rows_at_most=rows_at_most,
        requested_by=caller.member_id,
        request_id=request_id,
        created_at=instant(now),
        expires_at=epoch(now + models.KEPT),
    )
    models.add_job(transaction, job, now + PATIENCE, unfinished_at_most=unfinished_at_most)
    audit.note(transaction, "export.requested", caller, request_id, export_id=job.sk, export_type=job.type)
    transaction.after(lambda: wake([Place(institution_id=job.pk, export_id=job.sk)]))
    return job


def checked_span(wish: Wish, now: datetime) -> tuple[datetime | None, datetime | None]:
    """From when until when rows are asked for, defaults filled in. Raises `Invalid`."""
    given = {"filters.from": wish.from_at, "filters.to": wish.to_at, "filters.since": wish.since}
    if not KINDS[wish.type].append_only:
        wrong = {
            name: [f"does not apply to {wish.type}, which shows the present state"]
            for name, value in given.items()
            if value is not None
        }
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
    if wish.since is not None:
        return _checked_since(wish, wish.since, now)
    to_at = wish.to_at or now
    from_at = wish.from_at or to_at - DEFAULT_SPAN
    if from_at >= now:
        raise Invalid({"filters.from": ["is in the future"]})
    if from_at >= to_at:
        raise Invalid({"filters.to": ["must be later than filters.from"]})
    if to_at - from_at > LONGEST_SPAN:
        raise Invalid({"filters.to": [f"is more than {LONGEST_SPAN.days} days after filters.from"]})
    return from_at, to_at


def _checked_since(wish: Wish, since: datetime, now: datetime) -> tuple[datetime, datetime]:
    if wish.from_at or wish.to_at:
        raise Invalid({"filters.since": ["goes without from and to: it goes on until now"]})
    if since > now:
        raise Invalid({"filters.since": ["is in the future"]})
    if now - since > LONGEST_SPAN:
        raise Invalid({"filters.since": [f"is more than {LONGEST_SPAN.days} days ago"]})
    return since, now


def _check_selection(wish: Wish) -> None:
    """Raises `Invalid` for what does not go with the type."""
    kind = KINDS[wish.type]
    faults: dict[str, list[str]] = {}
    if wish.course_id is not None and not kind.takes_course:
        faults["filters.course_id"] = [f"does not apply to {wish.type}"]
    if wish.learner_ids and not kind.takes_learners:
        faults["filters.learner_ids"] = [f"does not apply to {wish.type}"]
    if unknown := [name for name in wish.columns if name not in kind.columns]:
        faults["format.columns"] = [f"{wish.type} has no column {unknown[0]}"]
    elif len(set(wish.columns)) < len(wish.columns):
        faults["format.columns"] = ["a column stands there twice"]
    if wish.time_zone not in available_timezones():
        faults["format.time_zone"] = ["is not an IANA time zone"]
    if faults:
        raise Invalid(faults)


def wake(places: Sequence[Place]) -> list[bool]:
    """Ask for these jobs to be made. A lost message is made good by the sweeper."""
    return queues.send(EXPORTS_QUEUE, [queues.Outgoing(place, place.institution_id) for place in places])


def sweep(now: datetime) -> int:
    """Wake what is overdue. How many."""
    return waking.sweep(models.DueItem, _wake_due, now, again=now + ASKED_AFTER)


def _wake_due(overdue: Sequence[waking.DueJob]) -> list[bool]:
    return wake([Place(institution_id=due.institution_id, export_id=due.sk) for due in overdue])


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
    media_type = files.GZIP if job.gzip else files.CSV
    return storage.link(job.file_key, file_name(job), media_type), now + storage.LINK_LIVES


def remove(
    transaction: Transaction, caller: Principal, export_id: str, *, request_id: str, now: datetime
) -> None:
    """Cancel an unfinished export; forget a finished one, its file first. Raises `NotFound`, `Conflict`."""
    job = models.job_of(caller.institution_id, export_id, now)
    unfinished = job.status in models.UNFINISHED
    if unfinished:
        models.cancel(transaction, job, now)
        transaction.after(lambda: files.abandon(file_key(job), job.sent))
    else:
        storage.remove(file_key(job), manifest_key(job))
        models.remove(transaction, job)
    audit.note(
        transaction,
        "export.cancelled" if unfinished else "export.removed",
        caller,
        request_id,
        export_id=job.sk,
        export_type=job.type,
    )


def erase(institution_id: str, learner_id: str, now: datetime) -> None:
    """Remove the files that may show a learner whose learning is erased; make those under way anew.

    Safe to repeat. A file that is made anew begins once the index has followed the table.
    """
    for job in models.jobs_since(institution_id, now - storage.FILE_LIVES):
        if not KINDS[type_of(job)].takes_learners or (job.learner_ids and learner_id not in job.learner_ids):
            continue
        if job.status in models.UNFINISHED and job.started_at is not None:
            try:
                models.begin_anew(job, now + PATIENCE)
                files.abandon(file_key(job), job.sent)
            except models.ClaimLost:
                job.status = "completed"
        if job.status == "completed":
            storage.remove(file_key(job), manifest_key(job))
            models.expire_file(job, now)


def manifest(job: JobItem) -> dict[str, object]:
    """What a file is: stands beside it in the bucket, and in the API."""
    kind = KINDS[type_of(job)]
    return {
        "export_id": job.sk,
        "type": job.type,
        "schema_version": SCHEMA_VERSION,
        "columns": list(job.columns) or list(kind.columns),
        "mode": "incremental" if job.since else "full",
        "filters": {
            "from": shown(job.from_at),
            "to": next_since(job),
            "course_id": job.course_id,
            "learner_ids": list(job.learner_ids) or None,
        },
        "format": {
            "delimiter": job.delimiter,
            "bom": bool(job.bom),
            "gzip": bool(job.gzip),
            "time_zone": job.time_zone,
        },
        "cut_off_at": shown(job.cut_off_at),
        "next_since": next_since(job),
        "rows": int(job.rows),
        "size_bytes": int(job.size_bytes),
        "sha256": job.sha256,
        "file_name": file_name(job),
    }


def next_since(job: JobItem) -> str | None:
    """Until when a file of what was recorded is complete: where the next one goes on."""
    if not KINDS[type_of(job)].append_only or job.cut_off_at is None:
        return None
    return shown(min(str(job.to_at), str(job.cut_off_at)))


def completed(institution_id: str, export_id: str, now: datetime) -> JobItem:
    """A job with a file, expired or not. Raises `NotFound`, `Conflict`."""
    job = models.job_of(institution_id, export_id, now)
    if job.status != "completed":
        raise Conflict(f"This export has no file: it is {job.status}.")
    return job


def finishes_at(job: JobItem, now: datetime) -> datetime | None:
    """About when a running job will be done, if it goes on as it began."""
    if job.status != "running" or job.started_at is None or not int(job.percent):
        return None
    began = datetime.fromisoformat(job.started_at)
    return began + (now - began) * 100 / int(job.percent)


def file_key(job: JobItem) -> str:
    return f"{job.pk}/{job.sk}.csv" + (".gz" if job.gzip else "")


def manifest_key(job: JobItem) -> str:
    return f"{job.pk}/{job.sk}.manifest.json"


def file_name(job: JobItem) -> str:
    """`talktiko-activity-2026-11-25-exp_….csv`, with the day on which it was asked for."""
    return f"talktiko-{job.type.replace('_', '-')}-{job.created_at[:10]}-{job.sk}.csv" + (
        ".gz" if job.gzip else ""
    )


def download_path(export_id: str) -> str:
    return f"/api/integrations/exports/{export_id}/download"


def type_of(job: JobItem) -> ExportType:
    for known in get_args(ExportType):
        if known == job.type:
            found: ExportType = known
            return found
    raise LookupError(job.type)
