"""The least that somebody would deploy with Chalice: one route, one DynamoDB client, one item read."""

from typing import Any

import boto3
from chalice.app import Chalice

app = Chalice(app_name="hello")
dynamodb = boto3.client("dynamodb")


@app.route("/")
def index() -> dict[str, Any]:
    found = dynamodb.get_item(TableName="greetings", Key={"pk": {"S": "hello"}})
    return {"hello": "world", "known": "Item" in found}
