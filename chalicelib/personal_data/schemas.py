"""What data requests look like on the wire."""

from typing import Literal

from pydantic import Field

from chalicelib.core.types import DataRequestId, MemberId, Schema, Size, Time

RequestType = Literal["export", "erasure"]
Status = Literal["queued", "completed", "cancelled"]


class DataRequest(Schema):
    """A request for what is held of one member. `cancelled`: an export whose member was erased."""

    id: DataRequestId
    type: RequestType
    status: Status
    learner_id: MemberId
    size_bytes: Size | None = Field(description="Of the archive.")
    sha256: str | None = Field(
        max_length=64,
        description="Of the archive, in lower-case hex.",
        examples=["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"],
    )
    download_url: str | None = Field(
        max_length=400,
        description="Where the archive is fetched with your token; null while there is none.",
        examples=[
            "https://api.talktiko.com/api/integrations/data-requests/dtr_01M8951R2Y5W8Q3T6Z0K4H7N9B/download"
        ],
    )
    created_at: Time
    finished_at: Time | None
    expires_at: Time | None = Field(description="The archive is removed then, seven days after it was made.")
