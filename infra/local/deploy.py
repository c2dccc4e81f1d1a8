"""Deploy into the local cloud what production gets: the templates of infra/ and the package Chalice builds.

Two stacks: `talktiko-local` holds the data (infra/resources.yaml), `talktiko-local-api` the functions and the
API. Each carries the hash of what it was made from as a tag, so that an unchanged one costs a single read.
"""

import contextlib
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError
from chalice.package import YAMLTemplateSerializer

from infra.local.cloud import REGION, REPOSITORY, Cloud, LocalCloudError, step

STAGE = "local"
RESOURCES_STACK = "talktiko-local"
API_STACK = "talktiko-local-api"
ARTIFACTS = "talktiko-local-artifacts"
RESOURCES = "infra/resources.yaml"
GATEWAY = "infra/gateway.yaml"
LOCAL_GATEWAY = Path(__file__).with_name("gateway.yaml")
PROJECT_FILES = ("app.py", "chalicelib", "requirements.txt", ".chalice")
HASH_TAG = "content"
STACK_SECONDS = 300
NEVER_CREATED = (
    "ROLLBACK_COMPLETE",
    "ROLLBACK_FAILED",
    "CREATE_FAILED",
    "DELETE_FAILED",
    "REVIEW_IN_PROGRESS",
)


def deploy(cloud: Cloud, environment: dict[str, str] | None = None, project: Path = REPOSITORY) -> bool:
    """Bring the cloud to the state of `project`; `environment` adds to the functions' variables.

    Returns whether anything had to change.
    """
    variables = {"STAGE": STAGE, "PUBLIC_URL": cloud.base_url, **(environment or {})}
    data_changed = deploy_resources(cloud, project / RESOURCES)
    return _deploy_api(cloud, variables, project) or data_changed


# Templates


def _template(path: Path) -> dict[str, Any]:
    """A template as plain data, with `!Ref` and its like spelled out."""
    return dict(YAMLTemplateSerializer().load_template(path.read_text(), path.name))


def _json(template: dict[str, Any]) -> str:
    """YAML reads an unquoted policy version as a date."""
    return json.dumps(template, default=str)


# Stacks


def _deployed_hash(cloud: Cloud, stack: str) -> str | None:
    """The hash that a usable stack was made from; None when it must be deployed."""
    try:
        found = cloud.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
    except ClientError:
        return None
    if found["StackStatus"] not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
        return None
    return next((tag["Value"] for tag in found.get("Tags", []) if tag["Key"] == HASH_TAG), None)


def _exists(cloud: Cloud, stack: str) -> bool:
    """Whether the stack can be updated. One whose creation failed is removed first."""
    cloudformation = cloud.client("cloudformation")
    try:
        status = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"]
    except ClientError:
        return False
    if status in NEVER_CREATED:
        cloudformation.delete_stack(StackName=stack)
        _await_stack(cloud, stack)
        return False
    return bool(status != "DELETE_COMPLETE")


