"""Errors on the wire: one `application/problem+json` form for every status (RFC 9457).

`message` and, for 422, `errors` stand beside the standard members, so that clients written for
Laravel keep working.
"""

import json
from http import HTTPStatus

from pydantic import ValidationError

from chalicelib.core.errors import DomainError, Invalid, Malformed

MEDIA_TYPE = "application/problem+json"
_FAULTS_TOLD = 50
_NAME_TOLD = 100
"""A body of 1 MiB can hold 100,000 faults, and names as long as itself."""


def document(error: DomainError, *, instance: str, request_id: str) -> bytes:
    """The problem document of a refusal."""
    return _bytes(
        {
            "type": f"/docs/errors#{error.kind}",
            "title": error.title,
            "status": error.status,
            "detail": error.detail,
            "instance": instance,
            "request_id": request_id,
            "message": error.detail,
            **error.members(),
        }
    )


def unexpected(*, instance: str, request_id: str) -> bytes:
    """The problem document of a fault of ours: it names the request, never the fault."""
    status = HTTPStatus.INTERNAL_SERVER_ERROR
    detail = "Something failed on our side. Tell support the request id."
    return _bytes(
        {
            "type": "/docs/errors#internal-server-error",
            "title": status.phrase,
            "status": status.value,
            "detail": detail,
            "instance": instance,
            "request_id": request_id,
            "message": detail,
        }
    )


def of_validation(error: ValidationError, whole: str) -> DomainError:
    """What pydantic found, by field; `whole` names the input where no single field is at fault."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    if any(fault["type"] == "json_invalid" for fault in found):
        return Malformed(f"The {whole} is not valid JSON.")
    fields: dict[str, list[str]] = {}
    for fault in found[:_FAULTS_TOLD]:
        name = ".".join(str(part)[:_NAME_TOLD] for part in fault["loc"]) or whole
        fields.setdefault(name, []).append(fault["msg"])
    if len(found) > _FAULTS_TOLD:
        fields.setdefault(whole, []).append(f"has {len(found) - _FAULTS_TOLD} more faults")
    return Invalid(fields)


def _bytes(members: dict[str, object]) -> bytes:
    return json.dumps(members, ensure_ascii=False).encode("utf-8", "backslashreplace")
