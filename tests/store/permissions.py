"""Which permissions an AWS call needs: what IAM calls the action, and the name of what it acts on."""

from collections.abc import Iterator
from typing import Any

Needed = tuple[str, str]

_TRANSACTED = {
    "Put": "PutItem",
    "Update": "UpdateItem",
    "Delete": "DeleteItem",
    "ConditionCheck": "ConditionCheckItem",
    "Get": "GetItem",
}
_OF_S3 = {
    "CreateMultipartUpload": "PutObject",
    "UploadPart": "PutObject",
    "CompleteMultipartUpload": "PutObject",
    "ListParts": "ListMultipartUploadParts",
}


def needed(model: Any, request: dict[str, Any], parameters: dict[str, Any]) -> Iterator[Needed]:
    """The permissions of one call, from its operation, its request and its JSON parameters."""
    service, operation = model.service_model.endpoint_prefix, model.name
    if service == "dynamodb":
        yield from _of_dynamodb(operation, parameters)
    elif service == "sqs":
        queue = parameters.get("QueueName") or parameters["QueueUrl"].rpartition("/")[2]
        yield f"sqs:{operation.removesuffix('Batch')}", str(queue)
    elif service == "kms":
        # Decrypt names no key: the sealed text does.
        yield f"kms:{operation}", str(parameters.get("KeyId", "alias/talktiko-local-secrets"))
    elif service == "s3":
        named = request["context"]["input_params"]
        yield (
            f"s3:{_OF_S3.get(operation, operation)}",
            "/".join(named[part] for part in ("Bucket", "Key") if part in named),
        )
    else:
        raise AssertionError(f"which permission does {service} {operation} need?")


def _of_dynamodb(operation: str, parameters: dict[str, Any]) -> Iterator[Needed]:
    for transacted in parameters.get("TransactItems", []):
        for kind, item in transacted.items():
            yield f"dynamodb:{_TRANSACTED[kind]}", f"table/{item['TableName']}"
    for table in parameters.get("RequestItems", {}):
        yield f"dynamodb:{operation}", f"table/{table}"
    if "TableName" in parameters:
        index = f"/index/{parameters['IndexName']}" if "IndexName" in parameters else ""
        yield f"dynamodb:{operation}", f"table/{parameters['TableName']}{index}"
