"""What S3 is asked for while a file is written. S3's own rules stand in the stand-in."""

import hashlib
from typing import Any

import pytest

from chalicelib.core import aws
from chalicelib.exports import files
from chalicelib.exports.files import PART_BYTES, Upload

LEAST_PART = 5 * 1024 * 1024


class Storage:
    """Keeps what is put; refuses what S3 refuses."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.parts: dict[str, list[bytes]] = {}

    def put_object(self, *, Key: str, Body: bytes, ContentType: str, **_: str) -> None:
        assert ContentType == "text/csv; charset=utf-8"
        self.objects[Key] = Body

    def create_multipart_upload(self, *, Key: str, ContentType: str, **_: str) -> dict[str, Any]:
        assert ContentType == "text/csv; charset=utf-8"
        self.parts[Key] = []
        return {"UploadId": Key}

    def upload_part(self, *, UploadId: str, PartNumber: int, Body: bytes, **_: str) -> dict[str, Any]:
        parts = self.parts[UploadId]
        assert PartNumber == len(parts) + 1
        parts.append(Body)
        return {"ETag": f"tag {PartNumber}", "ChecksumCRC32": f"sum {PartNumber}"}

    def complete_multipart_upload(
        self,
        *,
        Key: str,
        UploadId: str,
        MultipartUpload: dict[str, Any],
        **_: str,
    ) -> None:
        parts = self.parts.pop(UploadId)
        assert all(len(part) >= LEAST_PART for part in parts[:-1]), "EntityTooSmall"
        assert MultipartUpload["Parts"] == [
            {"PartNumber": n, "ETag": f"tag {n}", "ChecksumCRC32": f"sum {n}"}
            for n in range(1, len(parts) + 1)
        ]
        self.objects[Key] = b"".join(parts)

    def abort_multipart_upload(self, *, UploadId: str, **_: str) -> None:
        del self.parts[UploadId]


@pytest.fixture
def storage(monkeypatch: pytest.MonkeyPatch) -> Storage:
    found = Storage()
    monkeypatch.setattr(aws, "s3", lambda: found)
    return found


@pytest.mark.parametrize("chunks", [0, 1, 9, 80, 81, 171])
def test_a_file_is_what_was_added_however_large(storage: Storage, chunks: int) -> None:
    whole = [bytes([n % 256]) * 100_000 for n in range(chunks)]
    with Upload("a.csv") as upload:
        for chunk in whole:
            upload.add(chunk)
        assert len(upload._buffer) < PART_BYTES
        upload.finish()
    assert storage.objects == {"a.csv": b"".join(whole)}
    assert storage.parts == {}
    assert upload.size_bytes == chunks * 100_000
    assert upload.sha256 == hashlib.sha256(b"".join(whole)).hexdigest()


@pytest.mark.parametrize("size", [10, PART_BYTES + 10])
def test_a_file_that_broke_off_leaves_nothing(storage: Storage, size: int) -> None:
    def write() -> None:
        with Upload("a.csv") as upload:
            upload.add(b"x" * size)
            raise ConnectionError

    with pytest.raises(ConnectionError):
        write()
    assert (storage.objects, storage.parts) == ({}, {})


def test_links_carry_name_and_type_and_end_after_five_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    aws.s3.cache_clear()
    try:
        url = files.link("ins_1/exp_1/1.csv", "talktiko-activity-2026-11-25-exp_1.csv")
    finally:
        aws.s3.cache_clear()
    assert "/ins_1/exp_1/1.csv?" in url
    assert "X-Amz-Expires=300&" in url
    assert "filename%3D%22talktiko-activity-2026-11-25-exp_1.csv%22" in url
    assert "response-content-type=text%2Fcsv%3B%20charset%3Dutf-8" in url
