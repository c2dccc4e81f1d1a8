"""The launcher's other repairs, one test each, so that a new MiniStack version shows what it breaks."""

import json
import sys
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.local.cloud import Cloud, free_port, reset, running_pid, start
from tests.system.local_cloud.toys import (
    ACCOUNT,
    allow,
    client_as,
    eventually,
    function,
    invoke,
    log_text,
    role,
)

LOOKING_AROUND = """
import importlib, os, sys

def handler(event, context):
    found = []
    for name in event["modules"]:
        try:
            importlib.import_module(name)
            found.append(name)
        except ImportError:
            pass
    return {"found": found, "environment": dict(os.environ), "path": sys.path}
"""


@pytest.fixture(scope="module")
def seen(bare_cloud: Cloud) -> dict[str, Any]:
    """What a function sees."""
    function(bare_cloud, "looks", LOOKING_AROUND, role(bare_cloud, "looker", allow("logs:*", "*")))
    modules = ["json", "ministack", "boto3", "botocore", "cryptography", "pydantic", "yaml"]
    result: dict[str, Any] = invoke(bare_cloud, "looks", {"modules": modules})
    return result


def test_a_function_sees_its_package_and_nothing_else(seen: dict[str, Any]) -> None:
    assert seen["found"] == ["json"]


TELLS_ITS_FILE = """
import os, time

def handler(event, context):
    time.sleep(1)
    return os.getpid(), os.path.realpath(__file__)
"""


def test_the_processes_of_a_function_read_one_unpacked_package(bare_cloud: Cloud) -> None:
    function(bare_cloud, "tells", TELLS_ITS_FILE, role(bare_cloud, "teller", allow("logs:*", "*")))
    with ThreadPoolExecutor(2) as pool:
        told = list(pool.map(lambda _: invoke(bare_cloud, "tells"), range(2)))
    assert len({pid for pid, _ in told}) == 2
    assert len({file for _, file in told}) == 1


def test_a_function_inherits_nothing_of_the_shell(seen: dict[str, Any]) -> None:
    assert "hunter2-of-the-shell" not in json.dumps(seen["environment"])
    assert "FUNCTION_PYTHON" not in seen["environment"]


def test_a_function_calls_this_cloud_by_a_name_that_is_not_the_api(
    seen: dict[str, Any], bare_cloud: Cloud
) -> None:
    assert seen["environment"]["AWS_ENDPOINT_URL"] == f"http://localhost:{bare_cloud.port}"


def test_starting_again_finds_it_running(bare_cloud: Cloud) -> None:
    before = running_pid(bare_cloud)
    start(bare_cloud)
    assert running_pid(bare_cloud) == before


def _listening(pid: int) -> set[str]:
    """The addresses at which a process listens, as Linux tells them."""
    inodes = {
        target.removeprefix("socket:[").removesuffix("]")
        for descriptor in Path(f"/proc/{pid}/fd").iterdir()
        if (target := str(descriptor.readlink())).startswith("socket:[")
    }
    lines = [
        line.split()
        for table in ("tcp", "tcp6", "udp", "udp6")
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]
        if table.startswith("udp") or line.split()[3] == "0A"
    ]
    return {fields[1] for fields in lines if fields[9] in inodes}


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's /proc to see a process's sockets")
def test_it_listens_on_its_one_port_of_this_machine(bare_cloud: Cloud) -> None:
    pid = running_pid(bare_cloud)
    assert pid
    assert _listening(pid) == {f"0100007F:{bare_cloud.port:04X}"}


def _spec(*paths: str) -> str:
    integration = {"type": "aws_proxy", "httpMethod": "POST", "uri": "arn:aws:apigateway:x:lambda:path/y"}
    return json.dumps(
        {
            "swagger": "2.0",
            "info": {"title": "imported", "version": "1.0"},
            "paths": {path: {"get": {"x-amazon-apigateway-integration": integration}} for path in paths},
            "x-amazon-apigateway-binary-media-types": ["text/csv"],
        }
    )


def test_an_imported_api_has_its_routes_and_a_put_replaces_them(bare_cloud: Cloud) -> None:
    gateway = bare_cloud.client("apigateway")
    api = gateway.import_rest_api(body=_spec("/", "/a/{id}"))
    assert (api["name"], api["binaryMediaTypes"]) == ("imported", ["text/csv"])

    gateway.put_rest_api(restApiId=api["id"], mode="overwrite", body=_spec("/", "/b"))

    resources = gateway.get_resources(restApiId=api["id"], limit=100)["items"]
    assert {item["path"] for item in resources if item.get("resourceMethods")} == {"/", "/b"}


def test_putting_an_unknown_api_is_not_found(bare_cloud: Cloud) -> None:
    gateway = bare_cloud.client("apigateway")
    with pytest.raises(gateway.exceptions.NotFoundException):
        gateway.put_rest_api(restApiId="nonesuch", body=_spec("/"))


def test_an_api_that_compresses_nothing_can_be_read(bare_cloud: Cloud) -> None:
    gateway = bare_cloud.client("apigateway")
    api = gateway.import_rest_api(body=_spec("/"))
    nothing = {"op": "replace", "path": "/minimumCompressionSize", "value": ""}
    gateway.update_rest_api(restApiId=api["id"], patchOperations=[nothing])
    assert "minimumCompressionSize" not in gateway.get_rest_api(restApiId=api["id"])


