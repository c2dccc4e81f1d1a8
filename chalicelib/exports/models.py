"""Export jobs.

PK ins_…   SK exp_…    a job, 90 days; whoever works on it holds a claim with a lease. `step` and `after` say
                       up to where S3 has its rows: `sent_rows` in `parts` of the upload `upload_id`
PK ins_…   SK COUNT    how many of an institution's jobs are unfinished
PK DUE     SK exp_…    stands while a job is unfinished, and says when to ask after it again

A job, its DUE item and the count change together. One partition holds every DUE item: they are
written twice per job, and a sweeper reads them once a minute.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from pydantic import ConfigDict
from pynamodb.attributes import BooleanAttribute, ListAttribute, NumberAttribute, UnicodeAttribute
from pynamodb.exceptions import UpdateError
from pynamodb.expressions.update import Action

from chalicelib.core.clock import epoch, instant
from chalicelib.core.errors import Conflict, NotFound
from chalicelib.core.ids import is_id, new_id
from chalicelib.core.store import Table, Transaction, table, unless_condition_failed
from chalicelib.core.types import Schema
from chalicelib.core.waking import DueJob
from chalicelib.exports.files import Sent

KEPT = timedelta(days=90)
UNFINISHED = ("queued", "running")


class Place(Schema):
    """Where a job stands: all that a queue message says."""

    model_config = ConfigDict(frozen=True)

    institution_id: str
    export_id: str


class JobItem(Table):
    class Meta:
        table_name = table("exports")

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    type = UnicodeAttribute()
    status = UnicodeAttribute()
    from_at = UnicodeAttribute(null=True)
    to_at = UnicodeAttribute(null=True)
    since = BooleanAttribute(default=False)
    course_id = UnicodeAttribute(null=True)
    learner_ids: ListAttribute[str] = ListAttribute(default=list)
    columns: ListAttribute[str] = ListAttribute(default=list)
    delimiter = UnicodeAttribute()
    bom = BooleanAttribute()
    gzip = BooleanAttribute(default=False)
    time_zone = UnicodeAttribute(default="UTC")
    rows_at_most = NumberAttribute(default=100_000)
    requested_by = UnicodeAttribute()
    request_id = UnicodeAttribute()
    tries = NumberAttribute(default=0)
    claim = UnicodeAttribute(null=True)
    claimed_until = UnicodeAttribute(null=True)
    cut_off_at = UnicodeAttribute(null=True)
    rows = NumberAttribute(default=0)
    percent = NumberAttribute(default=0)
    step = NumberAttribute(default=0)
    after = UnicodeAttribute(null=True)
    upload_id = UnicodeAttribute(null=True)
    parts = NumberAttribute(default=0)
    sent_bytes = NumberAttribute(default=0)
    sent_rows = NumberAttribute(default=0)
    file_key = UnicodeAttribute(null=True)
    size_bytes = NumberAttribute(null=True)
    sha256 = UnicodeAttribute(null=True)
    error = UnicodeAttribute(null=True)
    created_at = UnicodeAttribute()
    started_at = UnicodeAttribute(null=True)
    finished_at = UnicodeAttribute(null=True)
    file_expires_at = UnicodeAttribute(null=True)
    expires_at = NumberAttribute()

    @property
    def sent(self) -> Sent | None:
        """What S3 has of the file."""
        if self.upload_id is None:
            return None
        return Sent(self.upload_id, int(self.parts), int(self.sent_bytes))


class CountItem(Table):
    class Meta:
        table_name = table("exports")

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True, default="COUNT")
    unfinished = NumberAttribute(default=0)


class DueItem(DueJob):
    class Meta:
        table_name = table("exports")


_OVER: list[Action] = [
    JobItem.step.set(0),
    JobItem.after.remove(),
    JobItem.sent_rows.set(0),
    JobItem.upload_id.remove(),
    JobItem.parts.set(0),
    JobItem.sent_bytes.set(0),
]
"""Forgets the checkpoint."""


class ClaimLost(Exception):
    """The lease ran out and somebody else has the job, or it is final: what was made is not the file."""


def add_job(transaction: Transaction, job: JobItem, due_at: datetime, *, unfinished_at_most: int) -> None:
    """The transaction fails with `Conflict` where the institution has that many unfinished jobs."""
    transaction.put(job)
    transaction.put(DueItem(sk=job.sk, institution_id=job.pk, due_at=instant(due_at)))
    transaction.update(
        CountItem(job.pk),
        [CountItem.unfinished.add(1)],
        CountItem.unfinished.does_not_exist() | (CountItem.unfinished < unfinished_at_most),
        Conflict(
            f"On your plan at most {unfinished_at_most} exports may be unfinished; wait until one is done.",
            retry_after=30,
        ),
    )


def job_of(institution_id: str, export_id: str, now: datetime) -> JobItem:
    """Raises `NotFound`, also for another institution's, and past its 90 days."""
    if not is_id(export_id, "exp"):
        raise NotFound("export")
    try:
        job = JobItem.get(institution_id, export_id, consistent_read=True)
    except JobItem.DoesNotExist:
        raise NotFound("export") from None
    if job.expires_at <= epoch(now):
        raise NotFound("export")
    return job


def jobs_of(
    institution_id: str, *, start: str | None, limit: int, backwards: bool, now: datetime
) -> Sequence[JobItem]:
    """Newest first. Ids sort by time, so the least one leaves out what is past its 90 days."""
    low, high = new_id("exp", now - KEPT)[: len("exp_") + 10], "exp_~"
    if start is not None:
        low, high = (start, high) if backwards else (low, start)
    if low > high:
        return []
    # `start` itself is in the range, and one row too many.
    found = JobItem.query(
        institution_id,
        JobItem.sk.between(low, high),
        scan_index_forward=backwards,
        limit=limit + 1,
        consistent_read=True,
    )
    return [job for job in found if job.sk != start][:limit]


