"""What is held of a person: asked for, erased, downloaded."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from chalicelib.auth import service as auth
from chalicelib.core import audit, queues, storage, waking
from chalicelib.core.abilities import Role
from chalicelib.core.clock import epoch, instant
from chalicelib.core.errors import Conflict, DomainError, NotFound
from chalicelib.core.ids import is_id, new_id
from chalicelib.core.store import Transaction
from chalicelib.core.tokens import Principal
from chalicelib.institutions import service as institutions
from chalicelib.personal_data import models
from chalicelib.personal_data.models import Place, RequestItem

QUEUE = "data-requests"
ZIP = "application/zip"
PATIENCE = timedelta(minutes=1)
"""How long a new request's queue message is waited for before it counts as lost."""
ASKED_AFTER = timedelta(minutes=30)
"""How often an unfinished request is woken again, for as long as it takes."""


class ArchiveExpired(NotFound):
    """The request is there, its archive is not any more."""

    def __init__(self) -> None:
        DomainError.__init__(self, "The archive has expired; ask for it again.")


def ask_for_export(
    transaction: Transaction, caller: Principal, learner_id: str, *, request_id: str, now: datetime
) -> RequestItem:
    """Have everything that is held of a member put together. One that is unfinished is joined.

    Raises `NotFound`.
    """
    _person(caller, learner_id)
    return models.standing(caller.institution_id, learner_id, "export") or _ask(
        transaction, caller, "export", learner_id, request_id, now
    )


def ask_for_erasure(
    transaction: Transaction, caller: Principal, learner_id: str, *, request_id: str, now: datetime
) -> RequestItem:
    """Have a member forgotten: locked out with this transaction, erased after it. It happens once.

    Raises `NotFound`, also for whoever was erased so long ago that the request is gone, and `Conflict` for
    an owner.
    """
    earlier = models.standing(caller.institution_id, learner_id, "erasure")
    if earlier is not None:
        return earlier
    person = _person(caller, learner_id)
    if person.role is Role.OWNER:
        raise Conflict("An owner cannot be erased. Give the member another role first.")
    institutions.close(transaction, person)
    auth.revoke_all(transaction, person.token_ids)
    return _ask(transaction, caller, "erasure", learner_id, request_id, now)


def _person(caller: Principal, learner_id: str) -> institutions.Person:
    if not is_id(learner_id, "mem"):
        raise NotFound("member")
    return institutions.person(caller.institution_id, learner_id)


def _ask(
    transaction: Transaction, caller: Principal, kind: str, learner_id: str, request_id: str, now: datetime
) -> RequestItem:
    request = RequestItem(
        caller.institution_id,
        new_id("dtr", now),
        type=kind,
        learner_id=learner_id,
        requested_by=caller.member_id,
        request_id=request_id,
        created_at=instant(now),
        expires_at=epoch(now + models.KEPT),
    )
    models.add(transaction, request, now + PATIENCE)
    audit.note(transaction, "personal_data.requested", caller, request_id, **facts_of(request))
    transaction.after(lambda: wake([Place(institution_id=request.pk, data_request_id=request.sk)]))
    return request


def facts_of(request: RequestItem) -> dict[str, str]:
    """What an audit line says of a request: about whom it is, by ids alone."""
    return {
        "data_request_id": request.sk,
        "data_request_type": request.type,
        "learner_id": request.learner_id,
    }


def wake(places: Sequence[Place]) -> list[bool]:
    return queues.send(QUEUE, [queues.Outgoing(place, place.institution_id) for place in places])


def sweep(now: datetime) -> int:
    """Wake what is overdue. How many."""
    return waking.sweep(models.DueItem, _wake_due, now, again=now + ASKED_AFTER)


def _wake_due(overdue: Sequence[waking.DueJob]) -> list[bool]:
    return wake([Place(institution_id=due.institution_id, data_request_id=due.sk) for due in overdue])


def is_downloadable(request: RequestItem, now: datetime) -> bool:
    return request.file_expires_at is not None and instant(now) < request.file_expires_at


def link(institution_id: str, data_request_id: str, now: datetime) -> tuple[RequestItem, str, datetime]:
    """The request, a link to its archive, and until when that works.

    Raises `NotFound`, `ArchiveExpired`; `Conflict` while there is no archive yet, or where there is none.
    """
    request = models.request_of(institution_id, data_request_id, now)
    if request.status == "queued" and request.type == "export":
        raise Conflict("The archive is not ready yet.", retry_after=5)
    if request.file_expires_at is None:
        raise Conflict(f"This request has no archive: it is {request.type}, {request.status}.")
    if not is_downloadable(request, now):
        raise ArchiveExpired
    url = storage.link(file_key(request), f"talktiko-personal-data-{request.sk}.zip", ZIP)
    return request, url, now + storage.LINK_LIVES


def file_key(request: RequestItem) -> str:
    return f"{request.pk}/{request.sk}.zip"


def download_path(data_request_id: str) -> str:
    return f"/api/integrations/data-requests/{data_request_id}/download"
