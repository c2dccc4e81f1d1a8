"""Bring a stage to the state of this project: `python -m infra.deploy deploy|package STAGE`.

`deploy` does what there is to do in order and may be repeated at any time, also after it died midway.
`package` builds the same as CloudFormation templates and archives, and prints the commands that deploy them.
AWS credentials and region come from where boto3 looks for them.
"""

import argparse
import contextlib
import json
import os
import shutil
import sys
import time
import urllib.error
import urllib.request
from functools import cache
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from infra import packaging, record, stacks
from infra.packaging import APP, AUDITING, RESOURCES, ZIPPED_LIMIT
from infra.steps import Failed, step

PROJECT = Path(__file__).resolve().parents[1]
PARAMETERS = {
    RESOURCES: {
        "EXPORTS_BUCKET": "ExportsBucketName",
        "MEDIA_BUCKET": "MediaBucketName",
        "ALARM_TOPIC_ARN": "AlarmTopicArn",
    },
    AUDITING: {"AUDITOR_ARN": "AuditorArn"},
}
"""Parameters of a template's stack that the shell may give; without it they keep their value."""
SMOKE_SECONDS = 60


def deploy(stage: str) -> None:
    """Stack, functions and API, the gateway's own answers, what auditors use, a first request."""
    _check_target(stage)
    build = PROJECT / "build" / stage
    entries_file = build / ".chalice" / "deployed" / f"{stage}.json"
    api_stage = str(_config()["stages"][stage]["api_gateway_stage"])
    with step(f"stack {APP}-{stage}: tables, queues, keys, bucket, alarms"):
        _deploy_stack(f"{APP}-{stage}", RESOURCES, stage)
        if stage == "prod":
            _client("cloudformation").update_termination_protection(
                StackName=f"{APP}-{stage}", EnableTerminationProtection=True
            )
    with step("reading what is deployed"):
        packaging.copy_project(PROJECT, build, stage, _variables(stage))
        _copy(PROJECT / ".chalice" / "deployed" / f"{stage}.json", entries_file)
        record.write(_client, stage, api_stage, entries_file)
    with step(f"chalice deploy --stage {stage}", talkative=True):
        packaging.chalice(build, "deploy", "--stage", stage, environment=os.environ)
        _copy(entries_file, PROJECT / ".chalice" / "deployed" / f"{stage}.json")
    entries = json.loads(entries_file.read_text())["resources"]
    api = record.api_id(entries)
    if api is None:
        raise Failed("Chalice recorded no API.")
    with step("what the gateway itself answers"):
        _put_gateway_responses(api, api_stage)
    if not _is_traced(stage):
        with step("tracing is off"):
            _stop_tracing(entries)
    with step(f"stack {APP}-{stage}-auditing: saved queries, auditor's role, dashboard"):
        _deploy_stack(f"{APP}-{stage}-auditing", AUDITING, stage)
    url = _url(api, api_stage)
    with step(f"first request: GET {url}/api/openapi.json"):
        _smoke(f"{url}/api/openapi.json")
    print(f"{url}/api")


def package(stage: str) -> None:
    """Templates and archives in build/<stage>, and what to do with them."""
    bucket = os.environ.get("EXPORTS_BUCKET")
    build = PROJECT / "build" / stage
    with step(f"building the package of stage {stage}"):
        packaging.copy_project(PROJECT, build, stage, {"EXPORTS_BUCKET": bucket} if bucket else {})
        folder = packaging.package(PROJECT, build, stage, _region())
    for name, (zipped, unpacked) in packaging.sizes(folder).items():
        print(f"{name:<22} {zipped / 1e6:5.1f} MB zipped, {unpacked / 1e6:5.1f} MB unpacked")
        if zipped > ZIPPED_LIMIT:
            raise Failed(f"{name} is over the {ZIPPED_LIMIT / 1e6:.0f} MB that Lambda takes of an archive.")
    template = (folder / "sam.json").relative_to(PROJECT)
    packaged = template.with_name("packaged.json")
    parameters = f"Stage={stage}" + (f" ExportsBucketName={bucket}" if bucket else "")
    auditor = os.environ.get("AUDITOR_ARN")
    auditing = f"Stage={stage}" + (f" AuditorArn={auditor}" if auditor else "")
    print(f"""
Deploy it with a bucket of yours for the archives:

  aws cloudformation deploy --stack-name {APP}-{stage} --template-file {RESOURCES} \\
    --parameter-overrides {parameters} --no-fail-on-empty-changeset
  aws cloudformation package --template-file {template} --s3-bucket BUCKET \\
    --use-json --output-template-file {packaged}
  aws cloudformation deploy --stack-name {APP}-{stage}-api --template-file {packaged} --s3-bucket BUCKET \\
    --capabilities CAPABILITY_IAM CAPABILITY_AUTO_EXPAND --no-fail-on-empty-changeset
  aws cloudformation deploy --stack-name {APP}-{stage}-auditing --template-file {AUDITING} \\
    --parameter-overrides {auditing} --capabilities CAPABILITY_NAMED_IAM --no-fail-on-empty-changeset

A stage is deployed this way or by `make deploy`, not by both: the functions have the same names.""")


