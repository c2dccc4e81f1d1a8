"""CloudFormation stacks, brought to a template's state whatever state they are in."""

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError
from chalice.package import YAMLTemplateSerializer

from infra.steps import Failed

Clients = Callable[[str], Any]
"""Makes the boto3 client of a service."""

INLINE_LIMIT = 51_200
"""Bytes of a template that a request itself may hold; a longer one is read from S3."""
LASTING_SECONDS = 1800
CONTENT_TAG = "content"
NEVER_CREATED = (
    "ROLLBACK_COMPLETE",
    "ROLLBACK_FAILED",
    "CREATE_FAILED",
    "DELETE_FAILED",
    "REVIEW_IN_PROGRESS",
)


def load(path: Path) -> dict[str, Any]:
    """A template as plain data, with `!Ref` and its like spelled out."""
    return dict(YAMLTemplateSerializer().load_template(path.read_text(), path.name))


def dump(template: Mapping[str, Any]) -> str:
    """YAML reads an unquoted policy version as a date."""
    return json.dumps(template, default=str)


def content_of(client: Clients, stack: str) -> str | None:
    """The content that a usable stack was made from; None when it must be deployed."""
    found = _describe(client, stack)
    if found is None or found["StackStatus"] not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
        return None
    return next((tag["Value"] for tag in found.get("Tags", []) if tag["Key"] == CONTENT_TAG), None)


def apply(
    client: Clients,
    stack: str,
    template: str,
    parameters: Mapping[str, str],
    *,
    content: str | None = None,
    bucket: str | None = None,
) -> None:
    """Create or update the stack through a change set and wait for the result.

    A parameter that is not named keeps its value. `content` is remembered for `content_of`; `bucket` holds
    the template where it is too long for a request.
    """
    exists = _can_be_updated(client, stack)
    cloudformation = client("cloudformation")
    change_set = f"c{time.time_ns()}"
    cloudformation.create_change_set(
        StackName=stack,
        ChangeSetName=change_set,
        ChangeSetType="UPDATE" if exists else "CREATE",
        **_source(client, stack, template, bucket),
        Parameters=_parameters(client, stack, template, parameters, exists=exists),
        Capabilities=["CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
        Tags=[{"Key": CONTENT_TAG, "Value": content}] if content else [],
    )
    if _await_change_set(client, stack, change_set):
        cloudformation.execute_change_set(StackName=stack, ChangeSetName=change_set)
        status = _await(client, stack)
        if status not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
            raise Failed(f"Stack {stack} ended as {status}:\n{_failures(client, stack)}")


def exists(client: Clients, stack: str) -> bool:
    return _describe(client, stack) is not None


def outputs(client: Clients, stack: str) -> dict[str, str]:
    found = _describe(client, stack) or {}
    return {output["OutputKey"]: output["OutputValue"] for output in found.get("Outputs", [])}


def resources(client: Clients, stack: str) -> dict[str, str]:
    """Physical id by logical id."""
    pages = client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=stack)
    return {
        item["LogicalResourceId"]: item["PhysicalResourceId"]
        for page in pages
        for item in page["StackResourceSummaries"]
    }


def _describe(client: Clients, stack: str) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
    except ClientError as error:
        if error.response["Error"]["Code"] == "ValidationError":
            return None
        raise
    return found


def _can_be_updated(client: Clients, stack: str) -> bool:
    """Whether there is a stack to update. One whose creation failed is removed first; one that somebody
    else is changing is waited for.
    """
    found = _describe(client, stack)
    if found is None:
        return False
    status = _await(client, stack) if found["StackStatus"] != "REVIEW_IN_PROGRESS" else found["StackStatus"]
    if status in NEVER_CREATED:
        client("cloudformation").delete_stack(StackName=stack)
        _await(client, stack)
        return False
    return status != "DELETE_COMPLETE"


def _source(client: Clients, stack: str, template: str, bucket: str | None) -> dict[str, str]:
    if len(template.encode()) <= INLINE_LIMIT:
        return {"TemplateBody": template}
    if bucket is None:
        raise Failed(f"The template of {stack} is over {INLINE_LIMIT} bytes and there is no bucket for it.")
    s3 = client("s3")
    s3.put_object(Bucket=bucket, Key=f"{stack}.json", Body=template.encode())
    return {"TemplateURL": f"{s3.meta.endpoint_url}/{bucket}/{stack}.json"}


def _parameters(
    client: Clients, stack: str, template: str, given: Mapping[str, str], *, exists: bool
) -> list[dict[str, Any]]:
    before = (_describe(client, stack) or {}).get("Parameters", []) if exists else []
    known = {parameter["ParameterKey"] for parameter in before}
    kept = [
        name for name in json.loads(template).get("Parameters", {}) if name in known and name not in given
    ]
    return [
        *({"ParameterKey": name, "ParameterValue": value} for name, value in given.items()),
        *({"ParameterKey": name, "UsePreviousValue": True} for name in kept),
    ]


def _await_change_set(client: Clients, stack: str, change_set: str) -> bool:
    """Whether the change set holds a change."""
    deadline = time.monotonic() + LASTING_SECONDS
    while True:
        found = client("cloudformation").describe_change_set(StackName=stack, ChangeSetName=change_set)
        if found["Status"] == "CREATE_COMPLETE":
            return True
        reason = found.get("StatusReason", "")
        if found["Status"] == "FAILED" and ("didn't contain changes" in reason or "No updates" in reason):
            client("cloudformation").delete_change_set(StackName=stack, ChangeSetName=change_set)
            return False
        if found["Status"] == "FAILED" or time.monotonic() > deadline:
            raise Failed(f"The template of stack {stack} was refused: {reason or found['Status']}")
        _pause(client)


def _await(client: Clients, stack: str) -> str:
    deadline = time.monotonic() + LASTING_SECONDS
    while time.monotonic() < deadline:
        found = _describe(client, stack)
        status = str(found["StackStatus"]) if found else "DELETE_COMPLETE"
        if not status.endswith("IN_PROGRESS"):
            return status
        _pause(client)
    raise Failed(f"Stack {stack} was not done after {LASTING_SECONDS} s.")


def _pause(client: Clients) -> None:
    """AWS counts calls; a cloud on this machine answers at once."""
    time.sleep(0.1 if client("cloudformation").meta.endpoint_url.startswith("http://") else 3)


def _failures(client: Clients, stack: str) -> str:
    events = client("cloudformation").describe_stack_events(StackName=stack)["StackEvents"]
    failed = [event for event in events if event["ResourceStatus"].endswith("FAILED")]
    return "\n".join(
        f"  {event['LogicalResourceId']}: {event.get('ResourceStatusReason', '')}" for event in failed
    )
