"""Each function's policy allows what the function does, and nothing else without a reason.

What it does is what it did in all the other tests here. That it is allowed is also enforced: the system
tests run under these policies.
"""

import json
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from infra.local.cloud import REPOSITORY
from tests.store.conftest import Calls

CHALICE = REPOSITORY / ".chalice"
CONFIG = json.loads((CHALICE / "config.json").read_text())
POLICIES = {"api": CONFIG["iam_policy_file"]} | {
    name: function["iam_policy_file"] for name, function in CONFIG["lambda_functions"].items()
}
BY_LAMBDA = "Lambda itself does it by the function's role"
REASONS = {
    "logs:CreateLogGroup": BY_LAMBDA,
    "logs:CreateLogStream": BY_LAMBDA,
    "logs:PutLogEvents": BY_LAMBDA,
    "sqs:ReceiveMessage": BY_LAMBDA,
    "sqs:GetQueueAttributes": BY_LAMBDA,
    "sqs:DeleteMessage": BY_LAMBDA + ", and the worker where a part of a batch failed",
    "sqs:ChangeMessageVisibility": "the worker where a part of a batch failed",
    "sqs:GetQueueUrl": "asked once per container, here once for all functions",
    "xray:PutTraceSegments": BY_LAMBDA + " once tracing is on",
    "xray:PutTelemetryRecords": BY_LAMBDA + " once tracing is on",
    "s3:GetObject": "a presigned link may do what its signer may: the client calls, not the function",
    "s3:AbortMultipartUpload": "an export that fails midway",
}
"""Allowed though no test's call needs it. By action: the resource is named in the policy."""


def statements(function: str) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Action, resource and key aliases of everything that a policy allows."""
    for statement in json.loads((CHALICE / POLICIES[function]).read_text())["Statement"]:
        assert statement["Effect"] == "Allow"
        resources = statement["Resource"]
        condition = statement.get("Condition", {}).get("ForAnyValue:StringLike", {})
        aliases = condition.get("kms:ResourceAliases", ())
        for resource in [resources] if isinstance(resources, str) else resources:
            for action in statement["Action"]:
                yield action, resource, (aliases,) if isinstance(aliases, str) else tuple(aliases)


def covers(allowed: tuple[str, str, tuple[str, ...]], action: str, resource: str) -> bool:
    allowed_action, pattern, aliases = allowed
    if allowed_action != action:
        return False
    if action.startswith("kms:"):
        return any(fnmatchcase(resource, alias) for alias in aliases)
    return fnmatchcase(resource, pattern.rpartition(":")[2])


@pytest.fixture
def needed(_calls: Calls, request: pytest.FixtureRequest) -> set[tuple[str, str, str]]:
    """Function, action and resource of every call of the other tests; they must have run."""
    folder = Path(__file__).parent
    collected = {item.path.name for item in request.session.items}
    missing = {
        path.name for path in folder.glob("test_*.py") if "pytest.mark.proof" not in path.read_text()
    } - collected
    if missing:
        pytest.skip(f"compares with what all store tests call; not run: {', '.join(sorted(missing))}")
    return _calls.needed


@pytest.mark.parametrize("function", POLICIES)
def test_a_policy_allows_what_its_function_does(function: str, needed: set[tuple[str, str, str]]) -> None:
    allowed = list(statements(function))
    refused = {
        f"{action} on {resource}"
        for name, action, resource in needed
        if name == function and not any(covers(one, action, resource) for one in allowed)
    }
    assert refused == set()


@pytest.mark.parametrize("function", POLICIES)
def test_a_policy_allows_nothing_else(function: str, needed: set[tuple[str, str, str]]) -> None:
    done = [(action, resource) for name, action, resource in needed if name == function]
    unused = {
        f"{action} on {resource}"
        for action, resource, aliases in statements(function)
        if action not in REASONS and not any(covers((action, resource, aliases), *call) for call in done)
    }
    assert unused == set()


def test_every_reason_is_needed() -> None:
    allowed = {action for function in POLICIES for action, _, _ in statements(function)}
    assert set(REASONS) <= allowed
