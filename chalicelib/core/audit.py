"""Who did what: one line for each act, once it is committed, beside the lines of deliveries.

A process that dies between commit and line leaves the line out; what was done stands in the records.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from chalicelib.core.abilities import Role
from chalicelib.core.logs import log
from chalicelib.core.store import Transaction
from chalicelib.core.tokens import Principal

Action = Literal[
    "session.started",
    "session.ended",
    "token.created",
    "token.revoked",
    "webhook.created",
    "webhook.updated",
    "webhook.deleted",
    "webhook.enabled",
    "webhook.disabled",
    "webhook.secret_rotated",
    "webhook.rotation_finished",
    "webhook.delivery_resent",
    "webhook.recovery_requested",
    "export.requested",
    "export.cancelled",
    "export.removed",
    "export.downloaded",
    "personal_data.requested",
    "personal_data.completed",
    "personal_data.cancelled",
    "personal_data.downloaded",
]

FIELDS: Mapping[str, str] = {
    "action": "what was done",
    "institution_id": "in which institution",
    "member_id": "who did it; none where the system did it by itself",
    "token_id": "with which token",
    "role": "the member's role then; `system` where the system did it by itself",
    "request_id": "in which request, as its answer's `X-Request-Id`",
    "subject_token_id": "the token that was created or revoked",
    "abilities": "what a new token may do",
    "expires_at": "until when a new token is valid",
    "replaced_token_ids": "tokens that had to make room for a new one",
    "webhook_id": "the webhook",
    "events": "what a new webhook subscribes to",
    "changed": "the names of what was changed, never the values",
    "reason": "why the system disabled a webhook",
    "grace_seconds": "how long the old secret signs beside the new one",
    "delivery_id": "the new delivery of a resend",
    "resend_of": "the delivery that was sent again",
    "recovery_id": "the recovery",
    "since": "deliveries made from then on are recovered",
    "until": "and before then",
    "export_id": "the export",
    "export_type": "what it shows",
    "data_request_id": "the request for personal data",
    "data_request_type": "`export` or `erasure`",
    "learner_id": "whom it is about",
    "requested_by": "the member who asked for what the system has now done",
}
"""Every field that an audit line may have, beside time, level and `message`, which is `audit`. One without a
value is left out.
"""


@dataclass(frozen=True)
class Actor:
    """Who acts without being a request's caller: whoever signs in."""

    institution_id: str
    member_id: str
    token_id: str
    role: Role


def note(
    transaction: Transaction, action: Action, by: Principal | Actor, request_id: str, **facts: Any
) -> None:
    """Tell an auditor that `by` did this if `transaction` is committed.

    `facts` are `FIELDS`, ids and plain values: no secret, name or address.
    """
    who = {"member_id": by.member_id, "token_id": by.token_id, "role": by.role.value}
    _write(transaction, action, institution_id=by.institution_id, **who, request_id=request_id, **facts)


def note_by_itself(
    transaction: Transaction, action: Action, institution_id: str, request_id: str | None, **facts: Any
) -> None:
    """The same for what the system did by itself. `request_id`: of the request that it follows from."""
    nobody = {"member_id": None, "token_id": None, "role": "system"}
    _write(transaction, action, institution_id=institution_id, **nobody, request_id=request_id, **facts)


def _write(transaction: Transaction, action: Action, **facts: Any) -> None:
    transaction.after(lambda: log.info("audit", action=action, **facts))
