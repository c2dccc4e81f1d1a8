"""A request, and what the store answers to it: a list of 15 tokens for one of them."""

from dataclasses import dataclass
from typing import Any

from chalicelib.core.clock import epoch, now
from chalicelib.core.ids import new_id
from chalicelib.core.tokens import TokenItem, mint
from chalicelib.institutions.models import InstitutionItem, MemberItem

ROWS = 15
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "PUBLIC_URL": "https://api.example.org",
    "PYDANTIC_DISABLE_PLUGINS": "__all__",
}

Answers = dict[str, dict[str, Any]]
"""What DynamoDB answers to an operation."""
NOTHING: Answers = {"Query": {"Items": [], "Count": 0, "ScannedCount": 0}}


@dataclass(frozen=True)
class Exchange:
    """A request as API Gateway hands it over, and the answers of the store."""

    event: dict[str, Any]
    answers: Answers


def token_list() -> Exchange:
    moment = now()
    institution, member, user = (new_id(prefix, moment) for prefix in ("ins", "mem", "usr"))
    ids = [new_id("tok", moment) for _ in range(ROWS)]
    minted = [mint(token_id) for token_id in ids]
    tokens = [
        TokenItem(
            token_id,
            secret_hash=secret_hash,
            kind="api",
            name=f"LMS integration {number}",
            institution_id=institution,
            member_id=member,
            user_id=user,
            role="owner",
            abilities=["catalogue:read", "progress:read", "tokens:read"],
            per_minute=100_000,
            created_at=epoch(moment),
            last_used_at=epoch(moment),
            expires_at=epoch(moment) + 86_400,
        ).serialize()
        for number, (token_id, (_, secret_hash)) in enumerate(zip(ids, minted, strict=True))
    ]
    school = InstitutionItem(institution, name="A school", plan="pro", per_minute=100_000, created_at=0)
    owner = MemberItem(
        institution,
        member,
        user_id=user,
        role="owner",
        status="active",
        per_minute=100_000,
        token_ids=set(ids),
        created_at=epoch(moment),
    )
    return Exchange(
        request("/api/integrations/tokens", {"Authorization": f"Bearer {minted[0][0]}"}, {"per_page": "15"}),
        {
            "UpdateItem": {"Attributes": tokens[0]},
            "GetItem": {"Item": school.serialize() | owner.serialize()},
            "BatchGetItem": {
                "Responses": {TokenItem.Meta.table_name: tokens},
                "UnprocessedKeys": {},
            },
        },
    )


def request(path: str, headers: dict[str, str], query: dict[str, str]) -> dict[str, Any]:
    return {
        "resource": path,
        "path": path,
        "httpMethod": "GET",
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": query or None,
        "multiValueQueryStringParameters": {name: [value] for name, value in query.items()} or None,
        "pathParameters": None,
        "body": None,
        "isBase64Encoded": False,
        "stageVariables": None,
        "requestContext": {
            "httpMethod": "GET",
            "resourcePath": path,
            "path": path,
            "requestId": "benchmark",
            "domainName": "api.example.org",
            "stage": "live",
            "identity": {"sourceIp": "192.0.2.1"},
        },
    }
