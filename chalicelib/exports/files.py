"""Export files on S3: written in parts at constant memory, gone on with after a death."""

import hashlib
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.core import aws
from chalicelib.core.logs import log
from chalicelib.core.settings import settings

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

PART_BYTES = 8 * 1024 * 1024
"""A part is cut as soon as it has that many; S3 takes 5 MiB and more, and 10,000 parts."""
CSV = "text/csv; charset=utf-8"
GZIP = "application/gzip"
_GZIP_FORMAT = 31  # zlib: a gzip member with the largest window, its time left at 0
_READ_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Sent:
    """How much of a file S3 has: parts of a multipart upload, and their bytes."""

    upload_id: str
    parts: int
    size_bytes: int


class UploadGone(Exception):
    """S3 does not know the upload: it was completed or removed."""


class Upload:
    """A file that is being written; it exists once `finish` has returned, or not at all.

    Chunks are never divided: a part ends where a chunk ends, and what is in no part yet is lost with this
    object. Given what was `sent` before, it goes on after that. Each part of a compressed file is a gzip
    member of its own (RFC 1952 section 2.2).
    """

    def __init__(self, key: str, *, compressed: bool, sent: Sent | None = None) -> None:
        self.media_type = GZIP if compressed else CSV
        self.sent = sent
        self._key, self._compressed = key, compressed
        self._buffer = bytearray()
        self._compressor = self._new_compressor()
        self._digest = None if sent else hashlib.sha256()
        self._size = sent.size_bytes if sent else 0

    def add(self, chunk: bytes) -> bool:
        """Whether this chunk ended a part, which S3 now has."""
        self._buffer += self._compressor.compress(chunk) if self._compressor else chunk
        if len(self._buffer) < PART_BYTES:
            return False
        self._send_part()
        return True

    def finish(self) -> tuple[int, str]:
        """Make the file from its parts. Its size and SHA-256."""
        bucket = settings().bucket
        if self.sent is None:
            body = self._taken()
            aws.s3().put_object(Bucket=bucket, Key=self._key, Body=body, ContentType=self.media_type)
        else:
            if self._buffer or self._compressor:
                self._send_part()
            with _still_there():
                aws.s3().complete_multipart_upload(
                    Bucket=bucket,
                    Key=self._key,
                    UploadId=self.sent.upload_id,
                    MultipartUpload={"Parts": list(_parts(self._key, self.sent.upload_id))},
                )
        digest = self._digest.hexdigest() if self._digest else _sha256_of(self._key)
        return self._size, digest

    def _send_part(self) -> None:
        body, bucket = self._taken(), settings().bucket
        if self.sent is None:
            made = aws.s3().create_multipart_upload(Bucket=bucket, Key=self._key, ContentType=self.media_type)
            self.sent = Sent(made["UploadId"], 0, 0)
        number = self.sent.parts + 1
        with _still_there():
            aws.s3().upload_part(
                Bucket=bucket, Key=self._key, UploadId=self.sent.upload_id, PartNumber=number, Body=body
            )
        self.sent = Sent(self.sent.upload_id, number, self._size)

    def _taken(self) -> bytes:
        """What stands in the buffer, as a whole gzip member if the file is compressed."""
        if self._compressor:
            self._buffer += self._compressor.flush()
            self._compressor = self._new_compressor()
        body = bytes(self._buffer)
        self._buffer.clear()
        self._size += len(body)
        if self._digest:
            self._digest.update(body)
        return body

    def _new_compressor(self) -> Any:
        return zlib.compressobj(wbits=_GZIP_FORMAT) if self._compressed else None


@contextmanager
def _still_there() -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") == "NoSuchUpload":
            raise UploadGone from error
        raise


def _parts(key: str, upload_id: str) -> Iterator["CompletedPartTypeDef"]:
    """The parts that S3 has, in order. An upload begun with checksums is only completed with them."""
    pages = aws.s3().get_paginator("list_parts")
    for page in pages.paginate(Bucket=settings().bucket, Key=key, UploadId=upload_id):
        for part in page.get("Parts", []):
            found: CompletedPartTypeDef = {"PartNumber": part["PartNumber"], "ETag": part["ETag"]}
            if "ChecksumCRC32" in part:
                found["ChecksumCRC32"] = part["ChecksumCRC32"]
            yield found


def _sha256_of(key: str) -> str:
    digest = hashlib.sha256()
    body = aws.s3().get_object(Bucket=settings().bucket, Key=key)["Body"]
    for chunk in body.iter_chunks(_READ_BYTES):
        digest.update(chunk)
    return digest.hexdigest()


def abandon(key: str, sent: Sent | None) -> None:
    """Remove the parts of a file that will not be; where that fails, the bucket's lifecycle does."""
    if sent is None:
        return
    try:
        aws.s3().abort_multipart_upload(Bucket=settings().bucket, Key=key, UploadId=sent.upload_id)
    except (BotoCoreError, ClientError) as error:
        log.warning("export.upload_left_to_lifecycle", key=key, error=type(error).__name__)
