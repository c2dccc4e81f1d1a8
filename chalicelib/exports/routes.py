"""/api/integrations/exports*."""

from chalice.app import Blueprint

from chalicelib.core import audit, downloads
from chalicelib.core.clock import rfc3339, shown
from chalicelib.core.downloads import DownloadLink, DownloadQuery
from chalicelib.core.errors import Conflict
from chalicelib.core.http import Call, Raw, endpoint
from chalicelib.core.paging import Page, PageQuery
from chalicelib.core.types import ExportId
from chalicelib.exports import models, schemas, service
from chalicelib.exports.kinds import KINDS, SCHEMA_VERSION
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
    `export.completed`. Your plan says how many may be unfinished; one more is refused with 409.

    In the file every time is RFC 3339 in UTC, in whole seconds, and what is null is an empty cell. A text
    that a spreadsheet would run as a formula gets a leading `'`, and so does one that begins with `'`:
    dropping one leading `'` of a text cell gives the original.
    """
    wish = Wish(
        type=body.type,
        from_at=body.filters.from_,
        to_at=body.filters.to,
        since=body.filters.since,
        course_id=body.filters.course_id,
        learner_ids=tuple(body.filters.learner_ids),
        columns=tuple(body.format.columns),
        delimiter=body.format.delimiter,
        bom=body.format.bom,
        gzip=body.format.gzip,
        time_zone=body.format.time_zone,
    )
    job = service.request(call.transaction, call.caller, wish, request_id=call.request_id, now=call.now)
    return _export(call, job)


@endpoint(api, "GET", "/api/integrations/exports/types", abilities=["exports:read"],
          returns=schemas.ExportTypeList)  # fmt: skip
def list_export_types(call: Call) -> schemas.ExportTypeList:  # noqa: ARG001 (every view takes the call)
    """What can be exported: the data dictionary of every file."""
    return schemas.ExportTypeList(
        export_types=[
            schemas.ExportTypeInfo(
                type=name,
                schema_version=SCHEMA_VERSION,
                takes_time=kind.append_only,
                columns=[schemas.Column(name=one, description=text) for one, text in kind.columns.items()],
            )
            for name, kind in KINDS.items()
        ]
    )


@endpoint(api, "GET", "/api/integrations/exports/{id}", abilities=["exports:read"],
          returns=schemas.Export)  # fmt: skip
def get_export(call: Call, id: ExportId) -> schemas.Export:
    """Check an export's status."""
    return _export(call, models.job_of(call.caller.institution_id, id, call.now))


@endpoint(api, "DELETE", "/api/integrations/exports/{id}", abilities=["exports:write"], status=204,
          refuses=[Conflict])  # fmt: skip
def remove_export(call: Call, id: ExportId) -> None:
    """Cancel an export that is not finished, which stays in the list; remove a finished one with its file."""
    service.remove(call.transaction, call.caller, id, request_id=call.request_id, now=call.now)


@endpoint(api, "GET", "/api/integrations/exports/{id}/manifest", abilities=["exports:read"],
          returns=schemas.Manifest, refuses=[Conflict])  # fmt: skip
def get_manifest(call: Call, id: ExportId) -> schemas.Manifest:
    """What the file of a completed export is: columns, rows, checksum, filters, cut-off."""
    job = service.completed(call.caller.institution_id, id, call.now)
    return schemas.Manifest.model_validate(service.manifest(job))


@endpoint(api, "GET", "/api/integrations/exports/{id}/download", abilities=["exports:read"],
          query=DownloadQuery, returns=DownloadLink, redirects=True,
          refuses=[Conflict])  # fmt: skip
def download_export(call: Call, query: DownloadQuery, id: ExportId) -> DownloadLink | Raw:
    """Download a completed export: 302 to a link that works for five minutes, without a token.

    With `redirect=false` the link is told as JSON. A new link is made each time, for as long as the
    file lives; after that, 404. While the export is not completed, 409. Follow the link without your
    token: S3 refuses a request that is signed in twice. Most clients drop it by themselves, since the
    host is another one.
    """
    url, until = service.link(call.caller.institution_id, id, call.now)
    audit.note(call.transaction, "export.downloaded", call.caller, call.request_id, export_id=id)
    return downloads.answer(query, url, until)


def _export(call: Call, job: JobItem) -> schemas.Export:
    there, finishes_at = service.is_downloadable(job, call.now), service.finishes_at(job, call.now)
    return schemas.Export(
        id=job.sk,
        type=service.type_of(job),
        status=job.status,
        filters=schemas.AppliedFilters.model_validate(
            {
                "from": shown(job.from_at),
                "to": shown(job.to_at),
                "course_id": job.course_id,
                "learner_ids": list(job.learner_ids) or None,
            }
        ),
        format=schemas.AppliedFormat(
            delimiter=job.delimiter,
            bom=job.bom,
            gzip=job.gzip,
            columns=list(job.columns) or list(KINDS[service.type_of(job)].columns),
            time_zone=job.time_zone,
        ),
        rows=int(job.rows),
        progress_percent=int(job.percent),
        estimated_finish_at=None if finishes_at is None else rfc3339(finishes_at),
        mode="incremental" if job.since else "full",
        next_since=service.next_since(job),
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
