"""What exports look like on the wire."""

from typing import Literal

from pydantic import BaseModel, Field

from chalicelib.core.paging import Query
from chalicelib.core.types import Body, Id, Instant, Time
from chalicelib.exports.kinds import ExportType

Status = Literal["queued", "running", "completed", "failed", "cancelled"]
Delimiter = Literal[",", ";", "\t"]


class ExportFilters(Body):
    """Which rows. Times are those of recording and apply to `activity`."""

    from_: Instant | None = Field(
        None,
        alias="from",
        description="Recorded at this time or later; 30 days before `to` by default.",
        examples=["2026-11-01T00:00:00Z"],
    )
    to: Instant | None = Field(
        None,
        description="Recorded before this time, at most 366 days after `from`; now by default.",
        examples=["2026-11-25T00:00:00Z"],
    )
    course_id: Id | None = Field(None, description="Rows of this course only.")


class ExportFormat(Body):
    """How the file is written: always UTF-8, rows ended by CRLF, cells quoted after RFC 4180."""

    delimiter: Delimiter = Field(",", description="Comma, semicolon or tab.")
    bom: bool = Field(True, description="Begin with a byte order mark, by which Excel knows UTF-8.")


class ExportCreate(Body):
    type: ExportType = Field(
        description="`activity`: every answer, in the order of recording. `learner_progress`: a row per "
        "learner and course."
    )
    filters: ExportFilters = Field(default_factory=ExportFilters)
    format: ExportFormat = Field(default_factory=ExportFormat)


class AppliedFilters(BaseModel):
    """The filters with their defaults filled in; null where nothing is left out."""

    from_: Time | None = Field(serialization_alias="from")
    to: Time | None
    course_id: Id | None


class AppliedFormat(BaseModel):
    delimiter: Delimiter
    bom: bool


class Export(BaseModel):
    """An export job, and its file once it is completed."""

    id: Id = Field(examples=["exp_01KAXG7Y0000000000000000A1"])
    type: ExportType
    status: Status
    filters: AppliedFilters
    format: AppliedFormat
    rows: int = Field(ge=0, description="Rows written so far, without the header.")
    progress_percent: int = Field(ge=0, le=100)
    cut_off_at: Time | None = Field(
        description="All that was recorded before this time is in the file, as far as the filters ask for "
        "it; what was recorded later may be missing."
    )
    size_bytes: int | None
    sha256: str | None = Field(max_length=64, description="Checksum of the file.")
    download_url: str | None = Field(
        max_length=2000,
        description="Download from here with your token; null until the export is completed, and after "
        "`expires_at`.",
        examples=[
            "https://api.talktiko.com/api/integrations/exports/exp_01KAXG7Y0000000000000000A1/download"
        ],
    )
    error: str | None = Field(max_length=300, description="Why it failed.")
    created_at: Time
    started_at: Time | None
    finished_at: Time | None
    expires_at: Time | None = Field(description="The file is removed then, seven days after it was made.")


class DownloadQuery(Query):
    redirect: bool = Field(
        True, description="With `false` the link is told as JSON (200) instead of redirected to (302)."
    )


class DownloadLink(BaseModel):
    """Where the file is for the next five minutes. No token is needed there: keep the link to yourself."""

    url: str
    expires_at: Time
