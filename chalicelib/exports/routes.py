"""/api/integrations/exports*."""

from chalice.app import Blueprint

from chalicelib.core.clock import rfc3339, shown
from chalicelib.core.errors import Conflict
from chalicelib.core.http import Call, Raw, endpoint
from chalicelib.core.logs import log
from chalicelib.core.paging import Page, PageQuery
from chalicelib.core.types import ExportId
from chalicelib.exports import models, schemas, service
from chalicelib.exports.models import JobItem
from chalicelib.exports.service import Wish

api = Blueprint(__name__)


@endpoint(api, "GET", "/api/integrations/exports", abilities=["exports:read"], query=PageQuery,
          returns=Page[schemas.Export])  # fmt: skip
def list_exports(call: Call, query: PageQuery) -> Page[schemas.Export]:
    """List export jobs and their status, newest first, for 90 days. Nothing counts them: no total."""

    def read(start: str | None, limit: int, *, backwards: bool) -> list[tuple[str, JobItem]]:
        found = models.jobs_of(
            call.caller.institution_id, start=start, limit=limit, backwards=backwards, now=call.now
        )
        return [(job.sk, job) for job in found]

    return call.listing(query).page(read).showing(lambda job: _export(call, job))


@endpoint(api, "POST", "/api/integrations/exports", abilities=["exports:write"],
          body=schemas.ExportCreate, returns=schemas.Export, status=201, idempotent=True)  # fmt: skip
def create_export(call: Call, body: schemas.ExportCreate) -> schemas.Export:
    """Request a new data export. It is made in the background: read it again, or wait for the event
    `export.completed`. At most five of an institution's may be unfinished; one more is refused with 409.

    In the file every time is RFC 3339 in UTC, in whole seconds, and what is null is an empty cell. A text
    that a spreadsheet would run as a formula gets a leading `'`, and so does one that begins with `'`:
    dropping one leading `'` of a text cell gives the original.
    """
    wish = Wish(
        type=body.type,
        from_at=body.filters.from_,
        to_at=body.filters.to,
        course_id=body.filters.course_id,
        delimiter=body.format.delimiter,
        bom=body.format.bom,
    )
    job = service.request(call.transaction, call.caller, wish, request_id=call.request_id, now=call.now)
    return _export(call, job)


@endpoint(api, "GET", "/api/integrations/exports/{id}", abilities=["exports:read"],
          returns=schemas.Export)  # fmt: skip
def get_export(call: Call, id: ExportId) -> schemas.Export:
    """Check an export's status."""
    return _export(call, models.job_of(call.caller.institution_id, id, call.now))


@endpoint(api, "GET", "/api/integrations/exports/{id}/download", abilities=["exports:read"],
          query=schemas.DownloadQuery, returns=schemas.DownloadLink, redirects=True,
          refuses=[Conflict])  # fmt: skip
def download_export(call: Call, query: schemas.DownloadQuery, id: ExportId) -> schemas.DownloadLink | Raw:
    """Download a completed export: 302 to a link that works for five minutes, without a token.

    With `redirect=false` the link is told as JSON. A new link is made each time, for as long as the
    file lives; after that, 404. While the export is not completed, 409. Follow the link without your
    token: S3 refuses a request that is signed in twice. Most clients drop it by themselves, since the
    host is another one.
    """
    url, until = service.link(call.caller.institution_id, id, call.now)
    log.info(
        "export.downloaded",
        institution_id=call.caller.institution_id,
        export_id=id,
        token_id=call.caller.token_id,
        member_id=call.caller.member_id,
        request_id=call.request_id,
    )
    if query.redirect:
        return Raw(status=302, headers={"Location": url})
    return schemas.DownloadLink(url=url, expires_at=rfc3339(until))


def _export(call: Call, job: JobItem) -> schemas.Export:
    there = service.is_downloadable(job, call.now)
    return schemas.Export(
        id=job.sk,
        type=service.type_of(job),
        status=job.status,
        filters=schemas.AppliedFilters(
            from_=shown(job.from_at), to=shown(job.to_at), course_id=job.course_id
        ),
        format=schemas.AppliedFormat(delimiter=job.delimiter, bom=job.bom),
        rows=int(job.rows),
        progress_percent=int(job.percent),
        cut_off_at=shown(job.cut_off_at),
        size_bytes=None if job.size_bytes is None else int(job.size_bytes),
        sha256=job.sha256,
        download_url=call.base_url + service.download_path(job.sk) if there else None,
        error=job.error,
        created_at=shown(job.created_at),
        started_at=shown(job.started_at),
        finished_at=shown(job.finished_at),
        expires_at=shown(job.file_expires_at),
    )
