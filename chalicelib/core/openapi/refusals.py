"""Every kind of refusal with an example, what it means, and what a client does about it.

The document's shared answers and the page of errors are both made from this table; a test holds it
complete against the tree of `DomainError`.
"""

import json
from typing import Any, NamedTuple

from chalicelib.core import bodies, problems
from chalicelib.core.errors import (
    Conflict,
    DomainError,
    Forbidden,
    Invalid,
    Malformed,
    MethodNotAllowed,
    NotFound,
    PreconditionFailed,
    RateLimited,
    TooLarge,
    Unauthenticated,
    UnsupportedType,
)

_INSTANCE = "/api/integrations/webhooks"
_REQUEST_ID = "0d6f1b1e-6a0f-4f0a-9c54-2f3f6f1f7a10"


class Refusal(NamedTuple):
    """One kind of problem document; `kind` is what its `type` ends with."""

    kind: str
    status: int
    title: str
    meaning: str
    advice: str
    headers: tuple[str, ...]
    example: dict[str, Any]

    @property
    def name(self) -> str:
        """What the document's components call it."""
        return self.title.replace(" ", "")


def _of(error: DomainError, meaning: str, advice: str) -> Refusal:
    example = json.loads(problems.document(error, instance=_INSTANCE, request_id=_REQUEST_ID))
    return Refusal(error.kind, error.status, error.title, meaning, advice, tuple(error.headers()), example)


def _unexpected(meaning: str, advice: str) -> Refusal:
    example = json.loads(problems.unexpected(instance=_INSTANCE, request_id=_REQUEST_ID))
    kind = example["type"].partition("#")[2]
    return Refusal(kind, example["status"], example["title"], meaning, advice, (), example)


REFUSALS = (
    _of(
        Malformed("The body is not valid JSON."),
        "The request cannot be read: broken JSON, a field that stands there twice, a NUL character, or a "
        "broken header.",
        "Repair what builds the request. Sending the same again will not help.",
    ),
    _of(
        Unauthenticated(),
        "There is no bearer token, or one that is unknown, revoked or expired; at sign-in, the e-mail "
        "address and password do not belong together.",
        "Send `Authorization: Bearer` and a valid token. Make a new one where the old one has ended.",
    ),
    _of(
        Forbidden("webhooks:write"),
        "The token is valid, but lacks the ability that `ability` names, or its owner's role does.",
        "Use a token with that ability, or ask an owner of your institution for one.",
    ),
    _of(
        NotFound(),
        "There is no such thing, or it belongs to another institution; the two are not told apart.",
        "Check the path, the id and whose token you use.",
    ),
    _of(
        MethodNotAllowed(["GET", "POST"]),
        "The path exists, but does not answer this method.",
        "Use one of the methods in the `Allow` header.",
    ),
    _of(
        Conflict("Other requests keep changing the same records.", retry_after=1),
        "The present state does not allow this, or other requests kept changing the same records.",
        "Read the present state and decide again. With a `Retry-After` header, repeat the same request "
        "after so many seconds, with the same `Idempotency-Key`.",
    ),
    _of(
        PreconditionFailed(4),
        "Someone has changed the record since you read the `ETag` that you sent as `If-Match`.",
        "Read the record again, and send your change with its new `ETag`.",
    ),
    _of(
        TooLarge(bodies.LIMIT),
        "The body is larger than this path takes.",
        "Send less at a time.",
    ),
    _of(
        UnsupportedType(),
        "The body is not of a media type that this path takes.",
        "Send the `Content-Type` that the reference names, and a body that is of it.",
    ),
    _of(
        Invalid({"url": ["Field required"]}),
        "The request can be read, but fields or parameters break a rule; `errors` names each of them. "
        "Unknown ones count, and so does an `Idempotency-Key` that was used with another body.",
        "Correct the fields that `errors` names.",
    ),
    _of(
        RateLimited(27),
        "The token, or without one the address, has spent its requests of this minute.",
        "Wait as many seconds as `Retry-After` says; the request then gets through.",
    ),
    _unexpected(
        "Something failed on our side; it is logged under the request id.",
        "Repeat the request after a pause, with the same `Idempotency-Key`. If it keeps failing, tell "
        "support the `request_id`.",
    ),
)
