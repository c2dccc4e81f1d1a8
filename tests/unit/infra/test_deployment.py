"""What AWS would refuse or punish, and the local cloud does not."""

import json
import re
import tomllib
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from chalice.app import SQSEventConfig

from app import app
from chalicelib.core.queues import LONGEST_DELAY
from chalicelib.core.settings import settings
from infra import stacks
from infra.packaging import RESOURCES

ROOT = Path(__file__).parents[3]
CONFIG: dict[str, Any] = json.loads((ROOT / ".chalice" / "config.json").read_text())
TEMPLATE: dict[str, Any] = stacks.load(ROOT / RESOURCES)["Resources"]
FUNCTIONS = ["api", *CONFIG["lambda_functions"]]
SOURCES: list[Any] = list(app.event_sources)
QUEUE_WORKERS = [source for source in SOURCES if isinstance(source, SQSEventConfig)]


def queue_of(source: SQSEventConfig) -> tuple[str, dict[str, Any]]:
    """Logical id and properties of the queue that a worker reads."""
    short = str(source.queue).removeprefix("talktiko-local-")
    wanted = f"talktiko-${{Stage}}-{short}"
    for logical, resource in TEMPLATE.items():
        properties = resource["Properties"]
        if resource["Type"] == "AWS::SQS::Queue" and properties["QueueName"]["Fn::Sub"] == wanted:
            return logical, properties
    raise AssertionError(f"{wanted} is not in the template")


def policy_of(name: str) -> list[dict[str, Any]]:
    file = CONFIG["lambda_functions"][name]["iam_policy_file"] if name != "api" else CONFIG["iam_policy_file"]
    statements: list[dict[str, Any]] = json.loads((ROOT / ".chalice" / file).read_text())["Statement"]
    return statements


def test_every_worker_is_configured_and_nothing_else_is() -> None:
    assert {source.name for source in SOURCES} == set(CONFIG["lambda_functions"])


@pytest.mark.parametrize("source", QUEUE_WORKERS, ids=lambda source: source.name)
def test_a_queue_outlasts_six_runs_and_parks_poison_where_an_alarm_sees_it(source: SQSEventConfig) -> None:
    _, queue = queue_of(source)
    assert queue["VisibilityTimeout"] >= 6 * CONFIG["lambda_functions"][source.name]["lambda_timeout"]
    dead_letters = queue["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"][0]
    assert TEMPLATE[dead_letters]["Type"] == "AWS::SQS::Queue"
    assert "DeadLetters" in dead_letters, "which an alarm watches"


@pytest.mark.parametrize("source", QUEUE_WORKERS, ids=lambda source: source.name)
def test_a_batch_over_ten_needs_a_window(source: SQSEventConfig) -> None:
    assert source.batch_size <= 10 or source.maximum_batching_window_in_seconds > 0


@pytest.mark.parametrize("source", QUEUE_WORKERS, ids=lambda source: source.name)
def test_a_worker_may_read_its_queue(source: SQSEventConfig) -> None:
    short = str(source.queue).removeprefix("talktiko-local-")
    allowed: set[str] = set()
    for statement in policy_of(source.name):
        if f"arn:aws:sqs:*:*:talktiko-*-{short}" in statement["Resource"]:
            allowed |= set(statement["Action"])
    assert allowed >= {
        "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes",
        "sqs:ChangeMessageVisibility", "sqs:GetQueueUrl",
    }  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_policy_names_what_it_is_about(name: str) -> None:
    """One file serves every stage, account and region, so these are open; what is in them is named."""
    for statement in policy_of(name):
        assert not [action for action in statement["Action"] if "*" in action]
        resources = statement["Resource"]
        for resource in [resources] if isinstance(resources, str) else resources:
            named = resource.rpartition(":")[2]
            if statement["Action"][0].startswith("xray:"):
                assert resource == "*", "X-Ray knows no resources"
            elif statement["Action"][0].startswith("kms:"):
                alias = statement["Condition"]["ForAnyValue:StringLike"]["kms:ResourceAliases"]
                assert alias.startswith("alias/talktiko-*-"), "a key's id is not known before it is made"
            elif statement["Action"][0].startswith("logs:"):
                assert named == "/aws/lambda/talktiko-*"
            elif statement["Action"][0].startswith("s3:"):
                assert named.startswith("talktiko-*-")
            else:
                assert named.removeprefix("table/").startswith("talktiko-*-")
                assert named.count("*") == 1, named


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_may_write_its_logs_and_traces(name: str) -> None:
    allowed = {action for statement in policy_of(name) for action in statement["Action"]}
    assert allowed >= {"logs:CreateLogStream", "logs:PutLogEvents", "xray:PutTraceSegments"}


