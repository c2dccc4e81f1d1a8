"""AWS clients, made on first use: each costs about 70 ms of a cold start.

DynamoDB is reached through the models of `core.store` alone.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

from chalicelib.core.settings import settings

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

_CONFIG = Config(
    connect_timeout=3,
    read_timeout=10,
    retries={"mode": "standard", "total_max_attempts": 3},
    max_pool_connections=20,
)


@cache
def sqs() -> SQSClient:
    return boto3.client("sqs", config=_CONFIG)


@cache
def s3() -> S3Client:
    return boto3.client("s3", config=_CONFIG.merge(Config(signature_version="s3v4")))


@cache
def kms() -> KMSClient:
    return boto3.client("kms", config=_CONFIG)


@cache
def queue_url(name: str) -> str:
    """The URL of one of our queues, asked for once per container."""
    return sqs().get_queue_url(QueueName=settings().queue(name))["QueueUrl"]
