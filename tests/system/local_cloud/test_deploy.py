"""Deploying a small project: one stable address, expiry turned on, nothing done twice."""

import json
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from infra.local.cloud import Cloud
from infra.local.deploy import deploy

APP = """
import os
from chalice import Chalice

app = Chalice("talktiko")

@app.route("/api/{route}")
def answer():
    return {{"stage": os.environ["STAGE"], "url": os.environ["PUBLIC_URL"], "extra": os.environ["EXTRA"]}}
"""

RESOURCES = """
Parameters:
  Stage: {Type: String}
Resources:
  Things:
    Type: AWS::DynamoDB::Table
    Properties:
      TableName: !Sub talktiko-${Stage}-things
      BillingMode: PAY_PER_REQUEST
      KeySchema: [{AttributeName: id, KeyType: HASH}]
      AttributeDefinitions: [{AttributeName: id, AttributeType: S}]
      TimeToLiveSpecification: {Enabled: true, AttributeName: expires_at}
"""

AUDITING = """
Parameters:
  Stage: {Type: String}
  AuditorArn: {Type: String}
Resources:
  Everything:
    Type: AWS::Logs::QueryDefinition
    Properties:
      Name: !Sub talktiko-${Stage}/everything
      QueryString: fields @message
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("project")
    for folder in (".chalice", "chalicelib", "infra"):
        (root / folder).mkdir()
    config = {"version": "2.0", "app_name": "talktiko", "stages": {"local": {"api_gateway_stage": "v1"}}}
    (root / ".chalice" / "config.json").write_text(json.dumps(config))
    (root / "requirements.txt").touch()
    (root / "infra" / "resources.yaml").write_text(RESOURCES)
    (root / "infra" / "auditing.yaml").write_text(AUDITING)
    (root / "app.py").write_text(APP.format(route="first"))
    return root


def _get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=20) as answer:
        return json.load(answer)


def test_a_project_is_deployed_and_its_address_outlives_a_change_of_routes(
    bare_cloud: Cloud, project: Path
) -> None:
    assert deploy(bare_cloud, {"EXTRA": "1"}, project)
    first = _get(f"{bare_cloud.base_url}/api/first")
    assert first == {"stage": "local", "url": bare_cloud.base_url, "extra": "1"}
    assert not deploy(bare_cloud, {"EXTRA": "1"}, project), "an unchanged project is left alone"

    (project / "app.py").write_text(APP.format(route="second"))
    assert deploy(bare_cloud, {"EXTRA": "2"}, project)
    assert _get(f"{bare_cloud.base_url}/api/second")["extra"] == "2"

    dynamodb = bare_cloud.client("dynamodb")
    expiry = dynamodb.describe_time_to_live(TableName="talktiko-local-things")["TimeToLiveDescription"]
    assert expiry == {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires_at"}

    names = [found["FunctionName"] for found in bare_cloud.client("lambda").list_functions()["Functions"]]
    assert "talktiko-local" in names
