"""AWS clients, made on first use: each costs about 70 ms of a cold start.

DynamoDB is reached through the models of `core.store` alone.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from threading import RLock
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from botocore.config import Config
from botocore.session import Session, get_session

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
def session() -> Session:
    """What all clients share: reading AWS's tables of regions and services again would cost 30 ms apiece.

    boto3 would add resources and transfers that nothing here uses, a tenth of a cold start.
    """
    return get_session()


def client(service: str, more: Config | None = None) -> Any:
    """A new client of a service; those that all share are below."""
    return session().create_client(service, config=_CONFIG.merge(more) if more else _CONFIG)


@once
def sqs() -> SQSClient:
    made: SQSClient = client("sqs")
    return made


@once
def s3() -> S3Client:
    """Buckets by host name, so that links lead to the bucket's own region; a laptop knows no such hosts."""
    style: Literal["path", "virtual"] = "path" if settings().stage == "local" else "virtual"
    config = Config(signature_version="s3v4", s3={"addressing_style": style})
    made: S3Client = client("s3", config)
    return made


@once
def kms() -> KMSClient:
    made: KMSClient = client("kms")
    return made


@functools.cache
def queue_url(name: str) -> str:
    """The URL of one of our queues, asked for once per container."""
    return sqs().get_queue_url(QueueName=settings().queue(name))["QueueUrl"]
