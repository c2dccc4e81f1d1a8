"""The events of exports."""

from pydantic import Field

from chalicelib.core.events import EventData
from chalicelib.core.types import Count, ExportId, Size
from chalicelib.exports.kinds import ExportType

_TYPE = Field(examples=["activity"])


class ExportCompleted(EventData, type="export.completed"):
    """An export can be downloaded for seven days, by a token of the institution that asked for it."""

    export_id: ExportId
    type: ExportType = _TYPE
    rows: Count = Field(examples=[1250])
    size_bytes: Size
    download_path: str = Field(
        max_length=200,
        description="On the host of the API. It answers with a new short-lived link each time.",
        examples=["/api/integrations/exports/exp_01M89546FF7GTNRXWX51K5Y1E7/download"],
    )


class ExportFailed(EventData, type="export.failed"):
    """An export could not be made, and is not tried again."""

    export_id: ExportId
    type: ExportType = _TYPE
    error: str = Field(max_length=300, examples=["Something failed on our side, several times in a row."])
