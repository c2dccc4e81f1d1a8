"""What is done about a request. All of it is safe to repeat, and to do twice at once: so there is no claim,
and a request is tried until it is done.
"""

import itertools
import tempfile
from datetime import datetime
from typing import Literal

from chalicelib.auth import service as auth
from chalicelib.core import audit, clock, storage
from chalicelib.core.clock import instant
from chalicelib.core.errors import NotFound
from chalicelib.core.logs import log
from chalicelib.core.store import Transaction
from chalicelib.core.types import Held
from chalicelib.exports import service as exports
from chalicelib.institutions import service as institutions
from chalicelib.learning import service as learning
from chalicelib.personal_data import archive, models, service
from chalicelib.personal_data.models import NotQueued, Place, RequestItem
from chalicelib.standings import service as standings


def fulfil(place: Place) -> None:
    """Do what was asked for, unless it is done."""
    now = clock.now()
    request = models.request_of(place.institution_id, place.data_request_id, now)
    if request.status != "queued":
        _clear_up(request)
        log.info("personal_data.not_queued", institution_id=request.pk, data_request_id=request.sk)
    elif request.type == "export":
        _export(request, now)
    else:
        _erase(request)


def _export(request: RequestItem, now: datetime) -> None:
    try:
        person = institutions.person(request.pk, request.learner_id)
    except NotFound:
        _finish(request, "cancelled")  # the person is being erased
        return
    with tempfile.TemporaryFile() as file:
        archive.write(file, _held(person), now)
        request.size_bytes, request.sha256 = file.tell(), archive.sha256_of(file)
        request.file_expires_at = instant(now + storage.FILE_LIVES)
        file.seek(0)
        storage.put(service.file_key(request), file, service.ZIP)
    _finish(request, "completed")


def _held(person: institutions.Person) -> Held:
    """Everything of a person, slice by slice."""
    return itertools.chain(
        auth.personal_data(person),
        institutions.personal_data(person.institution_id, person.id),
        learning.personal_data(person.id),
        standings.personal_data(person.id),
    )


def _erase(request: RequestItem) -> None:
    """Forget a person who is locked out already. The member's own record goes last: it leads to the rest."""
    institution_id, learner_id = request.pk, request.learner_id
    learning.erase(institution_id, learner_id)
    standings.erase(institution_id, learner_id)
    exports.erase(institution_id, learner_id, clock.now())
    for export in models.exports_about(institution_id, learner_id):
        _withdraw(export)
    alone = institutions.leave(institution_id, learner_id)
    if alone is not None:
        auth.erase(alone)
    institutions.forget(institution_id, learner_id)
    _finish(request, "completed")


def _withdraw(export: RequestItem) -> None:
    """Cancel the export of a person who is erased, or remove its archive."""
    if export.status == "queued":
        _finish(export, "cancelled")
    storage.remove(service.file_key(export))
    models.expire_file(export, clock.now())


def _finish(request: RequestItem, status: Literal["completed", "cancelled"]) -> None:
    transaction = Transaction()
    models.finish(transaction, request, status, clock.now())
    audit.note_by_itself(
        transaction,
        "personal_data.completed" if status == "completed" else "personal_data.cancelled",
        request.pk,
        request.request_id,
        requested_by=request.requested_by,
        **service.facts_of(request),
    )
    try:
        transaction.commit()
    except NotQueued:
        _clear_up(models.request_of(request.pk, request.sk, clock.now()))


def _clear_up(request: RequestItem) -> None:
    """An archive that was made while its request was cancelled is nobody's."""
    if request.status == "cancelled":
        storage.remove(service.file_key(request))
