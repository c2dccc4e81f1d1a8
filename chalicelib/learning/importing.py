"""Answers of the past, for institutions that come from elsewhere.

Each row is a transaction of its own, made once by its `attempt_id`: what was not reached in time, or a
request whose answer was lost, is sent again as it is.
"""

import random
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Literal

from chalicelib.core import clock
from chalicelib.core.errors import Conflict, DomainError, Invalid
from chalicelib.core.store import Stale, Transaction, connection
from chalicelib.core.tokens import Principal
from chalicelib.institutions.service import Learner
from chalicelib.learning import recording, service
from chalicelib.learning.recording import Submission

TIME = timedelta(seconds=18)
"""API Gateway gives up after 29 seconds; a row takes some tens of milliseconds."""
_THREADS = 10
_TRIES = 8

Status = Literal["recorded", "duplicate", "refused", "not_processed"]


@dataclass(frozen=True)
class Row:
    """A learner's answer to import."""

    learner_id: str
    submission: Submission


@dataclass(frozen=True)
class Outcome:
    status: Status
    refusal: DomainError | None = None


def bring_in(actor: Principal, rows: Sequence[Row], *, now: datetime, request_id: str) -> list[Outcome]:
    """Record the rows, learners side by side, each learner's one after the other. In the order given."""
    by_learner: dict[str, list[int]] = {}
    for number, row in enumerate(rows):
        by_learner.setdefault(row.learner_id, []).append(number)
    outcomes: dict[int, Outcome] = {}
    connection().client  # noqa: B018 (made before the threads would each make one)
    with ThreadPoolExecutor(_THREADS) as pool:
        bring = partial(_one_learner, actor, rows, now=now, request_id=request_id)
        for found in pool.map(bring, by_learner.values()):
            outcomes.update(found)
    return [outcomes[number] for number in range(len(rows))]


def _one_learner(
    actor: Principal, rows: Sequence[Row], numbers: Sequence[int], *, now: datetime, request_id: str
) -> list[tuple[int, Outcome]]:
    def outcomes() -> Iterator[Outcome]:
        try:
            learner = service.learner_for(actor, rows[numbers[0]].learner_id)
        except DomainError as error:
            yield from [Outcome("refused", error)] * len(numbers)
            return
        for number in numbers:
            if clock.now() - now > TIME:
                yield Outcome("not_processed")
            else:
                yield _one(actor, learner, rows[number].submission, now, request_id)

    return list(zip(numbers, outcomes(), strict=True))


def _one(
    actor: Principal, learner: Learner, submission: Submission, now: datetime, request_id: str
) -> Outcome:
    for attempt in range(_TRIES):
        transaction = Transaction()
        try:
            _, is_new = recording.record(
                transaction, actor, learner, submission, now=now, request_id=request_id
            )
            transaction.commit()
        except Stale:
            time.sleep(random.uniform(0.5, 1.0) * 0.02 * 2**attempt)  # noqa: S311 (jitter)
        except Conflict:
            return Outcome("not_processed")
        except DomainError as error:
            return Outcome("refused", error)
        else:
            return Outcome("recorded" if is_new else "duplicate")
    return Outcome("not_processed")


def faults(refusal: DomainError | None) -> dict[str, list[str]]:
    """Which fields were refused, if that is why."""
    return refusal.fields if isinstance(refusal, Invalid) else {}
