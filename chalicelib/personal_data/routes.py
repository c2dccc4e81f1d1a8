"""/api/integrations/learners/{learner}/*, /api/integrations/data-requests*."""

from chalice.app import Blueprint

from chalicelib.core import audit, downloads
from chalicelib.core.clock import shown
from chalicelib.core.downloads import DownloadLink, DownloadQuery
from chalicelib.core.errors import Conflict
from chalicelib.core.http import Call, Raw, endpoint
from chalicelib.core.types import DataRequestId, MemberId
from chalicelib.personal_data import models, schemas, service
from chalicelib.personal_data.models import RequestItem

api = Blueprint(__name__)


@endpoint(api, "POST", "/api/integrations/learners/{learner}/data-exports", abilities=["exports:write"],
          returns=schemas.DataRequest, status=201, idempotent=True)  # fmt: skip
def export_personal_data(call: Call, learner: MemberId) -> schemas.DataRequest:
    """Request everything that is held of one member: account, membership, tokens without their secrets,
    learning, standings.

    It is put together in the background, in one zip archive, each table as JSON and as CSV. Asked for again
    while it is unfinished, it is the same request.
    """
    request = service.ask_for_export(
        call.transaction, call.caller, learner, request_id=call.request_id, now=call.now
    )
    return _data_request(call, request)


@endpoint(api, "POST", "/api/integrations/learners/{learner}/erasure", abilities=["institutions:write"],
          returns=schemas.DataRequest, status=202, idempotent=True, refuses=[Conflict])  # fmt: skip
def erase_member(call: Call, learner: MemberId) -> schemas.DataRequest:
    """Erase one member for good. It cannot be undone.

    With this answer the member is locked out and its tokens are revoked. In the background go its
    learning, its places on leaderboards, archives of its data, export files that may show it, the
    membership, and the account where no other membership is left. Totals of the platform stay, and so do
    ids in events and audit lines, which then lead to nobody. Asked for again, it is the same request.
    An owner is refused with 409.
    """
    request = service.ask_for_erasure(
        call.transaction, call.caller, learner, request_id=call.request_id, now=call.now
    )
    return _data_request(call, request)


@endpoint(api, "GET", "/api/integrations/data-requests/{id}", abilities=["exports:read"],
          returns=schemas.DataRequest)  # fmt: skip
def get_data_request(call: Call, id: DataRequestId) -> schemas.DataRequest:
    """Check a request for personal data, or an erasure. Kept for 90 days."""
    return _data_request(call, models.request_of(call.caller.institution_id, id, call.now))


@endpoint(api, "GET", "/api/integrations/data-requests/{id}/download", abilities=["exports:read"],
          query=DownloadQuery, returns=DownloadLink, redirects=True,
          refuses=[Conflict])  # fmt: skip
def download_personal_data(call: Call, query: DownloadQuery, id: DataRequestId) -> DownloadLink | Raw:
    """Download an archive of personal data: 302 to a link that works for five minutes, as for exports."""
    request, url, until = service.link(call.caller.institution_id, id, call.now)
    facts = service.facts_of(request)
    audit.note(call.transaction, "personal_data.downloaded", call.caller, call.request_id, **facts)
    return downloads.answer(query, url, until)


def _data_request(call: Call, request: RequestItem) -> schemas.DataRequest:
    there = service.is_downloadable(request, call.now)
    return schemas.DataRequest.model_validate(
        {
            "id": request.sk,
            "type": request.type,
            "status": request.status,
            "learner_id": request.learner_id,
            "size_bytes": None if request.size_bytes is None else int(request.size_bytes),
            "sha256": request.sha256,
            "download_url": call.base_url + service.download_path(request.sk) if there else None,
            "created_at": shown(request.created_at),
            "finished_at": shown(request.finished_at),
            "expires_at": shown(request.file_expires_at),
        }
    )
