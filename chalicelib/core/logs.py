"""Structured logs: one JSON object a line, an event name in `message`, facts as fields.

Never in a log: secrets, signatures, tokens, e-mail addresses, names, answers.
"""

import time
from typing import Any

from aws_lambda_powertools import Logger

from chalicelib.core.settings import settings

log = Logger(
    service="talktiko",
    level=settings().log_level,
    utc=True,
    use_rfc3339=True,
    log_record_order=["level", "message"],
)

_METRICS = [
    {
        "Namespace": "Talktiko",
        "Dimensions": [["stage"], ["stage", "method", "route"]],
        "Metrics": [
            {"Name": "requests", "Unit": "Count"},
            {"Name": "client_errors", "Unit": "Count"},
            {"Name": "server_errors", "Unit": "Count"},
            {"Name": "duration_ms", "Unit": "Milliseconds"},
        ],
    }
]


def embedded(metrics: list[dict[str, Any]]) -> dict[str, Any]:
    """What a line has as `_aws` so that CloudWatch reads metrics from it (embedded metric format)."""
    return {"Timestamp": time.time_ns() // 1_000_000, "CloudWatchMetrics": metrics}


def log_request(
    *,
    request_id: str,
    method: str,
    route: str,
    status: int,
    duration_ms: float,
    token_id: str | None,
    institution_id: str | None,
) -> None:
    """The one line of a request: who called what with which result, and its metrics.

    The dimensions of the metrics are stage, method and route, never the tenant: each combination is a metric
    that is paid for.
    """
    log.info(
        "http.request",
        request_id=request_id,
        stage=settings().stage,
        method=method,
        route=route,
        status=status,
        requests=1,
        client_errors=int(400 <= status < 500),
        server_errors=int(status >= 500),
        duration_ms=duration_ms,
        token_id=token_id,
        institution_id=institution_id,
        _aws=embedded(_METRICS),
    )
