"""Files in the stage's bucket: put, removed, and read by links that live for minutes.

The bucket's lifecycle removes every file after seven days.
"""

from datetime import timedelta
from typing import BinaryIO

from chalicelib.core import aws
from chalicelib.core.settings import settings

FILE_LIVES = timedelta(days=7)
LINK_LIVES = timedelta(minutes=5)


def put(key: str, body: bytes | BinaryIO, media_type: str) -> None:
    """A file of at most 5 GB, in one call; an open one is read as it is sent."""
    aws.s3().put_object(Bucket=settings().bucket, Key=key, Body=body, ContentType=media_type)


def remove(*keys: str) -> None:
    """Safe to repeat: what is not there counts as removed."""
    for key in keys:
        aws.s3().delete_object(Bucket=settings().bucket, Key=key)


def link(key: str, file_name: str, media_type: str) -> str:
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
            "ResponseContentType": media_type,
        },
        ExpiresIn=int(LINK_LIVES.total_seconds()),
    )
