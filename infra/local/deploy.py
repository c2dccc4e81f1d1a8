"""Deploy into the local cloud what production gets: the templates of infra/ and the package Chalice builds.

Three stacks: `talktiko-local` holds the data (infra/resources.yaml), `talktiko-local-api` the functions and
the API, `talktiko-local-auditing` what auditors use (infra/auditing.yaml). Each carries the hash of what it
was made from as a tag, so that an unchanged one costs a single read.
"""

import contextlib
import hashlib
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from infra import packaging, stacks
from infra.local.cloud import REGION, REPOSITORY, Cloud
from infra.packaging import AUDITING, GATEWAY, PROJECT_FILES, RESOURCES
from infra.steps import step

STAGE = "local"
RESOURCES_STACK = "talktiko-local"
API_STACK = "talktiko-local-api"
AUDITING_STACK = "talktiko-local-auditing"
ARTIFACTS = "talktiko-local-artifacts"
LOCAL_GATEWAY = Path(__file__).with_name("gateway.yaml")


def deploy(cloud: Cloud, environment: dict[str, str] | None = None, project: Path = REPOSITORY) -> bool:
    """Bring the cloud to the state of `project`; `environment` adds to the functions' variables.

    Returns whether anything had to change.
    """
    variables = {"STAGE": STAGE, "PUBLIC_URL": cloud.base_url, **(environment or {})}
    data_changed = deploy_resources(cloud, project / RESOURCES)
    api_changed = _deploy_api(cloud, variables, project)
    auditing_changed = _deploy_auditing(cloud, project / AUDITING)
    return data_changed or api_changed or auditing_changed


# Data


def deploy_resources(cloud: Cloud, source: Path, stage: str = STAGE) -> bool:
    """Deploy the stack of a stage's data, if it has changed."""
    stack = f"talktiko-{stage}"
    content = _hash([source])
    if stacks.content_of(cloud.client, stack) == content:
        return False
    template = stacks.load(source)
    with step(f"deploying {source.name} as {stack}"):
        stacks.apply(cloud.client, stack, stacks.dump(template), {"Stage": stage}, content=content)
        expire_items(cloud, stack, template)
    return True


def expire_items(cloud: Cloud, stack: str, template: dict[str, Any]) -> None:
    """Turn on the expiry that each table of the template declares: MiniStack's CloudFormation skips it."""
    dynamodb = cloud.client("dynamodb")
    physical = stacks.resources(cloud.client, stack)
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


def _deploy_auditing(cloud: Cloud, source: Path) -> bool:
    """Deploy what auditors use, if it has changed. The account itself may assume their role."""
    content = _hash([source])
    if stacks.content_of(cloud.client, AUDITING_STACK) == content:
        return False
    account = cloud.client("sts").get_caller_identity()["Account"]
    parameters = {"Stage": STAGE, "AuditorArn": f"arn:aws:iam::{account}:root"}
    template = stacks.dump(stacks.load(source))
    with step(f"deploying {source.name} as {AUDITING_STACK}"):
        stacks.apply(cloud.client, AUDITING_STACK, template, parameters, content=content)
    return True


# Functions and API


def _deploy_api(cloud: Cloud, variables: dict[str, str], project: Path) -> bool:
    content = _hash(_sources(project), json.dumps(variables, sort_keys=True))
    if stacks.content_of(cloud.client, API_STACK) == content:
        return False
    build = cloud.state / "build"
    with step("building the package with Chalice"):
        packaging.copy_project(project, build, STAGE, variables)
        package = packaging.package(project, build, STAGE, REGION, [LOCAL_GATEWAY])
    with step(f"deploying it as {API_STACK}"):
        _make_artifact_bucket(cloud)
        template, packages = _upload_packages(cloud, package)
        stacks.apply(cloud.client, API_STACK, template, {}, content=content, bucket=ARTIFACTS)
        _prune_artifacts(cloud, packages)
    return True


def _sources(project: Path) -> list[Path]:
    """Every file that the package and its template are made from."""
    wanted = [project / name for name in PROJECT_FILES]
    files = [file for path in wanted for file in ([path] if path.is_file() else path.rglob("*"))]
    own = [file for file in files if file.is_file() and not set(packaging.BY_PRODUCTS) & set(file.parts)]
    return [*own, *(path for path in (project / GATEWAY, LOCAL_GATEWAY) if path.exists())]


def _hash(files: Iterable[Path], more: str = "") -> str:
    digest = hashlib.sha256(f"{more}\n{sys.version_info[:2]}".encode())
    for file in sorted(files):
        digest.update(f"\n{file.name}\n".encode() + file.read_bytes())
    return digest.hexdigest()


def _make_artifact_bucket(cloud: Cloud) -> None:
    s3 = cloud.client("s3")
    with contextlib.suppress(s3.exceptions.BucketAlreadyOwnedByYou):
        s3.create_bucket(Bucket=ARTIFACTS, CreateBucketConfiguration={"LocationConstraint": REGION})


def _upload_packages(cloud: Cloud, package: Path) -> tuple[str, set[str]]:
    """Upload the packages that the template names and name them by their place in S3."""
    template = (package / "sam.json").read_text()
    keys = set()
    for archive in package.glob("*.zip"):
        body = archive.read_bytes()
        key = f"{hashlib.sha256(body).hexdigest()}.zip"
        cloud.client("s3").put_object(Bucket=ARTIFACTS, Key=key, Body=body)
        template = template.replace(f'"./{archive.name}"', f'"s3://{ARTIFACTS}/{key}"')
        keys.add(key)
    return template, keys


def _prune_artifacts(cloud: Cloud, keep: set[str]) -> None:
    """Remove older packages: each is tens of megabytes and nothing reads it after its deploy."""
    s3 = cloud.client("s3")
    for item in s3.list_objects_v2(Bucket=ARTIFACTS).get("Contents", []):
        if item["Key"].endswith(".zip") and item["Key"] not in keep:
            s3.delete_object(Bucket=ARTIFACTS, Key=item["Key"])
