"""The launcher's snapshots and stream positions: what a `kill -9` leaves."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.local.cloud import Cloud, free_port, reset, running_pid, start, stop
from tests.system.local_cloud.toys import allow, eventually, function, invoke, log_text, role

PRINTING_KEYS = """
def handler(event, context):
    for record in event["Records"]:
        print("got", record["dynamodb"]["Keys"]["id"]["S"] if "dynamodb" in record else record["body"])
"""


def _settle(cloud: Cloud) -> None:
    """Wait until a snapshot has been taken of everything done so far."""
    files = cloud.stored / "services"
    newest = max((file.stat().st_mtime for file in files.glob("*.json")), default=0.0)
    eventually(lambda: max(file.stat().st_mtime for file in files.glob("*.json")) > newest, "a snapshot")
    time.sleep(0.5)


@pytest.fixture(scope="module")
def revived(states: Path) -> Iterator[Cloud]:
    """A cloud with a table, a stream, a queue and their functions, killed and started again."""
    cloud = Cloud(states / "killed", free_port(), snapshot_seconds=0.3)
    start(cloud)
    try:
        _populate(cloud)
        _settle(cloud)
        pid = running_pid(cloud)
        assert pid
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: running_pid(cloud) is None, "the end of the process")
        start(cloud)
        yield cloud
    finally:
        reset(cloud)


def _populate(cloud: Cloud) -> None:
    table = cloud.client("dynamodb").create_table(
        TableName="things",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
    )["TableDescription"]
    sqs = cloud.client("sqs")
    queue = sqs.create_queue(QueueName="jobs")["QueueUrl"]
    queue_arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"][
        "QueueArn"
    ]
    actor = role(cloud, "actor", allow("*", "*"))
    for name, source in (("reads-queue", queue_arn), ("reads-stream", table["LatestStreamArn"])):
        function(cloud, name, PRINTING_KEYS, actor)
        starting = {"StartingPosition": "TRIM_HORIZON"} if name == "reads-stream" else {}
        cloud.client("lambda").create_event_source_mapping(
            FunctionName=name, EventSourceArn=source, BatchSize=1, **starting
        )
    for key in ("before-1", "before-2"):
        cloud.client("dynamodb").put_item(TableName="things", Item={"id": {"S": key}})
    eventually(lambda: "got before-2" in log_text(cloud, "reads-stream"), "the stream's first records")


def test_tables_and_items_survive_a_kill(revived: Cloud) -> None:
    item = revived.client("dynamodb").get_item(TableName="things", Key={"id": {"S": "before-1"}})
    assert item["Item"] == {"id": {"S": "before-1"}}


def test_functions_survive_a_kill_with_their_code(revived: Cloud) -> None:
    assert invoke(revived, "reads-queue", {"Records": []}) is None


def test_queues_and_their_triggers_survive_a_kill(revived: Cloud) -> None:
    queue = revived.client("sqs").get_queue_url(QueueName="jobs")["QueueUrl"]
    revived.client("sqs").send_message(QueueUrl=queue, MessageBody="after-the-kill")
    eventually(lambda: "got after-the-kill" in log_text(revived, "reads-queue"), "the queue's message")


def test_no_stream_record_is_skipped_after_a_restart(revived: Cloud) -> None:
    for key in ("after-1", "after-2", "after-3"):
        revived.client("dynamodb").put_item(TableName="things", Item={"id": {"S": key}})
    wanted = ("got after-1", "got after-2", "got after-3")
    eventually(lambda: all(key in log_text(revived, "reads-stream") for key in wanted), "every new record")


def test_a_clean_stop_waits_for_the_end_and_keeps_the_data(states: Path) -> None:
    cloud = Cloud(states / "stopped", free_port(), snapshot_seconds=0)
    start(cloud)
    try:
        cloud.client("sqs").create_queue(QueueName="kept")
        stop(cloud)
        assert running_pid(cloud) is None
        start(cloud)
        assert cloud.client("sqs").get_queue_url(QueueName="kept")["QueueUrl"]
    finally:
        reset(cloud)
    assert not cloud.stored.exists()
