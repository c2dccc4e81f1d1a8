"""DynamoDB: one connection for all tables, and writes that happen together or not at all."""

import random
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, ClassVar

from botocore.session import Session
from pydantic_core import from_json
from pynamodb.connection import Connection
from pynamodb.connection.base import MetaTable
from pynamodb.connection.table import TableConnection
from pynamodb.exceptions import CancellationReason, PynamoDBException, TransactWriteError
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action
from pynamodb.models import Model
from pynamodb.transactions import TransactWrite

from chalicelib.core.aws import client, once, session
from chalicelib.core.errors import Conflict
from chalicelib.core.settings import settings

RawItem = Mapping[str, Mapping[str, Any]]
Refusal = Exception | Callable[[RawItem], Exception]
"""What a failed condition means: an error, or a function from the item that stood in the way to one."""

_TRIES = 5
_PASSING = ("TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded")
_ACTIONS_AT_MOST = 100  # TransactWriteItems


def table(name: str) -> str:
    """The full name of this stage's table."""
    return settings().table(name)


class _Connection(Connection):
    @property
    def session(self) -> Session:
        return session()


@once
def connection() -> Connection:
    """The one connection that all models share: a client of its own for each would cost 70 ms apiece."""
    return _Connection(
        connect_timeout_seconds=3, read_timeout_seconds=10, max_retry_attempts=2, max_pool_connections=50
    )


class Table(Model):
    """A PynamoDB model on the shared connection."""

    class Meta:
        table_name: ClassVar[str] = ""

    @classmethod
    def _get_connection(cls) -> TableConnection:
        own = super()._get_connection()
        shared = connection()
        if own.connection is not shared:
            # several models share a table; each describes the indexes that it knows
            described = own.get_meta_table().data
            known = shared._tables.setdefault(own.table_name, MetaTable(dict(described))).data
            for part, name in (
                ("GlobalSecondaryIndexes", "IndexName"),
                ("AttributeDefinitions", "AttributeName"),
            ):
                both = [*known.get(part, ()), *described.get(part, ())]
                known[part] = list({one[name]: one for one in both}.values())
            own.connection = shared
        return own


@once
def bulk_client() -> Any:
    """A client that leaves the items of a Query as DynamoDB sent them.

    Parsing each attribute by its shape, as botocore does, costs several times the rest of an export.
    """
    made = client("dynamodb")
    made.meta.events.register("before-parse.dynamodb.Query", _take_as_sent)
    return made


def _take_as_sent(
    response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: object
) -> None:
    if response_dict["status_code"] == HTTPStatus.OK:
        customized_response_dict.update(from_json(response_dict["body"], cache_strings="keys"))
        response_dict["body"] = b"{}"


def query_in_bulk(request: Mapping[str, Any]) -> Mapping[str, Any]:
    """The answer to a Query for many pages; a binary value in it stays base64."""
    answer: Mapping[str, Any] = bulk_client().query(**request)
    return answer


def unless_condition_failed(error: PynamoDBException) -> None:
    """Raise `error` again, unless all that it says is that a write's condition did not hold."""
    if error.cause_response_code != "ConditionalCheckFailedException":
        raise error


class Stale(Exception):
    """What was read has changed since: read again, decide again."""


class Transaction:
    """Writes collected by services and committed once, by whoever began it.

    An error that a failed condition stands for is raised by `commit`, where nothing has been written.
    `after` runs once the writes are durable; it must not raise for what can be made good later.
    """

    def __init__(self) -> None:
        self._write = TransactWrite(connection=connection())
        self._checks: list[Refusal] = []
        self._deletes: list[Refusal] = []
        self._puts: list[Refusal] = []
        self._updates: list[Refusal] = []
        self._first: list[Refusal] = []
        self._after: list[Callable[[], object]] = []

    def __len__(self) -> int:
        return len(self._checks) + len(self._deletes) + len(self._puts) + len(self._updates)

    def check(self, model: type[Model], key: str, sort_key: str, condition: Condition) -> None:
        """Write only if this holds of an item that stays as it is; else `Stale`."""
        self._write.condition_check(model, key, sort_key, condition=condition)
        self._checks.append(Stale())

    def put(
        self,
        item: Model,
        condition: Condition | None = None,
        refused: Refusal | None = None,
        *,
        foremost: bool = False,
    ) -> None:
        """Write the whole item. `foremost`: where several conditions fail, this refusal is raised."""
        self._write.save(
            item, condition=condition, return_values="ALL_OLD" if condition is not None else None
        )
        self._puts.append(refused or Stale())
        if foremost and refused is not None:
            self._first.append(refused)

    def update(
        self,
        item: Model,
        actions: list[Action],
        condition: Condition | None = None,
        refused: Refusal | None = None,
    ) -> None:
        self._write.update(
            item,
            actions=actions,
            condition=condition,
            return_values="ALL_OLD" if condition is not None else None,
        )
        self._updates.append(refused or Stale())

    def delete(self, item: Model, condition: Condition | None = None, refused: Refusal | None = None) -> None:
        self._write.delete(item, condition=condition)
        self._deletes.append(refused or Stale())

    def after(self, step: Callable[[], object]) -> None:
        """Run `step` once the commit has succeeded."""
        self._after.append(step)

    def commit(self) -> None:
        """Write everything, or raise the refusal of the first condition that failed.

        Raises `Conflict` (409, with `Retry-After`) when other writers do not stop getting in the way.
        """
        if len(self):
            if len(self) > _ACTIONS_AT_MOST:
                raise ValueError(f"{len(self)} actions in one transaction, {_ACTIONS_AT_MOST} are possible")
            self._commit_with_retries()
        for step in self._after:
            step()

    def _commit_with_retries(self) -> None:
        for attempt in range(_TRIES):
            try:
                self._write._commit()
            except TransactWriteError as error:
                reasons = error.cancellation_reasons
                refusal = self._refusal(reasons)
                if refusal is not None:
                    raise refusal from error
                if not any(reason and reason.code in _PASSING for reason in reasons):
                    raise
                time.sleep(random.uniform(0.5, 1.0) * 0.02 * 2**attempt)  # noqa: S311 (jitter)
            else:
                return
        raise Conflict("Other requests keep changing the same records.", retry_after=1)

    def _refusal(self, reasons: list[CancellationReason | None]) -> Exception | None:
        """The error for what failed; positions are in the order in which PynamoDB sends the actions."""
        refusals = [*self._checks, *self._deletes, *self._puts, *self._updates]
        failed = [
            (refusal, reason)
            for refusal, reason in zip(refusals, reasons, strict=False)
            if reason is not None and reason.code == "ConditionalCheckFailed"
        ]
        failed.sort(key=lambda pair: pair[0] not in self._first)
        for refusal, reason in failed:
            return refusal if isinstance(refusal, Exception) else refusal(reason.raw_item or {})
        return None