def _apply(cloud: Cloud, stack: str, template: str, content: str, parameters: dict[str, str]) -> None:
    """Create or update the stack through a change set and wait for the result."""
    url = _upload(cloud, f"{stack}-{content[:16]}.json", template.encode())
    cloudformation = cloud.client("cloudformation")
    change_set = f"c{time.time_ns()}"
    cloudformation.create_change_set(
        StackName=stack,
        ChangeSetName=change_set,
        ChangeSetType="UPDATE" if _exists(cloud, stack) else "CREATE",
        TemplateURL=url,
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
        Capabilities=["CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
        Tags=[{"Key": HASH_TAG, "Value": content}],
    )
    if _await_change_set(cloud, stack, change_set):
        cloudformation.execute_change_set(StackName=stack, ChangeSetName=change_set)
        status = _await_stack(cloud, stack)
        if status not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
            raise LocalCloudError(f"Stack {stack} ended as {status}:\n{_failures(cloud, stack)}")


def _await_change_set(cloud: Cloud, stack: str, change_set: str) -> bool:
    """Whether the change set holds a change."""
    deadline = time.monotonic() + STACK_SECONDS
    while True:
        found = cloud.client("cloudformation").describe_change_set(StackName=stack, ChangeSetName=change_set)
        if found["Status"] == "CREATE_COMPLETE":
            return True
        reason = found.get("StatusReason", "")
        if found["Status"] == "FAILED" and ("didn't contain changes" in reason or "No updates" in reason):
            return False
        if found["Status"] == "FAILED" or time.monotonic() > deadline:
            raise LocalCloudError(f"The template of stack {stack} was refused: {reason or found['Status']}")
        time.sleep(0.1)


def _await_stack(cloud: Cloud, stack: str) -> str:
    deadline = time.monotonic() + STACK_SECONDS
    while time.monotonic() < deadline:
        try:
            status = str(
                cloud.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"]
            )
        except ClientError:
            return "DELETE_COMPLETE"
        if not status.endswith("IN_PROGRESS"):
            return status
        time.sleep(0.1)
    raise LocalCloudError(f"Stack {stack} was not done after {STACK_SECONDS} s. See {cloud.log_file}")


def _failures(cloud: Cloud, stack: str) -> str:
    events = cloud.client("cloudformation").describe_stack_events(StackName=stack)["StackEvents"]
    failed = [event for event in events if event["ResourceStatus"].endswith("FAILED")]
    return "\n".join(
        f"  {event['LogicalResourceId']}: {event.get('ResourceStatusReason', '')}" for event in failed
    )


def _upload(cloud: Cloud, key: str, body: bytes) -> str:
    s3 = cloud.client("s3")
    s3.put_object(Bucket=ARTIFACTS, Key=key, Body=body)
    return f"{cloud.endpoint_url}/{ARTIFACTS}/{key}"


def _make_artifact_bucket(cloud: Cloud) -> None:
    s3 = cloud.client("s3")
    with contextlib.suppress(s3.exceptions.BucketAlreadyOwnedByYou):
        s3.create_bucket(Bucket=ARTIFACTS, CreateBucketConfiguration={"LocationConstraint": REGION})


def _prune_artifacts(cloud: Cloud, keep: set[str]) -> None:
    """Remove older packages: each is tens of megabytes and nothing reads it after its deploy."""
    s3 = cloud.client("s3")
    for item in s3.list_objects_v2(Bucket=ARTIFACTS).get("Contents", []):
        if item["Key"].endswith(".zip") and item["Key"] not in keep:
            s3.delete_object(Bucket=ARTIFACTS, Key=item["Key"])


# Data


def deploy_resources(cloud: Cloud, source: Path) -> bool:
    if not source.exists():
        return False
    content = _hash([source])
    if _deployed_hash(cloud, RESOURCES_STACK) == content:
        return False
    template = _template(source)
    with step(f"deploying {source.name} as {RESOURCES_STACK}"):
        _make_artifact_bucket(cloud)
        _apply(cloud, RESOURCES_STACK, _json(template), content, {"Stage": STAGE})
        _expire_items(cloud, template)
    return True


def _expire_items(cloud: Cloud, template: dict[str, Any]) -> None:
    """Turn on the expiry that each table of the template declares: MiniStack's CloudFormation skips it."""
    dynamodb = cloud.client("dynamodb")
    physical = _resources_of(cloud, RESOURCES_STACK)
    for name, resource in template["Resources"].items():
        wanted = resource.get("Properties", {}).get("TimeToLiveSpecification")
        if resource["Type"] != "AWS::DynamoDB::Table" or not wanted:
            continue
        found = dynamodb.describe_time_to_live(TableName=physical[name])["TimeToLiveDescription"]
        if found["TimeToLiveStatus"] != "ENABLED":
            dynamodb.update_time_to_live(
                TableName=physical[name],
                TimeToLiveSpecification={"Enabled": True, "AttributeName": wanted["AttributeName"]},
            )


def _resources_of(cloud: Cloud, stack: str) -> dict[str, str]:
    pages = cloud.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=stack)
    return {
        item["LogicalResourceId"]: item["PhysicalResourceId"]
        for page in pages
        for item in page["StackResourceSummaries"]
    }


# Functions and API


