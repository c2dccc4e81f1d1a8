"""Recordings on S3, each under a name that follows from its bytes: what a URL plays never changes."""

import hashlib
from functools import cached_property

from chalicelib.core import aws
from chalicelib.core.settings import settings
from infra.demo.recordings import Spoken

FOREVER = "public, max-age=31536000, immutable"


class Media:
    """The media bucket of the local stage. S3 serves it by path; on AWS, a CDN may stand before it."""

    def __init__(self) -> None:
        self._bucket = f"talktiko-{settings().stage}-media"
        self._base_url = f"{aws.s3().meta.endpoint_url}/{self._bucket}"

    def url_of(self, spoken: Spoken) -> str:
        """Where the recording is heard; it is uploaded if it is not there."""
        recording = spoken.path.read_bytes()
        key = f"{spoken.path.stem}-{hashlib.sha256(recording).hexdigest()[:16]}.mp3"
        if key not in self._kept:
            aws.s3().put_object(
                Bucket=self._bucket,
                Key=key,
                Body=recording,
                ContentType="audio/mpeg",
                CacheControl=FOREVER,
            )
            self._kept.add(key)
        return f"{self._base_url}/{key}"

    @cached_property
    def _kept(self) -> set[str]:
        pages = aws.s3().get_paginator("list_objects_v2").paginate(Bucket=self._bucket)
        return {kept["Key"] for page in pages for kept in page.get("Contents", [])}
