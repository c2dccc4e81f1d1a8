"""What S3 is asked for while a file is written. S3's own rules stand in the stand-in."""

import gzip
import hashlib
import io
import random
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from botocore.response import StreamingBody

from chalicelib.core import aws
from chalicelib.exports import files
from chalicelib.exports.files import PART_BYTES, Sent, Upload, UploadGone

LEAST_PART = 5 * 1024 * 1024


class Storage:
    """Keeps what is put; refuses what S3 refuses."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.types: dict[str, str] = {}
        self.parts: dict[str, dict[int, bytes]] = {}

    def put_object(self, *, Key: str, Body: bytes, ContentType: str, **_: str) -> None:
        self.objects[Key], self.types[Key] = Body, ContentType

    def create_multipart_upload(self, *, Key: str, ContentType: str, **_: str) -> dict[str, Any]:
        self.parts[Key], self.types[Key] = {}, ContentType
        return {"UploadId": Key}

    def upload_part(self, *, UploadId: str, PartNumber: int, Body: bytes, **_: str) -> dict[str, Any]:
        if UploadId not in self.parts:
            raise ClientError({"Error": {"Code": "NoSuchUpload"}}, "UploadPart")
        self.parts[UploadId][PartNumber] = Body
        return {"ETag": f"tag {PartNumber}"}

    def get_paginator(self, operation: str) -> "Storage":
        assert operation == "list_parts"
        return self

    def paginate(self, *, UploadId: str, **_: str) -> Iterator[dict[str, Any]]:
        """Two parts a page."""
        if UploadId not in self.parts:
            raise ClientError({"Error": {"Code": "NoSuchUpload"}}, "ListParts")
        found = [self._part(number) for number in sorted(self.parts[UploadId])]
        for start in range(0, len(found), 2):
            yield {"Parts": found[start : start + 2]}

    @staticmethod
    def _part(number: int) -> dict[str, Any]:
        return {"PartNumber": number, "ETag": f"tag {number}", "ChecksumCRC32": f"sum {number}"}

    def complete_multipart_upload(
        self, *, Key: str, UploadId: str, MultipartUpload: dict[str, Any], **_: str
    ) -> None:
        parts = self.parts.pop(UploadId)
        numbers = sorted(parts)
        assert numbers == list(range(1, len(parts) + 1))
        assert all(len(parts[n]) >= LEAST_PART for n in numbers[:-1]), "EntityTooSmall"
        assert MultipartUpload["Parts"] == [self._part(n) for n in numbers]
        self.objects[Key] = b"".join(parts[n] for n in numbers)

    def get_object(self, *, Key: str, **_: str) -> dict[str, Any]:
        return {"Body": StreamingBody(io.BytesIO(self.objects[Key]), len(self.objects[Key]))}

    def abort_multipart_upload(self, *, UploadId: str, **_: str) -> None:
        del self.parts[UploadId]


@pytest.fixture
def storage(monkeypatch: pytest.MonkeyPatch) -> Storage:
    found = Storage()
    monkeypatch.setattr(aws, "s3", lambda: found)
    return found


def chunks_of(count: int) -> list[bytes]:
    return [random.Random(n).randbytes(100_000) for n in range(count)]  # noqa: S311


@pytest.mark.parametrize("count", [0, 1, 9, 84, 85, 171])
def test_a_file_is_what_was_added_however_large(storage: Storage, count: int) -> None:
    whole = chunks_of(count)
    upload = Upload("a.csv", compressed=False)
    for chunk in whole:
        upload.add(chunk)
        assert len(upload._buffer) < PART_BYTES
    size, digest = upload.finish()
    assert storage.objects == {"a.csv": b"".join(whole)}
    assert storage.parts == {}
    assert storage.types == {"a.csv": "text/csv; charset=utf-8"}
    assert (size, digest) == (count * 100_000, hashlib.sha256(b"".join(whole)).hexdigest())


def test_a_compressed_file_unpacks_to_what_was_added(storage: Storage) -> None:
    whole = chunks_of(171)
    upload = Upload("a.csv.gz", compressed=True)
    ends = [upload.add(chunk) for chunk in whole]
    size, digest = upload.finish()
    stored = storage.objects["a.csv.gz"]
    assert sum(ends) == 2
    assert gzip.decompress(stored) == b"".join(whole)
    assert (size, digest) == (len(stored), hashlib.sha256(stored).hexdigest())
    assert storage.types["a.csv.gz"] == "application/gzip"


@pytest.mark.parametrize("compressed", [False, True])
def test_a_file_that_is_gone_on_with_is_byte_for_byte_the_same(storage: Storage, compressed: bool) -> None:
    """Whatever was added after the last part that S3 has is lost with the worker, and added again."""
    whole = chunks_of(260)
    uninterrupted = Upload("a.csv", compressed=compressed)
    for chunk in whole:
        uninterrupted.add(chunk)
    expected = uninterrupted.finish()
    sent, at = None, 0
    for dies_after in (50, 100, 180, 259, None):
        upload = Upload("b.csv", compressed=compressed, sent=sent)
        for number in range(at, len(whole)):
            if upload.add(whole[number]):
                sent, at = upload.sent, number + 1
            if number == dies_after:
                break
        else:
            assert upload.finish() == expected
    assert storage.objects["b.csv"] == storage.objects["a.csv"]


def test_a_part_that_was_sent_and_not_noted_is_sent_again(storage: Storage) -> None:
    whole = chunks_of(100)
    first = Upload("a.csv", compressed=False)
    for chunk in whole:
        first.add(chunk)
    assert first.sent is not None
    again = Upload("a.csv", compressed=False, sent=Sent(first.sent.upload_id, 0, 0))
    for chunk in whole:
        again.add(chunk)
    again.finish()
    assert storage.objects["a.csv"] == b"".join(whole)


def test_an_upload_that_s3_has_forgotten_is_told(storage: Storage) -> None:
    upload = Upload("a.csv", compressed=False, sent=Sent("gone", 1, PART_BYTES))
    with pytest.raises(UploadGone):
        upload.add(b"x" * PART_BYTES)
    upload = Upload("a.csv", compressed=False, sent=Sent("gone", 1, PART_BYTES))
    with pytest.raises(UploadGone):
        upload.finish()


def test_a_file_that_will_not_be_leaves_nothing(storage: Storage) -> None:
    upload = Upload("a.csv", compressed=False)
    upload.add(b"x" * (PART_BYTES + 10))
    files.abandon("a.csv", upload.sent)
    assert (storage.objects, storage.parts) == ({}, {})
