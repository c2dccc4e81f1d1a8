"""What exports look like on the wire."""

from typing import Annotated, Literal

from pydantic import Field

from chalicelib.core.types import (
    Body,
    Count,
    CourseId,
    ExportId,
    MemberId,
    Moment,
    Percent,
    Schema,
    Size,
    Time,
    Version,
)
from chalicelib.exports.kinds import ExportType

Status = Literal["queued", "running", "completed", "failed", "cancelled"]
ColumnName = Annotated[str, Field(max_length=40, examples=["learner_id"])]
TimeZone = Annotated[str, Field(max_length=60, description="IANA name", examples=["Europe/Berlin"])]
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
    since: Moment | None = Field(
        None,
        description="Only what was recorded since an earlier export: its `next_since`. Instead of `from` and "
        "`to`; nothing is missed between the two and nothing is told twice.",
        examples=["2026-11-25T00:00:00Z"],
    )
    course_id: CourseId | None = Field(None, description="Rows of this course only.")
    learner_ids: list[MemberId] = Field(
        default_factory=list, max_length=100, description="Rows of these members only."
    )


class ExportFormat(Body):
    """How the file is written: always UTF-8, rows ended by CRLF, cells quoted after RFC 4180."""

    delimiter: Delimiter = Field(",", description="Comma, semicolon or tab.")
    bom: bool = Field(True, description="Begin with a byte order mark, by which Excel knows UTF-8.")
    gzip: bool = Field(False, description="Compress the file (RFC 1952).")
    columns: list[ColumnName] = Field(
        default_factory=list, max_length=30, description="Only these columns, in this order; all by default."
    )
    time_zone: str = Field(
        "UTC",
        max_length=60,
        description="Show times in this IANA zone, with their offset; UTC, with `Z`, by default.",
        examples=["Europe/Berlin"],
    )


class ExportCreate(Body):
    """What to export, and how to write it."""

    type: ExportType = Field(
        description="`activity`: every answer, in the order of recording. `completions`: lessons and courses "
        "completed. `learner_progress`: a row per learner and course. `cefr`: a row per learner, language "
        "and skill. `webhook_deliveries`: what was sent to your webhooks."
    )
    filters: ExportFilters = Field(default_factory=ExportFilters)
    format: ExportFormat = Field(default_factory=ExportFormat)


class AppliedFilters(Schema):
    """The filters with their defaults filled in; null where nothing is left out."""

    from_: Time | None = Field(alias="from", examples=["2026-11-01T00:00:00Z"])
    to: Time | None = Field(examples=["2026-11-25T00:00:00Z"])
    course_id: CourseId | None = Field(examples=[None])
    learner_ids: list[MemberId] | None = Field(max_length=100, examples=[None])


class AppliedFormat(Schema):
    """How the file is written."""

    delimiter: Delimiter
    bom: bool
    gzip: bool
    columns: list[ColumnName] = Field(max_length=30)
    time_zone: TimeZone


class Export(Schema):
    """An export job, and its file once it is completed."""

    id: ExportId
    type: ExportType
    status: Status = Field(examples=["completed"])
    filters: AppliedFilters
    format: AppliedFormat
    rows: Count = Field(description="Rows written so far, without the header.", examples=[1250])
    progress_percent: Percent = Field(examples=[100])
    estimated_finish_at: Time | None = Field(
        description="While it runs: a guess from the pace so far.", examples=[None]
    )
    mode: Literal["full", "incremental"]
    next_since: Time | None = Field(
        description="Ask with this as `filters.since` for what was recorded after this export.",
        examples=["2026-11-25T11:58:00Z"],
    )
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


class ManifestFormat(Schema):
    """How the file is written."""

    delimiter: Delimiter
    bom: bool
    gzip: bool
    time_zone: TimeZone


class Manifest(Schema):
    """What a file is. Stands beside it in the bucket too."""

    export_id: ExportId
    type: ExportType
    schema_version: Version = Field(description="Grows when a column goes or changes its meaning.")
    columns: list[ColumnName] = Field(max_length=30)
    mode: Literal["full", "incremental"]
    filters: AppliedFilters
    format: ManifestFormat
    cut_off_at: Time
    next_since: Time | None
    rows: Count
    size_bytes: Size
    sha256: str = Field(
        max_length=64, examples=["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"]
    )
    file_name: str = Field(
        max_length=120, examples=["talktiko-activity-2026-11-25-exp_01M89546FF7GTNRXWX51K5Y1E7.csv"]
    )


class Column(Schema):
    """A column of a file."""

    name: ColumnName
    description: str = Field(max_length=200, examples=["XP that this answer added."])


class ExportTypeInfo(Schema):
    """An export type and its columns."""

    type: ExportType
    schema_version: Version
    takes_time: bool = Field(description="Whether it takes `from`, `to` and `since`.")
    columns: list[Column] = Field(max_length=30)


class ExportTypeList(Schema):
    """Every type that can be exported."""

    export_types: list[ExportTypeInfo] = Field(max_length=20)
