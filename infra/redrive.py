"""What stands in a queue's dead letters, and the way back: `make redrive QUEUE=webhook-deliveries MOVE=yes`.

A message comes here after five runs that failed by a fault of ours. Read the worker's log, mend it, deploy,
then move the messages back; every worker is safe to be handed one again. A message is sent to its queue
before it is deleted here: dying in between repeats one and loses none.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from typing import Any

import boto3

from infra.local.cloud import from_environment

HELD_SECONDS = 120
"""How long a message that was looked at stays hidden from others, and from ourselves."""
_BATCH = 10


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="redrive", description=__doc__)
    parser.add_argument("queue", help="the queue that the messages belong to: events, webhook-deliveries, …")
    parser.add_argument("--stage", default="local")
    parser.add_argument("--move", action="store_true", help="move them back, instead of showing them")
    wanted = parser.parse_args(arguments)
    sqs = from_environment().client("sqs") if wanted.stage == "local" else boto3.client("sqs")
    work = move if wanted.move else show
    found = work(sqs, f"talktiko-{wanted.stage}-{wanted.queue}")
    print(f"{found} {'moved back' if wanted.move else 'in the dead letters'}")
    return 0


def show(sqs: Any, queue: str) -> int:
    """Print each message; they can be received again at once."""
    url = _url(sqs, f"{queue}-dead-letters")
    held = list(_messages(sqs, url))
    for message in held:
        attributes = message["Attributes"]
        print(
            json.dumps(
                {
                    "message_id": message["MessageId"],
                    "sent_at_ms": int(attributes["SentTimestamp"]),
                    "received": int(attributes["ApproximateReceiveCount"]),
                    "body": message["Body"],
                }
            )
        )
    for start in range(0, len(held), _BATCH):
        entries = [
            {"Id": str(n), "ReceiptHandle": one["ReceiptHandle"], "VisibilityTimeout": 0}
            for n, one in enumerate(held[start : start + _BATCH])
        ]
        sqs.change_message_visibility_batch(QueueUrl=url, Entries=entries)
    return len(held)


def move(sqs: Any, queue: str) -> int:
    """Send each message to its queue again, whom it belongs to included, and delete it here."""
    source, target = _url(sqs, f"{queue}-dead-letters"), _url(sqs, queue)
    moved = 0
    for message in _messages(sqs, source):
        group = message["Attributes"].get("MessageGroupId")
        sqs.send_message(
            QueueUrl=target,
            MessageBody=message["Body"],
            **({} if group is None else {"MessageGroupId": group}),
        )
        sqs.delete_message(QueueUrl=source, ReceiptHandle=message["ReceiptHandle"])
        moved += 1
    return moved


def _messages(sqs: Any, url: str) -> Iterator[dict[str, Any]]:
    while batch := sqs.receive_message(
        QueueUrl=url,
        MaxNumberOfMessages=_BATCH,
        VisibilityTimeout=HELD_SECONDS,
        WaitTimeSeconds=1,
        MessageSystemAttributeNames=["All"],
    ).get("Messages", []):
        yield from batch


def _url(sqs: Any, name: str) -> str:
    return str(sqs.get_queue_url(QueueName=name)["QueueUrl"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
