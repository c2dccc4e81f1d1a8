"""What auditors read of a delivery: a line for each attempt, and one where it ends without an attempt.

No secret, no signature, no path or query of a URL, no learner data. A field without a value is left out.
"""

from collections.abc import Mapping

from chalicelib.core.logs import log
from chalicelib.webhooks.models import DeliveryItem

ATTEMPT = "webhook.delivery.attempt"
CLOSED = "webhook.delivery.closed"

_OF_EITHER = {
    "institution_id": "to whom the event belongs",
    "webhook_id": "the webhook; none where a URL was tried before there is one",
    "delivery_id": "the delivery, as in the API and in the header `X-Talktiko-Delivery`",
    "event_id": "the event, as in the header `webhook-id`",
    "event_type": "its type",
    "trigger": "why it is sent: `event`, `manual` (a resend), `recovery`, `test`",
    "resend_of": "the delivery that this one sends again",
    "request_id": "the request from which the event, the resend or the test follows",
    "failure_reason": "why the delivery failed for good",
}
ATTEMPT_FIELDS: Mapping[str, str] = {
    **_OF_EITHER,
    "stage": "of this installation",
    "sent_at": "when the attempt began; the line itself is written when it is over",
    "attempt": "its number, from 1",
    "resumed": "whether an earlier try of the same attempt died, so that the receiver may have had it twice",
    "url_scheme": "`https`",
    "url_host": "the receiver's host",
    "url_port": "its port where the URL names one",
    "url_path_sha256": "first 16 hex digits of the SHA-256 of the URL's path; the query is never logged",
    "resolved_address": "the IP address that was connected to",
    "refused_address": "the IP address for which the host was refused, as it is not public",
    "tls_version": "of the connection",
    "status_code": "of the answer, if one came",
    "outcome": "what it means for the delivery: `delivered`, `retrying`, `failed`",
    "error_class": "why the attempt failed; `http_status` where an answer came that is no 2xx",
    "duration_ms": "the whole attempt",
    "dns_ms": "of it, resolving the name",
    "connect_ms": "connecting",
    "tls_ms": "the TLS handshake",
    "first_byte_ms": "from the request to the first byte of the answer",
    "request_bytes": "size of what was sent",
    "response_bytes": "size of what was read of the answer",
    "next_attempt_at": "when it is tried again",
    "body_sha256": "SHA-256 of the body that was signed and sent, the same in every attempt and resend",
    "attempts": "1, for the metrics; tests have none",
    "delivered": "1 where the receiver took it",
    "exhausted": "1 where it was the last retry and failed",
}
CLOSED_FIELDS: Mapping[str, str] = {
    **_OF_EITHER,
    "status": "how it ended: `skipped` (webhook disabled), `cancelled` (webhook deleted), `failed`",
}
METRICS = [
    {
        "Namespace": "Talktiko/Webhooks",
        "Dimensions": [["stage"]],
        "Metrics": [
            {"Name": "attempts", "Unit": "Count"},
            {"Name": "delivered", "Unit": "Count"},
            {"Name": "exhausted", "Unit": "Count"},
            {"Name": "duration_ms", "Unit": "Milliseconds"},
        ],
    }
]
"""Read from the line of an attempt. By stage alone: a dimension by tenant would be paid for by tenant."""


def closed(delivery: DeliveryItem, status: str, reason: str | None = None) -> None:
    """Tell that a delivery ended without an attempt."""
    write = log.error if reason == "internal" else log.info
    write(
        CLOSED,
        institution_id=delivery.institution_id,
        webhook_id=delivery.pk,
        delivery_id=delivery.sk,
        event_id=delivery.event_id,
        event_type=delivery.event_type,
        trigger=delivery.trigger,
        resend_of=delivery.resend_of,
        status=status,
        failure_reason=reason,
        request_id=delivery.request_id,
    )
