"""Requests for what is held of a person: to have it, or to have it erased.

PK ins_…         SK dtr_…      a request, 90 days
PK ins_…#mem_…   SK dtr_…      the same by whom it is about
PK ins_…#mem_…   SK EXPORT     the export that is unfinished: asked for again, it is this one
PK ins_…#mem_…   SK ERASURE    the erasure, there is one for ever
PK DUE           SK dtr_…      stands while a request is unfinished, and says when to ask after it again

A request holds ids alone, so that it can stay when the person is erased.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

from pydantic import ConfigDict
from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.exceptions import UpdateError
from pynamodb.expressions.update import Action

from chalicelib.core.clock import epoch, instant
from chalicelib.core.errors import NotFound
from chalicelib.core.ids import is_id
from chalicelib.core.store import Stale, Table, Transaction, table, unless_condition_failed
from chalicelib.core.types import Schema
from chalicelib.core.waking import DueJob

KEPT = timedelta(days=90)


class Place(Schema):
    """Where a request stands: all that a queue message says."""

    model_config = ConfigDict(frozen=True)

    institution_id: str
    data_request_id: str


class RequestItem(Table):
    class Meta:
        table_name = table("personal-data")

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    type = UnicodeAttribute()
    status = UnicodeAttribute(default="queued")
    learner_id = UnicodeAttribute()
    requested_by = UnicodeAttribute()
    request_id = UnicodeAttribute()
    created_at = UnicodeAttribute()
    finished_at = UnicodeAttribute(null=True)
    size_bytes = NumberAttribute(null=True)
    sha256 = UnicodeAttribute(null=True)
    file_expires_at = UnicodeAttribute(null=True)
    expires_at = NumberAttribute()


class PointerItem(Table):
    """To a request, from whom it is about."""

    class Meta:
        table_name = table("personal-data")

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    data_request_id = UnicodeAttribute()
    expires_at = NumberAttribute(null=True)


class DueItem(DueJob):
    class Meta:
        table_name = table("personal-data")


class NotQueued(Exception):
    """Somebody has finished the request meanwhile, or it was cancelled."""


def add(transaction: Transaction, request: RequestItem, due_at: datetime) -> None:
    """The commit raises `Stale` where another one of its type has just been added."""
    person = _person(request)
    by_person = PointerItem(person, request.sk, data_request_id=request.sk, expires_at=request.expires_at)
    of_its_type = PointerItem(person, request.type.upper(), data_request_id=request.sk)
    transaction.put(request)
    transaction.put(by_person)
    transaction.put(of_its_type, PointerItem.pk.does_not_exist(), Stale())
    transaction.put(DueItem(sk=request.sk, institution_id=request.pk, due_at=instant(due_at)))


def standing(institution_id: str, learner_id: str, kind: str) -> RequestItem | None:
    """The unfinished export of a person, or its erasure, whatever became of it."""
    try:
        pointer = PointerItem.get(f"{institution_id}#{learner_id}", kind.upper(), consistent_read=True)
        return RequestItem.get(institution_id, pointer.data_request_id, consistent_read=True)
    except (PointerItem.DoesNotExist, RequestItem.DoesNotExist):
        return None


def request_of(institution_id: str, data_request_id: str, now: datetime) -> RequestItem:
    """Raises `NotFound`, also for another institution's, and past its 90 days."""
    if not is_id(data_request_id, "dtr"):
        raise NotFound("data request")
    try:
        request = RequestItem.get(institution_id, data_request_id, consistent_read=True)
    except RequestItem.DoesNotExist:
        raise NotFound("data request") from None
    if request.expires_at <= epoch(now):
        raise NotFound("data request")
    return request


def exports_about(institution_id: str, learner_id: str) -> Iterator[RequestItem]:
    """Every export of a person's data that is known still."""
    pointers = PointerItem.query(
        f"{institution_id}#{learner_id}", PointerItem.sk.startswith("dtr_"), consistent_read=True
    )
    for pointer in pointers:
        request = RequestItem.get(institution_id, pointer.data_request_id, consistent_read=True)
        if request.type == "export":
            yield request


def finish(transaction: Transaction, request: RequestItem, status: str, now: datetime) -> None:
    """End a request that is queued. The commit raises `NotQueued`."""
    actions: list[Action] = [RequestItem.status.set(status), RequestItem.finished_at.set(instant(now))]
    if request.sha256 is not None:
        actions += [
            RequestItem.size_bytes.set(request.size_bytes),
            RequestItem.sha256.set(request.sha256),
            RequestItem.file_expires_at.set(request.file_expires_at),
        ]
    transaction.update(
        RequestItem(request.pk, request.sk), actions, RequestItem.status == "queued", NotQueued()
    )
    transaction.delete(DueItem(sk=request.sk))
    if request.type == "export":
        transaction.delete(PointerItem(_person(request), "EXPORT"))


def expire_file(request: RequestItem, now: datetime) -> None:
    """Note that the file of a completed export is gone."""
    try:
        RequestItem(request.pk, request.sk).update(
            [RequestItem.file_expires_at.set(instant(now))], RequestItem.status == "completed"
        )
    except UpdateError as error:
        unless_condition_failed(error)


def _person(request: RequestItem) -> str:
    return f"{request.pk}#{request.learner_id}"
