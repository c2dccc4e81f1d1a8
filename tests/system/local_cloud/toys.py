"""Small functions, roles and waits with which the tests look into the local cloud."""

import io
import json
import time
import zipfile
from collections.abc import Callable
from typing import Any

from infra.local.cloud import Cloud

ACCOUNT = "000000000000"


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(action: str | list[str], resource: str, **conditions: Any) -> dict[str, Any]:
    statement: dict[str, Any] = {"Effect": "Allow", "Action": action, "Resource": resource}
    return {**statement, "Condition": conditions} if conditions else statement


def role(cloud: Cloud, name: str, *statements: dict[str, Any]) -> str:
    """Make a role that a function or we may take; return its ARN."""
    iam = cloud.client("iam")
    trust = {
        "Effect": "Allow",
        "Action": "sts:AssumeRole",
        "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root", "Service": "lambda.amazonaws.com"},
    }
    arn: str = iam.create_role(RoleName=name, AssumeRolePolicyDocument=policy(trust))["Role"]["Arn"]
    iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=policy(*statements))
    return arn


def client_as(cloud: Cloud, role_arn: str, service: str) -> Any:
    """A client that may do what the role may."""
    given = cloud.client("sts").assume_role(RoleArn=role_arn, RoleSessionName="test")["Credentials"]
    make: Any = cloud.session().client
    return make(
        service,
        endpoint_url=cloud.endpoint_url,
        aws_access_key_id=given["AccessKeyId"],
        aws_secret_access_key=given["SecretAccessKey"],
        aws_session_token=given["SessionToken"],
    )


def function(cloud: Cloud, name: str, source: str, role_arn: str) -> str:
    """Make a function of one module with a `handler`; return its ARN."""
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("toy.py", source)
    created = cloud.client("lambda").create_function(
        FunctionName=name,
        Runtime="python3.11",
        Handler="toy.handler",
        Role=role_arn,
        Timeout=20,
        Code={"ZipFile": package.getvalue()},
    )
    arn: str = created["FunctionArn"]
    return arn


def invoke(cloud: Cloud, name: str, payload: Any = None) -> Any:
    answer = cloud.client("lambda").invoke(FunctionName=name, Payload=json.dumps(payload).encode())
    result = json.loads(answer["Payload"].read())
    assert "FunctionError" not in answer, result
    return result


def log_text(cloud: Cloud, name: str) -> str:
    logs = cloud.client("logs")
    try:
        events = logs.filter_log_events(logGroupName=f"/aws/lambda/{name}")["events"]
    except logs.exceptions.ResourceNotFoundException:
        return ""
    return "\n".join(event["message"] for event in events)


def eventually(holds: Callable[[], bool], what: str, seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(0.1)
