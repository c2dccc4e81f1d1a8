"""Chalice's record of a stage, rebuilt from what stands in AWS.

Chalice writes `.chalice/deployed/<stage>.json` once a deploy has ended well, on the machine that ran it. From
another machine, or after a deploy that died midway, it knows of nothing: it makes a second API, and a second
mapping on each queue. What is deployed is the better record, so every deploy begins with this one.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from infra.packaging import APP
from infra.stacks import Clients
from infra.steps import Failed

Entry = dict[str, Any]


def write(client: Clients, stage: str, api_stage: str, file: Path) -> list[Entry]:
    """Write the record to `file`; entries of other kinds that stand there (a custom domain) stay."""
    before = json.loads(file.read_text())["resources"] if file.exists() else []
    ours = [
        *_layers(client, stage),
        *_roles(client, stage),
        *_functions(client, stage),
        *_rules(client, stage),
        *_apis(client, stage, api_stage),
    ]
    kinds = {"lambda_layer", "iam_role", "lambda_function", "sqs_event", "cloudwatch_event", "rest_api"}
    others = [entry for entry in before if entry["resource_type"] not in kinds]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"resources": [*ours, *others], "schema_version": "2.0", "backend": "api"}))
    return ours


def api_id(entries: list[Entry]) -> str | None:
    return next((entry["rest_api_id"] for entry in entries if entry["resource_type"] == "rest_api"), None)


def _layers(client: Clients, stage: str) -> Iterator[Entry]:
    lambda_ = client("lambda")
    try:
        found = lambda_.list_layer_versions(LayerName=f"{APP}-{stage}-managed-layer")["LayerVersions"]
    except lambda_.exceptions.ResourceNotFoundException:
        return
    for version in found[:1]:
        arn = version["LayerVersionArn"]
        yield {"name": "managed-layer", "resource_type": "lambda_layer", "layer_version_arn": arn}


def _roles(client: Clients, stage: str) -> Iterator[Entry]:
    prefix = f"{APP}-{stage}-"
    for page in client("iam").get_paginator("list_roles").paginate():
        for role in page["Roles"]:
            if role["RoleName"].startswith(prefix):
                yield {
                    "name": f"{role['RoleName'].removeprefix(prefix)}_role",
                    "resource_type": "iam_role",
                    "role_arn": role["Arn"],
                    "role_name": role["RoleName"],
                }


def _functions(client: Clients, stage: str) -> Iterator[Entry]:
    for page in client("lambda").get_paginator("list_functions").paginate():
        for function in page["Functions"]:
            short = _short_name(function["FunctionName"], stage)
            if short is not None:
                arn = function["FunctionArn"]
                yield {"name": short, "resource_type": "lambda_function", "lambda_arn": arn}
                yield from _mappings(client, short, arn)


def _short_name(function: str, stage: str) -> str | None:
    """Chalice's name of one of the stage's functions."""
    if function == f"{APP}-{stage}":
        return "api_handler"
    prefix = f"{APP}-{stage}-"
    return function.removeprefix(prefix) if function.startswith(prefix) else None


def _mappings(client: Clients, function: str, arn: str) -> Iterator[Entry]:
    """The function's queue. A second mapping on it is a dead deploy's and is removed: each message would
    wait for either, and a batch's concurrency would count twice.
    """
    seen: set[str] = set()
    lambda_ = client("lambda")
    for page in lambda_.get_paginator("list_event_source_mappings").paginate(FunctionName=arn):
        for mapping in page["EventSourceMappings"]:
            queue = mapping["EventSourceArn"]
            if mapping.get("State") == "Deleting":
                continue
            if queue in seen:
                lambda_.delete_event_source_mapping(UUID=mapping["UUID"])
                continue
            seen.add(queue)
            yield {
                "name": f"{function}-sqs-event-source",
                "resource_type": "sqs_event",
                "queue_arn": queue,
                "event_uuid": mapping["UUID"],
                "queue": queue.rpartition(":")[2],
                "lambda_arn": arn,
            }


def _rules(client: Clients, stage: str) -> Iterator[Entry]:
    prefix = f"{APP}-{stage}-"
    for page in client("events").get_paginator("list_rules").paginate(NamePrefix=prefix):
        for rule in page["Rules"]:
            yield {
                "name": rule["Name"].removeprefix(prefix),
                "resource_type": "cloudwatch_event",
                "rule_name": rule["Name"],
            }


def _apis(client: Clients, stage: str, api_stage: str) -> Iterator[Entry]:
    """The stage's REST API. Every stage's has the same name, so its own is told by the function it calls."""
    gateway = client("apigateway")
    named = [
        api["id"]
        for page in gateway.get_paginator("get_rest_apis").paginate()
        for api in page["items"]
        if api["name"] == APP and f":function:{APP}-{stage}/" in _integration(gateway, api["id"])
    ]
    if len(named) > 1:
        raise Failed(
            f"There are several APIs of stage {stage}: {', '.join(named)}. A deploy from elsewhere made"
            " a second one. Find the one that clients use, and remove others: aws apigateway delete-rest-api"
        )
    for found in named:
        url = f"https://{found}.execute-api.{gateway.meta.region_name}.amazonaws.com/{api_stage}/"
        yield {"name": "rest_api", "resource_type": "rest_api", "rest_api_id": found, "rest_api_url": url}


def _integration(gateway: Any, api: str) -> str:
    """What the API's root path calls."""
    for page in gateway.get_paginator("get_resources").paginate(restApiId=api):
        for resource in page["items"]:
            if resource["path"] == "/" and "GET" in resource.get("resourceMethods", {}):
                found = gateway.get_integration(restApiId=api, resourceId=resource["id"], httpMethod="GET")
                return str(found.get("uri", ""))
    return ""