def claim(place: Place, token: str, *, now: datetime, lease: timedelta, cut_off: datetime) -> JobItem | None:
    """Take the job until the lease ends: of those who race, one gets it.

    None where somebody else has it, or it is final or gone. `cut_off` is that of the first claim, so that
    whoever goes on with a file asks for the same rows.
    """
    job = JobItem(place.institution_id, place.export_id)
    try:
        job.update(
            [
                JobItem.status.set("running"),
                JobItem.claim.set(token),
                JobItem.claimed_until.set(instant(now + lease)),
                JobItem.cut_off_at.set(JobItem.cut_off_at | instant(cut_off)),
                JobItem.started_at.set(JobItem.started_at | instant(now)),
                JobItem.tries.add(1),
            ],
            JobItem.status.is_in(*UNFINISHED)
            & (JobItem.claimed_until.does_not_exist() | (JobItem.claimed_until <= instant(now))),
        )
    except UpdateError as error:
        unless_condition_failed(error)
        return None
    return job


def tell_progress(job: JobItem, rows: int, percent: int) -> None:
    """Raises `ClaimLost`."""
    _update_mine(job, [JobItem.rows.set(rows), JobItem.percent.set(percent)])


def checkpoint(job: JobItem, step: int, after: str, rows: int, sent: Sent) -> None:
    """Note up to where S3 has the rows; what comes next may die. Raises `ClaimLost`.

    Whoever gets further has earned all tries anew.
    """
    job.step, job.after, job.sent_rows, job.tries = step, after, rows, 1
    job.upload_id, job.parts, job.sent_bytes = sent.upload_id, sent.parts, sent.size_bytes
    _update_mine(
        job,
        [
            JobItem.step.set(step),
            JobItem.after.set(after),
            JobItem.sent_rows.set(rows),
            JobItem.upload_id.set(sent.upload_id),
            JobItem.parts.set(sent.parts),
            JobItem.sent_bytes.set(sent.size_bytes),
            JobItem.tries.set(1),
        ],
    )


def start_over(job: JobItem) -> None:
    """Forget the checkpoint: S3 does not know the upload any more. Raises `ClaimLost`."""
    _update_mine(job, [*_OVER])


def release(job: JobItem) -> None:
    """Give the job back, to be gone on with from its checkpoint. Raises `ClaimLost`."""
    actions: list[Action] = [
        JobItem.status.set("queued"),
        JobItem.claim.remove(),
        JobItem.claimed_until.remove(),
    ]
    _update_mine(job, actions)


def cancel(transaction: Transaction, job: JobItem, now: datetime) -> None:
    """End an unfinished job. Whoever works on it loses its claim. `Conflict` if it was finished meanwhile."""
    actions: list[Action] = [
        JobItem.status.set("cancelled"),
        JobItem.finished_at.set(instant(now)),
        JobItem.claim.remove(),
        JobItem.claimed_until.remove(),
    ]
    finished = Conflict("This export has just been finished; ask again.", retry_after=1)
    transaction.update(JobItem(job.pk, job.sk), actions, JobItem.status.is_in(*UNFINISHED), finished)
    transaction.delete(DueItem(sk=job.sk))
    transaction.update(CountItem(job.pk), [CountItem.unfinished.add(-1)])


def jobs_since(institution_id: str, moment: datetime) -> Iterator[JobItem]:
    low = new_id("exp", moment)[: len("exp_") + 10]
    return iter(JobItem.query(institution_id, JobItem.sk.between(low, "exp_~"), consistent_read=True))


def begin_anew(job: JobItem, due_at: datetime) -> None:
    """Let an unfinished job be made from its beginning, later. Raises `ClaimLost` if it has been finished."""
    transaction = Transaction()
    actions: list[Action] = [
        *_OVER,
        JobItem.status.set("queued"),
        JobItem.claim.remove(),
        JobItem.claimed_until.remove(),
    ]
    transaction.update(JobItem(job.pk, job.sk), actions, JobItem.status.is_in(*UNFINISHED), ClaimLost())
    transaction.put(DueItem(sk=job.sk, institution_id=job.pk, due_at=instant(due_at)))
    transaction.commit()


def expire_file(job: JobItem, now: datetime) -> None:
    """Note that the file of a completed job is gone."""
    try:
        JobItem(job.pk, job.sk).update(
            [JobItem.file_expires_at.set(instant(now))], JobItem.status == "completed"
        )
    except UpdateError as error:
        unless_condition_failed(error)


def remove(transaction: Transaction, job: JobItem) -> None:
    """Forget a finished job."""
    transaction.delete(JobItem(job.pk, job.sk))


def finish(
    transaction: Transaction, job: JobItem, status: str, now: datetime, facts: Sequence[Action]
) -> None:
    """End a claim and the job with it. The commit raises `ClaimLost`."""
    actions = [
        JobItem.status.set(status),
        JobItem.finished_at.set(instant(now)),
        JobItem.claim.remove(),
        JobItem.claimed_until.remove(),
        *facts,
    ]
    transaction.update(JobItem(job.pk, job.sk), actions, JobItem.claim == job.claim, ClaimLost())
    transaction.delete(DueItem(sk=job.sk))
    transaction.update(CountItem(job.pk), [CountItem.unfinished.add(-1)])


def _update_mine(job: JobItem, actions: list[Action]) -> None:
    try:
        JobItem(job.pk, job.sk).update(actions, JobItem.claim == job.claim)
    except UpdateError as error:
        unless_condition_failed(error)
        raise ClaimLost from error
