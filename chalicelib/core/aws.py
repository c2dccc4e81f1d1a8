"""AWS clients, made on first use: each costs about 70 ms of a cold start.

DynamoDB is reached through the models of `core.store` alone.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from threading import RLock
from typing import TYPE_CHECKING, Generic, Literal, TypeVar

import boto3
from botocore.config import Config

from chalicelib.core.settings import settings

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

T = TypeVar("T")
_making = RLock()


class once(Generic[T]):
    """Makes something at its first use and keeps it. Ten threads of a cold worker make one, not ten."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._made: list[T] = []

    def __call__(self) -> T:
        with _making:
            if not self._made:
                self._made.append(self._make())
            return self._made[0]

    def cache_clear(self) -> None:
        """Make it anew at the next use."""
        self._made.clear()


_CONFIG = Config(
    connect_timeout=3,
    read_timeout=10,
    retries={"mode": "standard", "total_max_attempts": 3},
    max_pool_connections=20,
)


@once
def sqs() -> SQSClient:
    return boto3.client("sqs", config=_CONFIG)


@once
def s3() -> S3Client:
    """Buckets by host name, so that links lead to the bucket's own region; a laptop knows no such hosts."""
    style: Literal["path", "virtual"] = "path" if settings().stage == "local" else "virtual"
    config = Config(signature_version="s3v4", s3={"addressing_style": style})
    return boto3.client("s3", config=_CONFIG.merge(config))


@once
def kms() -> KMSClient:
    return boto3.client("kms", config=_CONFIG)


@functools.cache
def queue_url(name: str) -> str:
    """The URL of one of our queues, asked for once per container."""
    return sqs().get_queue_url(QueueName=settings().queue(name))["QueueUrl"]
