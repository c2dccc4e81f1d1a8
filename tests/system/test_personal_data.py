"""A member's data against the deployed local cloud, under the policies of its functions."""

import io
import json
import secrets
import time
import zipfile
from typing import Any
from urllib.request import urlopen

import pytest

from tests.conftest import LocalCloud
from tests.system.client import Client

PASSWORD = "correct horse"
TABLE = "talktiko-local-institutions"


@pytest.fixture
def member(anyone: Client, owner: Client, local_cloud: LocalCloud) -> dict[str, str]:
    """A learner of the demo school and of nothing else; members cannot be added over HTTP yet."""
    email, institution_id = f"{secrets.token_hex(6)}@example.org", _me(owner)["institution_id"]
    signed_up = anyone.call(
        "POST", "/api/auth/sign-up", {"email": email, "password": PASSWORD, "name": "Ana Ito"}
    )
    assert signed_up.status == 201
    account = {"email": email, "password": PASSWORD}
    signed_in = anyone.call("POST", "/api/auth/sign-in", account).body["data"]
    public, user_id = _me(Client(anyone.base_url, signed_in["token"])), signed_in["user"]["id"]
    dynamodb, member_id = local_cloud.client("dynamodb"), public["member_id"][:-4] + "ZZZZ"
    key = {"pk": {"S": public["institution_id"]}, "sk": {"S": public["member_id"]}}
    item = dynamodb.get_item(TableName=TABLE, Key=key)["Item"]
    dynamodb.delete_item(TableName=TABLE, Key=key)
    user = {"pk": {"S": f"USER#{user_id}"}}
    dynamodb.delete_item(TableName=TABLE, Key=user | {"sk": {"S": public["institution_id"]}})
    item.pop("token_ids")
    dynamodb.put_item(TableName=TABLE, Item=item | {"pk": {"S": institution_id}, "sk": {"S": member_id}})
    membership = {"sk": {"S": institution_id}, "member_id": {"S": member_id}}
    dynamodb.put_item(TableName=TABLE, Item=user | membership)
    return account | {"institution_id": institution_id, "id": member_id}


def _me(client: Client) -> dict[str, str]:
    me: dict[str, str] = client.get("/api/auth/me").body["data"]
    return me


def completed(owner: Client, path: str, status: int) -> dict[str, Any]:
    asked = owner.call("POST", path)
    assert asked.status == status, asked.body
    deadline = time.monotonic() + 60
    while True:
        request: dict[str, Any] = owner.get(
            f"/api/integrations/data-requests/{asked.body['data']['id']}"
        ).body["data"]
        if request["status"] != "queued":
            assert request["status"] == "completed"
            return request
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_a_member_is_exported_and_erased(anyone: Client, owner: Client, member: dict[str, str]) -> None:
    credentials = {name: member[name] for name in ("email", "password", "institution_id")}
    signed_in = anyone.call("POST", "/api/auth/sign-in", credentials)
    assert signed_in.status == 200, signed_in.body
    learner = Client(anyone.base_url, signed_in.body["data"]["token"])
    item = learner.rows("/api/trainingItems?type=cloze")[0]
    answered = learner.call(
        "POST", f"/api/trainingItems/{item['id']}/attempts", {"answer": None, "duration_ms": 900}
    )
    assert answered.status == 201

    path = f"/api/integrations/learners/{member['id']}"
    request = completed(owner, f"{path}/data-exports", 201)
    link = owner.get(f"/api/integrations/data-requests/{request['id']}/download?redirect=false").body["data"]
    with urlopen(link["url"], timeout=10) as response:
        archive = zipfile.ZipFile(io.BytesIO(response.read()))
    assert json.loads(archive.read("account.json"))[0]["email"] == member["email"]
    assert len(json.loads(archive.read("learning-attempt.json"))) == 1

    erased = completed(owner, f"{path}/erasure", 202)
    assert erased["learner_id"] == member["id"]
    assert learner.get("/api/auth/me").status == 401
    unknown = anyone.call("POST", "/api/auth/sign-in", credentials | {"email": "nobody@example.org"})
    refused = anyone.call("POST", "/api/auth/sign-in", credentials)
    assert (refused.status, refused.body["detail"]) == (unknown.status, unknown.body["detail"])
    gone = owner.get(f"/api/integrations/data-requests/{request['id']}/download")
    assert gone.status == 404
    again = anyone.call(
        "POST", "/api/auth/sign-up", {"email": member["email"], "password": PASSWORD, "name": "Ana Ito"}
    )
    assert again.status == 201, "the address is free again"
