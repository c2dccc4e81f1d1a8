"""Workers: one declaration per queue or schedule, each a Lambda of its own.

    @worker(jobs, queue="events", message=EventMessage, batch_size=10, threads=10)
    def fan_out(message: EventMessage) -> None:
        '''Safe to repeat: a message may come twice, late or out of order.'''

Plain `chalice deploy` cannot ask Lambda for partial batch failures. So every message of a batch is
tried; if some fail, those that are done are deleted here, the failed ones become visible again after
a few growing seconds, and the run fails: the failed ones alone come back, and after the queue's
`maxReceiveCount` they go to its dead-letter queue.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from chalice.app import Blueprint
from pydantic import BaseModel

from chalicelib.core import aws
from chalicelib.core.logs import log
from chalicelib.core.settings import settings
from chalicelib.core.store import connection

M = TypeVar("M", bound=BaseModel)
Record = Mapping[str, Any]

_WAITS = (2, 8, 32, 128, 300)


class MessagesFailed(Exception):
    """Some messages of a batch could not be handled and come back."""


def worker(
    jobs: Blueprint,
    *,
    queue: str,
    message: type[M],
    batch_size: int = 1,
    threads: int = 1,
    concurrency: int | None = None,
) -> Callable[[Callable[[M], None]], Callable[[Any, Any], Any]]:
    """Handle the messages of `queue`, each validated as `message`.

    `threads` messages of a batch are handled at once; `concurrency` (2 to 1000) bounds how many
    batches of this queue run at once in the whole account.
    """

    def declare(handle: Callable[[M], None]) -> Callable[[Any, Any], Any]:
        @functools.wraps(handle)
        def run(event: Any) -> None:
            handle_batch(queue, event.to_dict()["Records"], message, handle, threads)

        register = jobs.on_sqs_message(
            queue=settings().queue(queue),
            batch_size=batch_size,
            maximum_concurrency=settings().worker_concurrency or concurrency,
            name=_name(handle),
        )
        declared: Callable[[Any, Any], Any] = register(run)
        return declared

    return declare


def schedule(jobs: Blueprint, expression: str) -> Callable[[Callable[[], None]], Callable[[Any, Any], Any]]:
    """Run at `expression` (EventBridge: `rate(1 minute)`). A run may overlap the one before."""

    def declare(handle: Callable[[], None]) -> Callable[[Any, Any], Any]:
        @functools.wraps(handle)
        def run(_event: Any) -> None:
            log.info("schedule.started", worker=handle.__name__)
            handle()

        declared: Callable[[Any, Any], Any] = jobs.schedule(expression, name=_name(handle))(run)
        return declared

    return declare


def _name(handle: Callable[..., Any]) -> str:
    """The Lambda's: `talktiko-<stage>-fan-out` for `fan_out`."""
    return handle.__name__.replace("_", "-")


def handle_batch(
    queue: str, records: Sequence[Record], message: type[M], handle: Callable[[M], None], threads: int = 1
) -> None:
    """Try every message. Raises `MessagesFailed` when some failed, having deleted the others."""
    failed = _try_all(queue, records, message, handle, threads)
    if not failed:
        return
    url = aws.queue_url(queue)
    done = [record for record in records if record not in failed]
    if done:
        aws.sqs().delete_message_batch(
            QueueUrl=url,
            Entries=[
                {"Id": str(n), "ReceiptHandle": record["receiptHandle"]} for n, record in enumerate(done)
            ],
        )
    aws.sqs().change_message_visibility_batch(
        QueueUrl=url,
        Entries=[
            {"Id": str(n), "ReceiptHandle": record["receiptHandle"], "VisibilityTimeout": wait(record)}
            for n, record in enumerate(failed)
        ],
    )
    raise MessagesFailed(f"{len(failed)} of {len(records)} messages of {queue} failed")


def wait(record: Record) -> int:
    """Seconds until a failed message is tried again, growing with each time it was received."""
    received = int(record["attributes"]["ApproximateReceiveCount"])
    return _WAITS[min(received, len(_WAITS)) - 1]


def _try_all(
    queue: str, records: Sequence[Record], message: type[M], handle: Callable[[M], None], threads: int
) -> list[Record]:
    def succeeds(record: Record) -> bool:
        try:
            handle(message.model_validate_json(record["body"]))
        except Exception:
            log.exception("worker.failed", queue=queue, message_id=record["messageId"])
            return False
        return True

    if threads == 1 or len(records) == 1:
        results = [succeeds(record) for record in records]
    else:
        connection().client  # noqa: B018 (made before the threads would each make one)
        with ThreadPoolExecutor(threads) as pool:
            results = list(pool.map(succeeds, records))
    log.info("worker.batch", queue=queue, messages=len(records), failed=results.count(False))
    return [record for record, result in zip(records, results, strict=True) if not result]
