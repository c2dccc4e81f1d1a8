"""Who changed what: one line for each change, once it is committed, beside the lines of deliveries."""

from typing import Any

from chalicelib.core.logs import log
from chalicelib.core.store import Transaction
from chalicelib.core.tokens import Principal


def note_by_itself(transaction: Transaction, action: str, institution_id: str, **facts: Any) -> None:
    """The same for what the system did by itself."""
    transaction.after(lambda: log.info("audit", action=action, institution_id=institution_id, **facts))


def note(transaction: Transaction, action: str, by: Principal, request_id: str, **facts: Any) -> None:
    """Tell an auditor that `by` did this (`webhook.created`) if `transaction` is committed.

    `facts` are ids and plain values: no secret, name or address.
    """
    transaction.after(
        lambda: log.info(
            "audit",
            action=action,
            institution_id=by.institution_id,
            member_id=by.member_id,
            token_id=by.token_id,
            role=by.role.value,
            request_id=request_id,
            **facts,
        )
    )
