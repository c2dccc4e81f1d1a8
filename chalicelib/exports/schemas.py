"""What exports look like on the wire."""

from typing import Literal

from pydantic import Field

from chalicelib.core.paging import Query
from chalicelib.core.types import Body, Count, CourseId, ExportId, Moment, Percent, Schema, Size, Time
from chalicelib.exports.kinds import ExportType

Status = Literal["queued", "running", "completed", "failed", "cancelled"]
Delimiter = Literal[",", ";", "\t"]


class ExportFilters(Body):
    """Which rows. Times are those of recording and apply to `activity`."""

    from_: Moment | None = Field(
        None,
        alias="from",
        description="Recorded at this time or later; 30 days before `to` by default.",
        examples=["2026-11-01T00:00:00Z"],
    )
    to: Moment | None = Field(
        None,
        description="Recorded before this time, at most 366 days after `from`; now by default.",
        examples=["2026-11-25T00:00:00Z"],
    )
    course_id: CourseId | None = Field(None, description="Rows of this course only.")


class ExportFormat(Body):
    """How the file is written: always UTF-8, rows ended by CRLF, cells quoted after RFC 4180."""

    delimiter: Delimiter = Field(",", description="Comma, semicolon or tab.")
    bom: bool = Field(True, description="Begin with a byte order mark, by which Excel knows UTF-8.")


class ExportCreate(Body):
    """What to export, and how to write it."""

    type: ExportType = Field(
        description="`activity`: every answer, in the order of recording. `learner_progress`: a row per "
        "learner and course."
    )
    filters: ExportFilters = Field(default_factory=ExportFilters)
    format: ExportFormat = Field(default_factory=ExportFormat)


class AppliedFilters(Schema):
    """The filters with their defaults filled in; null where nothing is left out."""

    from_: Time | None = Field(serialization_alias="from", examples=["2026-11-01T00:00:00Z"])
    to: Time | None = Field(examples=["2026-11-25T00:00:00Z"])
    course_id: CourseId | None = Field(examples=[None])


class AppliedFormat(Schema):
    """How the file is written."""

    delimiter: Delimiter
    bom: bool


class Export(Schema):
    """An export job, and its file once it is completed."""

    id: ExportId
    type: ExportType
    status: Status = Field(examples=["completed"])
    filters: AppliedFilters
    format: AppliedFormat
    rows: Count = Field(description="Rows written so far, without the header.", examples=[1250])
    progress_percent: Percent = Field(examples=[100])
    cut_off_at: Time | None = Field(
        description="All that was recorded before this time is in the file, as far as the filters ask for "
        "it; what was recorded later may be missing.",
        examples=["2026-11-25T11:58:00Z"],
    )
    size_bytes: Size | None
    sha256: str | None = Field(
        max_length=64,
        description="Checksum of the file.",
        examples=["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"],
    )
    download_url: str | None = Field(
        max_length=2000,
        description="Download from here with your token; null until the export is completed, and after "
        "`expires_at`.",
        examples=[
            "https://api.talktiko.com/api/integrations/exports/exp_01M89546FF7GTNRXWX51K5Y1E7/download"
        ],
    )
    error: str | None = Field(max_length=300, description="Why it failed.", examples=[None])
    created_at: Time
    started_at: Time | None = Field(examples=["2026-11-25T12:00:01Z"])
    finished_at: Time | None = Field(examples=["2026-11-25T12:00:03Z"])
    expires_at: Time | None = Field(
        description="The file is removed then, seven days after it was made.",
        examples=["2026-12-02T12:00:03Z"],
    )


class DownloadQuery(Query):
    redirect: bool = Field(
        True, description="With `false` the link is told as JSON (200) instead of redirected to (302)."
    )


class DownloadLink(Schema):
    """Where the file is for the next five minutes. No token is needed there: keep the link to yourself."""

    url: str = Field(
        max_length=4000,
        examples=["https://exports.example.com/exp_01M89546FF7GTNRXWX51K5Y1E7.csv?X-Amz-Expires=300"],
    )
    expires_at: Time = Field(examples=["2026-11-25T12:05:00Z"])
