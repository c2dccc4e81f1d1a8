"""Jobs that a queue message wakes, and that a sweeper asks after until they are done.

    PK DUE   SK id of the job   in the slice's own table, while the job is unfinished

One partition holds all of a slice: it is written twice per job, and read by the sweeper alone.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

from pynamodb.attributes import UnicodeAttribute
from pynamodb.exceptions import UpdateError

from chalicelib.core.clock import instant
from chalicelib.core.store import Table, unless_condition_failed


class DueJob(Table):
    """When to ask after a job again. A slice's own model names its table."""

    pk = UnicodeAttribute(hash_key=True, default="DUE")
    sk = UnicodeAttribute(range_key=True)
    institution_id = UnicodeAttribute()
    due_at = UnicodeAttribute()


def sweep(
    jobs: type[DueJob], wake: Callable[[Sequence[DueJob]], list[bool]], now: datetime, *, again: datetime
) -> int:
    """Wake what is overdue: its message was lost, or whoever had it died. How many."""
    overdue = list(_overdue(jobs, now))
    taken = wake(overdue)
    for due, was_taken in zip(overdue, taken, strict=True):
        if was_taken:
            _postpone(due, again)
    return sum(taken)


def _overdue(jobs: type[DueJob], now: datetime) -> Iterator[DueJob]:
    return (due for due in jobs.query("DUE") if due.due_at <= instant(now))


def _postpone(due: DueJob, until: datetime) -> None:
    """Ask again later, unless the job is finished by now."""
    try:
        due.update([DueJob.due_at.set(instant(until))], DueJob.due_at == due.due_at)
    except UpdateError as error:
        unless_condition_failed(error)