def _deploy_api(cloud: Cloud, variables: dict[str, str], project: Path) -> bool:
    content = _hash(_sources(project), json.dumps(variables, sort_keys=True))
    if _deployed_hash(cloud, API_STACK) == content:
        return False
    build = cloud.state / "build"
    with step("building the package with Chalice"):
        _copy_project(project, build, variables)
        (build / "merge.json").write_text(_json(_merged_gateway(project)))
        _package(build)
    with step(f"deploying it as {API_STACK}"):
        _make_artifact_bucket(cloud)
        template, packages = _upload_packages(cloud, build / "package")
        _apply(cloud, API_STACK, template, content, {})
        _prune_artifacts(cloud, packages)
    return True


def _sources(project: Path) -> list[Path]:
    """Every file that the package and its template are made from."""
    wanted = [project / name for name in PROJECT_FILES]
    files = [file for path in wanted for file in ([path] if path.is_file() else path.rglob("*"))]
    own = [file for file in files if file.is_file() and not _is_by_product(file)]
    return [*own, *(path for path in (project / GATEWAY, LOCAL_GATEWAY) if path.exists())]


def _is_by_product(file: Path) -> bool:
    return bool({"__pycache__", "deployments", "deployed", ".mypy_cache"} & set(file.parts))


def _hash(files: Iterable[Path], more: str = "") -> str:
    digest = hashlib.sha256(f"{more}\n{sys.version_info[:2]}".encode())
    for file in sorted(files):
        digest.update(f"\n{file.name}\n".encode() + file.read_bytes())
    return digest.hexdigest()


def _copy_project(project: Path, build: Path, variables: dict[str, str]) -> None:
    """Copy the project to where its configuration may differ; Chalice's cache of built layers stays there."""
    for name in ("app.py", "chalicelib", "requirements.txt"):
        target = build / name
        shutil.rmtree(target, ignore_errors=True)
        if (project / name).is_dir():
            shutil.copytree(project / name, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(project / name, target)
    ignored = shutil.ignore_patterns("deployments", "deployed")
    shutil.copytree(project / ".chalice", build / ".chalice", ignore=ignored, dirs_exist_ok=True)
    config = json.loads((project / ".chalice" / "config.json").read_text())
    stage = config.setdefault("stages", {}).setdefault(STAGE, {})
    stage.setdefault("environment_variables", {}).update(variables)
    (build / ".chalice" / "config.json").write_text(json.dumps(config, indent=2))


def _merged_gateway(project: Path) -> dict[str, Any]:
    """What the merge template adds to Chalice's own: the shared part and the local part."""
    merged: dict[str, Any] = {}
    for path in (project / GATEWAY, LOCAL_GATEWAY):
        if path.exists():
            _merge(merged, _template(path))
    return merged


def _merge(into: dict[str, Any], more: dict[str, Any]) -> None:
    for key, value in more.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value


def _package(build: Path) -> None:
    """Run `chalice package`, free of the shell's AWS profile."""
    shutil.rmtree(build / "package", ignore_errors=True)
    shell = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
    chalice = [str(Path(sys.executable).with_name("chalice")), "--project-dir", str(build)]
    merging = ["--stage", STAGE, "--merge-template", str(build / "merge.json")]
    done = subprocess.run(
        [*chalice, "package", *merging, str(build / "package")],
        env={**shell, "AWS_DEFAULT_REGION": REGION},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise LocalCloudError(f"chalice package failed:\n{(done.stdout + done.stderr)[-4000:]}")


def _upload_packages(cloud: Cloud, package: Path) -> tuple[str, set[str]]:
    """Upload the packages that the template names and name them by their place in S3."""
    template = json.dumps(_with_plain_names(json.loads((package / "sam.json").read_text())))
    keys = set()
    for archive in package.glob("*.zip"):
        key = f"{hashlib.sha256(archive.read_bytes()).hexdigest()}.zip"
        _upload(cloud, key, archive.read_bytes())
        template = template.replace(f'"./{archive.name}"', f'"s3://{ARTIFACTS}/{key}"')
        keys.add(key)
    return template, keys


def _with_plain_names(template: dict[str, Any]) -> dict[str, Any]:
    """Name the functions as `chalice deploy` does, so that log groups and permissions can name them too."""
    for logical, resource in template["Resources"].items():
        if resource["Type"] == "AWS::Serverless::Function":
            suffix = "" if logical == "APIHandler" else re.sub(r"(?=[A-Z])", "-", logical).lower()
            resource["Properties"].setdefault("FunctionName", f"talktiko-{STAGE}{suffix}")
    return template
