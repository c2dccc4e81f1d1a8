"""What AWS would refuse or punish, and the local cloud does not."""

import json
import re
import tomllib
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from chalice.app import SQSEventConfig
from chalice.package import YAMLTemplateSerializer

from app import app

ROOT = Path(__file__).parents[3]
CONFIG: dict[str, Any] = json.loads((ROOT / ".chalice" / "config.json").read_text())
TEMPLATE: dict[str, Any] = YAMLTemplateSerializer().load_template(
    (ROOT / "infra" / "resources.yaml").read_text(), "resources.yaml"
)["Resources"]
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
    logical, queue = queue_of(source)
    assert queue["VisibilityTimeout"] >= 6 * CONFIG["lambda_functions"][source.name]["lambda_timeout"]
    dead_letters = queue["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"][0]
    assert TEMPLATE[dead_letters]["Type"] == "AWS::SQS::Queue"
    alarmed = [
        dimension["Value"]["Fn::GetAtt"][0]
        for resource in TEMPLATE.values()
        if resource["Type"] == "AWS::CloudWatch::Alarm"
        for dimension in resource["Properties"]["Dimensions"]
    ]
    assert dead_letters in alarmed, f"no alarm on the dead letters of {logical}"


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


@pytest.mark.parametrize("name", ["api", *CONFIG["lambda_functions"]])
def test_a_function_may_write_its_logs_and_nothing_on_everything(name: str) -> None:
    statements = policy_of(name)
    assert any("logs:PutLogEvents" in statement["Action"] for statement in statements)
    for statement in statements:
        assert not [action for action in statement["Action"] if "*" in action]
        resources = statement["Resource"]
        resources = [resources] if isinstance(resources, str) else resources
        assert "*" not in resources
        assert all("talktiko-" in one or "Condition" in statement for one in resources)


def test_every_table_keeps_backups_is_encrypted_and_survives_the_stack() -> None:
    for resource in TEMPLATE.values():
        if resource["Type"] == "AWS::DynamoDB::Table":
            assert resource["DeletionPolicy"] == resource["UpdateReplacePolicy"] == "Retain"
            assert resource["Properties"]["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"]
            assert resource["Properties"]["SSESpecification"]["SSEType"] == "KMS"


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
