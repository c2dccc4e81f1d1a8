"""A message that no worker can read, in one batch with others."""

import json
import time
from typing import Any

from infra.local.cloud import Cloud
from tests.system.local_cloud.toys import eventually

NEIGHBOURS = 9
QUEUE = "talktiko-local-webhook-deliveries"


def dead_letters(cloud: Cloud) -> tuple[list[str], int]:
    """What becomes a dead letter of poison and its neighbours where a message is handed out once, and the
    size of the batch in which the poison was.

    The neighbours wake deliveries of long ago, which nobody knows any more.
    """
    sqs = cloud.client("sqs")
    url = sqs.get_queue_url(QueueName=QUEUE)["QueueUrl"]
    parked = sqs.get_queue_url(QueueName=f"{QUEUE}-dead-letters")["QueueUrl"]
    policy = json.loads(_attribute(sqs, url, "RedrivePolicy"))
    place = {"webhook_id": "whk_01KAXG7Y0000000000000000A1", "event_type": "exercise.answered"}
    bodies = [json.dumps(place | {"delivery_id": f"dlv_01KAXG7Y{n:018}"}) for n in range(NEIGHBOURS)]
    bodies.insert(NEIGHBOURS // 2, "poison")
    began = int(time.time() * 1000)
    _set_policy(sqs, url, policy | {"maxReceiveCount": 1})
    try:
        entries = [{"Id": str(number), "MessageBody": body} for number, body in enumerate(bodies)]
        sqs.send_message_batch(QueueUrl=url, Entries=entries)
        found = [body for body in _received(sqs, parked) if body in bodies]
        eventually(
            lambda: _attribute(sqs, url, "ApproximateNumberOfMessagesNotVisible") == "0", "none is left", 20
        )
    finally:
        _set_policy(sqs, url, policy)
    lines = cloud.client("logs").filter_log_events(
        logGroupName="/aws/lambda/talktiko-local-deliver", startTime=began
    )["events"]
    batches = [json.loads(line["message"]) for line in lines if '"worker.batch"' in line["message"]]
    return found, next(int(batch["messages"]) for batch in batches if batch["failed"])


def _received(sqs: Any, url: str) -> list[str]:
    """All that arrives until nothing has come for some seconds."""
    found: list[str] = []
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1).get(
            "Messages", []
        )
        for message in messages:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        if messages:
            deadline = time.monotonic() + 6
        found += [message["Body"] for message in messages]
    return found


def _attribute(sqs: Any, url: str, name: str) -> str:
    value: str = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[name])["Attributes"][name]
    return value


def _set_policy(sqs: Any, url: str, policy: dict[str, Any]) -> None:
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"RedrivePolicy": json.dumps(policy)})