def test_a_function_is_ready_once_it_is_made_or_changed(bare_cloud: Cloud) -> None:
    lambda_ = bare_cloud.client("lambda")
    function(bare_cloud, "ready", LOOKING_AROUND, role(bare_cloud, "ready", allow("logs:*", "*")))
    assert lambda_.get_function_configuration(FunctionName="ready")["State"] == "Active"
    lambda_.update_function_configuration(FunctionName="ready", Timeout=10)
    assert lambda_.get_function_configuration(FunctionName="ready")["LastUpdateStatus"] == "Successful"


def test_a_scheduled_minute_is_as_long_as_asked(states: Path) -> None:
    cloud = Cloud(states / "hasty", free_port(), snapshot_seconds=0, minute_seconds=2)
    start(cloud)
    try:
        arn = function(
            cloud,
            "tick",
            "def handler(event, context): print('ticked')",
            role(cloud, "t", allow("logs:*", "*")),
        )
        cloud.client("events").put_rule(Name="minute", ScheduleExpression="rate(1 minute)")
        cloud.client("events").put_targets(Rule="minute", Targets=[{"Id": "1", "Arn": arn}])
        cloud.client("lambda").add_permission(
            FunctionName="tick",
            StatementId="1",
            Action="lambda:InvokeFunction",
            Principal="events.amazonaws.com",
        )
        eventually(lambda: log_text(cloud, "tick").count("ticked") >= 2, "two scheduled minutes", 20)
    finally:
        reset(cloud)


def _denied(error: pytest.ExceptionInfo[ClientError]) -> bool:
    return error.value.response["Error"]["Code"] in ("AccessDenied", "AccessDeniedException")


def test_a_role_is_refused_what_its_policy_lacks(bare_cloud: Cloud) -> None:
    bare_cloud.client("dynamodb").create_table(
        TableName="talktiko-local-tokens",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    reader = role(
        bare_cloud, "reader", allow("dynamodb:GetItem", "arn:aws:dynamodb:*:*:table/talktiko-*-tokens")
    )
    dynamodb = client_as(bare_cloud, reader, "dynamodb")
    key = {"id": {"S": "x"}}

    assert "Item" not in dynamodb.get_item(TableName="talktiko-local-tokens", Key=key)
    with pytest.raises(ClientError) as refused:
        dynamodb.put_item(TableName="talktiko-local-tokens", Item=key)
    assert _denied(refused)
    put = {"Put": {"TableName": "talktiko-local-tokens", "Item": key}}
    with pytest.raises(ClientError) as refused:
        dynamodb.transact_write_items(TransactItems=[put])
    assert _denied(refused)


def test_kms_conditions_are_checked_as_on_aws(bare_cloud: Cloud) -> None:
    kms = bare_cloud.client("kms")
    key = kms.create_key()["KeyMetadata"]
    kms.create_alias(AliasName="alias/talktiko-test", TargetKeyId=key["KeyId"])
    sealer = role(
        bare_cloud,
        "sealer",
        allow(
            ["kms:Encrypt", "kms:Decrypt"],
            f"arn:aws:kms:*:{ACCOUNT}:key/*",
            **{
                "ForAnyValue:StringEquals": {"kms:ResourceAliases": "alias/talktiko-test"},
                "StringEquals": {"kms:EncryptionContext:kind": "webhook"},
            },
        ),
    )
    mine = client_as(bare_cloud, sealer, "kms")
    context = {"kind": "webhook"}
    sealed = mine.encrypt(KeyId="alias/talktiko-test", Plaintext=b"secret", EncryptionContext=context)

    opened = mine.decrypt(CiphertextBlob=sealed["CiphertextBlob"], EncryptionContext=context)
    assert opened["Plaintext"] == b"secret"
    with pytest.raises(ClientError) as refused:
        mine.encrypt(KeyId="alias/talktiko-test", Plaintext=b"s", EncryptionContext={"kind": "lrs"})
    assert _denied(refused)
    other = kms.create_key()["KeyMetadata"]["KeyId"]
    with pytest.raises(ClientError) as refused:
        mine.encrypt(KeyId=other, Plaintext=b"s", EncryptionContext=context)
    assert _denied(refused)


def test_a_batch_of_messages_needs_the_single_permission(bare_cloud: Cloud) -> None:
    queue = bare_cloud.client("sqs").create_queue(QueueName="batches")["QueueUrl"]
    sender = role(bare_cloud, "sender", allow("sqs:SendMessage", "arn:aws:sqs:*:*:batches"))
    mine = client_as(bare_cloud, sender, "sqs")
    entry = {"Id": "1", "MessageBody": "hello"}

    assert mine.send_message_batch(QueueUrl=queue, Entries=[entry])["Successful"]
    with pytest.raises(ClientError) as refused:
        mine.delete_message_batch(QueueUrl=queue, Entries=[{"Id": "1", "ReceiptHandle": "any"}])
    assert _denied(refused)


def test_a_private_bucket_refuses_an_unsigned_get(bare_cloud: Cloud) -> None:
    s3 = bare_cloud.client("s3")
    s3.create_bucket(Bucket="private", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    s3.put_object(Bucket="private", Key="export.csv", Body=b"a,b")

    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{bare_cloud.endpoint_url}/private/export.csv", timeout=5)
    assert refused.value.code == 403
    refused.value.close()
    signed = s3.generate_presigned_url("get_object", Params={"Bucket": "private", "Key": "export.csv"})
    with urllib.request.urlopen(signed, timeout=5) as answer:
        assert answer.read() == b"a,b"
