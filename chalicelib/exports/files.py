"""Export files on S3: written in parts at constant memory, read by links that live for minutes."""

import hashlib
from datetime import timedelta
from types import TracebackType
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.core import aws
from chalicelib.core.logs import log
from chalicelib.core.settings import settings

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

PART_BYTES = 8 * 1024 * 1024
"""A part is cut as soon as it has that many; S3 takes 5 MiB and more, and 10,000 parts."""
MEDIA_TYPE = "text/csv; charset=utf-8"
LINK_LIVES = timedelta(minutes=5)


class Upload:
    """A file that is being written; it exists once `finish` has returned, or not at all.

    Left by an exception, its parts are removed again; the bucket's lifecycle removes what a worker
    that died has left.
    """

    def __init__(self, key: str) -> None:
        self.size_bytes = 0
        self._key = key
        self._buffer = bytearray()
        self._digest = hashlib.sha256()
        self._upload_id: str | None = None
        self._parts: list[CompletedPartTypeDef] = []

    def __enter__(self) -> "Upload":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None and self._upload_id is not None:
            self._abort(self._upload_id)

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def add(self, chunk: bytes) -> None:
        """Chunks are never divided: a part ends where a chunk ends."""
        self.size_bytes += len(chunk)
        self._digest.update(chunk)
        self._buffer += chunk
        if len(self._buffer) >= PART_BYTES:
            self._send_part()

    def finish(self) -> None:
        if self._upload_id is None:
            aws.s3().put_object(
                Bucket=settings().bucket, Key=self._key, Body=bytes(self._buffer), ContentType=MEDIA_TYPE
            )
            return
        if self._buffer:
            self._send_part()
        aws.s3().complete_multipart_upload(
            Bucket=settings().bucket,
            Key=self._key,
            UploadId=self._upload_id,
            MultipartUpload={"Parts": self._parts},
        )

    def _send_part(self) -> None:
        bucket, number = settings().bucket, len(self._parts) + 1
        if self._upload_id is None:
            made = aws.s3().create_multipart_upload(Bucket=bucket, Key=self._key, ContentType=MEDIA_TYPE)
            self._upload_id = made["UploadId"]
        sent = aws.s3().upload_part(
            Bucket=bucket,
            Key=self._key,
            UploadId=self._upload_id,
            PartNumber=number,
            Body=bytes(self._buffer),
        )
        part: CompletedPartTypeDef = {"PartNumber": number, "ETag": sent["ETag"]}
        if "ChecksumCRC32" in sent:  # an upload begun with checksums is only completed with them
            part["ChecksumCRC32"] = sent["ChecksumCRC32"]
        self._parts.append(part)
        self._buffer.clear()

    def _abort(self, upload_id: str) -> None:
        try:
            aws.s3().abort_multipart_upload(Bucket=settings().bucket, Key=self._key, UploadId=upload_id)
        except (BotoCoreError, ClientError) as error:
            log.warning("export.upload_left_to_lifecycle", key=self._key, error=type(error).__name__)


def link(key: str, file_name: str) -> str:
    """A link that anyone may follow for five minutes. Made without a call to AWS.

    It dies with the credentials of the role that signs it, whatever it says: so it is made when asked
    for, and never stored.
    """
    return aws.s3().generate_presigned_url(
        "get_object",
        Params={
            "Bucket": settings().bucket,
            "Key": key,
            "ResponseContentDisposition": f'attachment; filename="{file_name}"',
            "ResponseContentType": MEDIA_TYPE,
        },
        ExpiresIn=int(LINK_LIVES.total_seconds()),
    )