@cache
def _client(service: str) -> Any:
    make: Any = boto3.client
    return make(service)


def _region() -> str:
    region = boto3.session.Session().region_name
    if region is None:
        raise Failed("No AWS region is set. Set AWS_DEFAULT_REGION, or a region in your AWS profile.")
    return region


def _config() -> dict[str, Any]:
    config: dict[str, Any] = json.loads((PROJECT / ".chalice" / "config.json").read_text())
    return config


def _is_traced(stage: str) -> bool:
    return bool(_config()["stages"][stage].get("xray", _config().get("xray")))


def _copy(source: Path, target: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)


def _check_target(stage: str) -> None:
    _region()
    address = _client("cloudformation").meta.endpoint_url
    if stage == "local" and not address.startswith("http://localhost:"):
        raise Failed("Stage local sends webhooks to its own machine: it is for a local cloud, not for AWS.")
    if stacks.exists(_client, f"{APP}-{stage}-api"):
        raise Failed(f"CloudFormation deployed this stage (stack {APP}-{stage}-api): see make package.")


def _deploy_stack(stack: str, source: str, stage: str) -> None:
    given = {
        parameter: os.environ[name] for name, parameter in PARAMETERS[source].items() if os.environ.get(name)
    }
    stacks.apply(_client, stack, stacks.dump(stacks.load(PROJECT / source)), {"Stage": stage, **given})


def _variables(stage: str) -> dict[str, str]:
    """What the functions must be told of the stack."""
    return {"EXPORTS_BUCKET": stacks.outputs(_client, f"{APP}-{stage}")["ExportsBucketName"]}


def _put_gateway_responses(api: str, api_stage: str) -> None:
    """Chalice imports the API anew without them; they hold once the API is deployed again."""
    gateway = _client("apigateway")
    for resource in stacks.load(PROJECT / packaging.GATEWAY)["Resources"].values():
        answer = resource["Properties"]
        gateway.put_gateway_response(
            restApiId=api,
            responseType=answer["ResponseType"],
            statusCode=answer["StatusCode"],
            responseParameters=answer["ResponseParameters"],
            responseTemplates=answer["ResponseTemplates"],
        )
    gateway.create_deployment(restApiId=api, stageName=api_stage)


def _stop_tracing(entries: list[record.Entry]) -> None:
    """Chalice turns tracing on and never off again."""
    lambda_ = _client("lambda")
    for name in (entry["lambda_arn"] for entry in entries if entry["resource_type"] == "lambda_function"):
        if lambda_.get_function_configuration(FunctionName=name)["TracingConfig"]["Mode"] == "Active":
            lambda_.update_function_configuration(FunctionName=name, TracingConfig={"Mode": "PassThrough"})


def _url(api: str, api_stage: str) -> str:
    """Where clients reach the stage. API_URL says otherwise, `{api}` in it is the API's id."""
    configured = os.environ.get("API_URL")
    if configured:
        return configured.format(api=api)
    return f"https://{api}.execute-api.{_region()}.amazonaws.com/{api_stage}"


def _smoke(url: str) -> None:
    """One request through gateway, function, layer, policy and table (the limit of its address is counted).

    A new deployment takes the gateway a moment.
    """
    deadline = time.monotonic() + SMOKE_SECONDS
    while True:
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310 (our own)
                json.load(answer)
                return
        except (OSError, ValueError) as error:
            if time.monotonic() > deadline:
                raise Failed(f"GET {url}: {error}. Look into the log of {APP}-<stage>.") from error
            time.sleep(1)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="infra.deploy", description=__doc__)
    parser.add_argument("command", choices=("deploy", "package"))
    parser.add_argument("stage", choices=list(_config()["stages"]))
    given = parser.parse_args(arguments)
    try:
        {"deploy": deploy, "package": package}[given.command](given.stage)
    except Failed as error:
        print(f"\n{error}", file=sys.stderr)
    except (BotoCoreError, ClientError) as error:
        print(f"\nAWS refused: {error}", file=sys.stderr)
    else:
        return 0
    print("Mend the cause and run the same command again: what is done is left as it is.", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
