"""SQS: messages out, in as few calls as it takes.

A message is a wake-up that may come twice, late or not at all: what it is about stands in DynamoDB.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import BaseModel

from chalicelib.core import aws
from chalicelib.core.logs import log

LONGEST_DELAY = 900
"""Seconds. SQS refuses more; a longer wait is taken in steps."""
_BATCH = 10


@dataclass(frozen=True)
class Outgoing:
    """A message; `group` is whom a fair queue is fair to, `delay` in whole seconds."""

    body: BaseModel
    group: str
    delay: int = 0


def send(queue: str, messages: Sequence[Outgoing]) -> list[bool]:
    """Send to one of our queues. For each message, whether the queue took it."""
    taken: list[bool] = []
    for start in range(0, len(messages), _BATCH):
        taken += _send_batch(queue, messages[start : start + _BATCH])
    return taken


def _send_batch(queue: str, messages: Sequence[Outgoing]) -> list[bool]:
    try:
        answer = aws.sqs().send_message_batch(
            QueueUrl=aws.queue_url(queue),
            Entries=[
                {
                    "Id": str(n),
                    "MessageBody": message.body.model_dump_json(),
                    "MessageGroupId": message.group,
                    "DelaySeconds": min(max(message.delay, 0), LONGEST_DELAY),
                }
                for n, message in enumerate(messages)
            ],
        )
    except (BotoCoreError, ClientError) as error:
        log.warning("queue.away", queue=queue, messages=len(messages), error=type(error).__name__)
        return [False] * len(messages)
    for failed in answer.get("Failed", []):
        log.warning("queue.not_taken", queue=queue, code=failed.get("Code"))
    taken = {entry["Id"] for entry in answer.get("Successful", [])}
    return [str(n) in taken for n in range(len(messages))]