def of_type(kind: str) -> dict[str, dict[str, Any]]:
    return {logical: resource for logical, resource in TEMPLATE.items() if resource["Type"] == kind}


@pytest.mark.parametrize("logical", of_type("AWS::DynamoDB::Table"))
def test_a_table_keeps_backups_is_encrypted_and_cannot_be_deleted_in_production(logical: str) -> None:
    table = TEMPLATE[logical]["Properties"]
    assert table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"]
    assert table["SSESpecification"]["SSEType"] == "KMS"
    assert table["DeletionProtectionEnabled"] == {"Fn::If": ["Production", True, False]}


KEPT = ("AWS::DynamoDB::Table", "AWS::SQS::Queue", "AWS::S3::Bucket", "AWS::KMS::Key", "AWS::Logs::LogGroup")


@pytest.mark.parametrize("logical", [name for kind in KEPT for name in of_type(kind)])
def test_data_survives_the_stack_unless_its_creation_failed(logical: str) -> None:
    """What a failed creation left behind would make every repetition fail: its name is taken."""
    assert TEMPLATE[logical]["DeletionPolicy"] == "RetainExceptOnCreate"
    assert TEMPLATE[logical]["UpdateReplacePolicy"] == "Retain"


# Alarms

ALARMS = [resource["Properties"] for resource in of_type("AWS::CloudWatch::Alarm").values()]


def watched(metric: str) -> set[str]:
    """What the alarms on this metric watch, by the value of their dimensions."""
    return {
        json.dumps(dimension["Value"])
        for alarm in ALARMS
        if alarm["MetricName"] == metric
        for dimension in alarm.get("Dimensions", [{"Value": "everything"}])
    }


def test_the_failures_of_every_function_ring() -> None:
    suffixes = ["" if name == "api" else f"-{name}" for name in FUNCTIONS]
    assert watched("Errors") == {
        json.dumps({"Fn::Sub": f"talktiko-${{Stage}}{suffix}"}) for suffix in suffixes
    }
    assert watched("Throttles") == {'"everything"'}


def test_queues_that_grow_and_dead_letters_ring() -> None:
    queues = {json.dumps({"Fn::GetAtt": [logical, "QueueName"]}) for logical in of_type("AWS::SQS::Queue")}
    dead = {queue for queue in queues if "DeadLetters" in queue}
    assert watched("ApproximateNumberOfMessagesVisible") == dead
    assert watched("ApproximateAgeOfOldestMessage") == queues - dead


def test_the_apis_server_errors_ring() -> None:
    """By the names under which Chalice makes API and stage."""
    stages = {stage["api_gateway_stage"] for stage in CONFIG["stages"].values()}
    assert watched("5XXError") == {json.dumps(CONFIG["app_name"]), *(json.dumps(stage) for stage in stages)}


def test_every_alarm_tells_somebody_and_what_to_do() -> None:
    readme = (ROOT / "README.md").read_text().partition("## Runbook")[2]
    told = {"Fn::If": ["AlarmsAreTold", [{"Ref": "AlarmTopicArn"}], {"Ref": "AWS::NoValue"}]}
    for alarm in ALARMS:
        assert alarm["AlarmActions"] == alarm["OKActions"] == told
        heading = alarm["AlarmDescription"].partition("README, Runbook, ")[2].rstrip(".")
        assert f"**{heading}" in readme.lower(), heading


# Stages


