"""What a cancelled transaction means to its caller, told from the recorded reasons; bulk reading."""

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ClientError
from botocore.httpsession import URLLib3Session
from pynamodb.attributes import UnicodeAttribute
from pynamodb.indexes import AllProjection, GlobalSecondaryIndex

from chalicelib.core.errors import Conflict, Invalid
from chalicelib.core.store import Stale, Table, Transaction, bulk_client, connection, query_in_bulk, table


class Cup(Table):
    class Meta:
        table_name = table("cups")

    pk = UnicodeAttribute(hash_key=True)


class Answers:
    """Stands where botocore would call AWS; answers each call with the next set of reasons."""

    def __init__(self, *answers: list[dict[str, Any]] | None) -> None:
        self.answers = list(answers)
        self.calls: list[dict[str, Any]] = []

    def _make_api_call(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        self.calls.append(request)
        reasons = self.answers.pop(0)
        if reasons is None:
            return {}
        error: Any = {"Error": {"Code": "TransactionCanceledException"}, "CancellationReasons": reasons}
        raise ClientError(error, operation)


@pytest.fixture
def _aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    yield
    connection.cache_clear()
    bulk_client.cache_clear()


def _transaction(monkeypatch: pytest.MonkeyPatch, answers: Answers) -> Transaction:
    monkeypatch.setattr(type(connection()), "client", property(lambda _: answers))
    return Transaction()


OK = {"Code": "None"}
FAILED = {"Code": "ConditionalCheckFailed"}
BUSY = {"Code": "TransactionConflict"}


@pytest.mark.usefixtures("_aws")
def test_the_refusal_is_that_of_the_action_that_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    transaction = _transaction(monkeypatch, Answers([OK, FAILED]))
    transaction.put(Cup("a"), Cup.pk.does_not_exist(), Invalid({"cup": ["is taken"]}))
    transaction.delete(Cup("b"))  # sent before puts, whatever the order of our calls
    with pytest.raises(Invalid, match="cup: is taken"):
        transaction.commit()


@pytest.mark.usefixtures("_aws")
def test_a_foremost_refusal_wins_over_others(monkeypatch: pytest.MonkeyPatch) -> None:
    transaction = _transaction(monkeypatch, Answers([FAILED, FAILED]))
    transaction.put(Cup("a"), Cup.pk.does_not_exist(), Stale())
    transaction.put(Cup("b"), Cup.pk.does_not_exist(), lambda _: Conflict("earlier"), foremost=True)
    with pytest.raises(Conflict, match="earlier"):
        transaction.commit()


@pytest.mark.usefixtures("_aws")
def test_a_conflict_is_tried_again_and_steps_run_after_the_commit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers = Answers([BUSY], [BUSY], None)
    transaction = _transaction(monkeypatch, answers)
    transaction.put(Cup("a"))
    steps: list[int] = []
    transaction.after(lambda: steps.append(len(answers.calls)))
    transaction.commit()
    assert steps == [3]


@pytest.mark.usefixtures("_aws")
def test_endless_conflicts_are_a_409_that_says_when_to_return(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers = Answers(*[[BUSY]] * 5)
    transaction = _transaction(monkeypatch, answers)
    transaction.put(Cup("a"))
    with pytest.raises(Conflict) as conflict:
        transaction.commit()
    assert conflict.value.headers() == {"Retry-After": "1"}
    assert len(answers.calls) == 5


class _Sent(io.BytesIO):
    def stream(self) -> Iterator[bytes]:
        yield self.getvalue()


def _answered(monkeypatch: pytest.MonkeyPatch, status: int, body: bytes) -> None:
    def send(_: URLLib3Session, request: Any) -> AWSResponse:
        return AWSResponse(request.url, status, HTTPHeaders(), _Sent(body))

    monkeypatch.setattr(URLLib3Session, "send", send)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")


ASKED = {
    "TableName": "t",
    "KeyConditionExpression": "pk = :pk",
    "ExpressionAttributeValues": {":pk": {"S": "1"}},
}


@pytest.mark.usefixtures("_aws")
def test_a_bulk_query_answers_what_botocore_would_make_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    deep = {"L": [{"NULL": True}, {"M": {"a": {"BOOL": False}}}]}
    items = [{"pk": {"S": "ü"}, "number": {"N": "1.50"}, "deep": deep}]
    sent = {"Items": items, "Count": 1, "ScannedCount": 1, "LastEvaluatedKey": {"pk": {"S": "ü"}}}
    _answered(monkeypatch, 200, json.dumps(sent).encode())
    parsed = connection().dispatch("Query", dict(ASKED))
    found = query_in_bulk(ASKED)
    assert {name: found[name] for name in sent} == {name: parsed[name] for name in sent} == sent


@pytest.mark.usefixtures("_aws")
def test_a_bulk_query_that_is_refused_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    _answered(monkeypatch, 400, b'{"__type":"com.amazonaws.dynamodb.v20120810#ResourceNotFoundException"}')
    with pytest.raises(ClientError) as refused:
        query_in_bulk(ASKED)
    assert refused.value.response["Error"]["Code"] == "ResourceNotFoundException"


class _ByColour(GlobalSecondaryIndex[Any]):  # type: ignore[no-untyped-call]
    class Meta:
        index_name = "by_colour"
        projection = AllProjection()

    colour = UnicodeAttribute(hash_key=True)


class _BySize(GlobalSecondaryIndex[Any]):  # type: ignore[no-untyped-call]
    class Meta:
        index_name = "by_size"
        projection = AllProjection()

    size = UnicodeAttribute(hash_key=True)


class Colours(Cup):
    class Meta:
        table_name = table("shelves")

    by_colour = _ByColour()
    colour = UnicodeAttribute()


class Sizes(Cup):
    class Meta:
        table_name = table("shelves")

    by_size = _BySize()
    size = UnicodeAttribute()


def test_models_of_one_table_each_describe_the_indexes_that_they_know() -> None:
    for model in (Sizes, Colours, Sizes):
        model._get_connection()
    known = connection()._tables[table("shelves")]
    for name, attribute in (("by_colour", "colour"), ("by_size", "size")):
        assert name in {one["IndexName"] for one in known.data["GlobalSecondaryIndexes"]}
        assert known.get_index_hash_keyname(name) == attribute
        assert known.get_attribute_type(attribute) == "S"
