"""What a cancelled transaction means to its caller, told from the recorded reasons."""

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from pynamodb.attributes import UnicodeAttribute

from chalicelib.core.errors import Conflict, Invalid
from chalicelib.core.store import Stale, Table, Transaction, connection, table


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