@pytest.mark.parametrize("stage", CONFIG["stages"])
def test_a_stage_is_a_valid_configuration_named_like_itself(
    stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in CONFIG["stages"][stage]["environment_variables"].items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()
    try:
        assert settings().stage == stage
        assert settings().loopback_allowed == (stage == "local")
    finally:
        settings.cache_clear()


@pytest.mark.parametrize("stage", CONFIG["stages"])
def test_tracing_is_off_until_its_one_switch_is_turned(stage: str) -> None:
    assert CONFIG["xray"] is False
    assert "xray" not in CONFIG["stages"][stage]


def test_production_keeps_its_logs_400_days_and_the_others_30() -> None:
    assert CONFIG["log_retention_in_days"] == 30
    own = {name: stage.get("log_retention_in_days") for name, stage in CONFIG["stages"].items()}
    assert own == {"local": None, "dev": None, "staging": None, "prod": 400}
    group = TEMPLATE["ApiLogGroup"]["Properties"]
    assert group["RetentionInDays"] == {"Fn::If": ["Production", 400, 30]}
    assert group["LogGroupName"] == {"Fn::Sub": "/aws/lambda/talktiko-${Stage}"}


# Limits of AWS (service quotas of 2026), which the local cloud does not enforce


@pytest.mark.parametrize("logical", of_type("AWS::SQS::Queue"))
def test_a_queues_times_are_ones_that_sqs_takes(logical: str) -> None:
    queue = TEMPLATE[logical]["Properties"]
    assert queue.get("DelaySeconds", 0) <= LONGEST_DELAY == 900
    assert queue.get("VisibilityTimeout", 0) <= 43_200
    assert queue["MessageRetentionPeriod"] <= 1_209_600


def test_functions_are_ones_that_lambda_and_the_gateway_take() -> None:
    assert CONFIG["lambda_timeout"] <= 29, "the gateway waits no longer"
    for stage in CONFIG["stages"]:
        variables = CONFIG["stages"][stage]["environment_variables"]
        assert len(json.dumps(variables)) < 4096
        for name in FUNCTIONS:
            function = CONFIG["lambda_functions"].get(name, CONFIG)
            assert function["lambda_timeout"] <= 900
            assert 128 <= function["lambda_memory_size"] <= 10_240
            assert len(f"talktiko-{stage}-{name}-event") <= 64, "names of functions, roles and rules"
            file = ROOT / ".chalice" / function["iam_policy_file"]
            assert len(json.dumps(json.loads(file.read_text()), separators=(",", ":"))) <= 10_240


def test_tables_have_no_more_indexes_than_dynamodb_takes() -> None:
    for table in of_type("AWS::DynamoDB::Table").values():
        assert len(table["Properties"].get("GlobalSecondaryIndexes", [])) <= 20


def test_the_api_has_no_more_resources_than_the_gateway_takes() -> None:
    parts = [path.strip("/").split("/") for path in app.routes]
    resources = {tuple(path[: n + 1]) for path in parts for n in range(len(path))}
    assert len(resources) <= 300


def test_the_stack_is_one_that_cloudformation_takes_in_a_request() -> None:
    assert len(stacks.dump(stacks.load(ROOT / RESOURCES)).encode()) <= stacks.INLINE_LIMIT
    assert len(TEMPLATE) <= 500


def test_a_path_position_has_one_variable_name() -> None:
    names: dict[str, set[str]] = defaultdict(set)
    for path in app.routes:
        parts = path.split("/")
        for at, part in enumerate(parts):
            if part.startswith("{"):
                before = re.sub(r"\{[^}]*\}", "{}", "/".join(parts[:at]))
                names[before].add(part)
    assert {before: found for before, found in names.items() if len(found) > 1} == {}


def test_every_slice_is_under_the_import_contracts() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    slices = {
        f"chalicelib.{folder.name}"
        for folder in (ROOT / "chalicelib").iterdir()
        if (folder / "__init__.py").exists() and folder.name != "core"
    }
    by_name = {contract["name"]: contract for contract in contracts}
    assert slices == set(by_name["core imports no slice"]["forbidden_modules"])
    assert slices == set(by_name["slices meet only through each other's service"]["modules"])
    assert slices == set(by_name["inside a slice, dependencies point one way"]["containers"])
