"""Errors on the wire: one `application/problem+json` form for every status (RFC 9457).

`message` and, for 422, `errors` stand beside the standard members, so that clients written for
Laravel keep working.
"""

import json
from collections.abc import Sequence
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


def of_validation(error: ValidationError, whole: str, given: object) -> DomainError:
    """What pydantic found in `given`, by field; `whole` names it where no single field is at fault."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    if any(fault["type"] == "json_invalid" for fault in found):
        return Malformed(f"The {whole} is not valid JSON.")
    around = {fault["loc"][:depth] for fault in found for depth in range(len(fault["loc"]))}
    # a list is also called too short where its members are at fault
    found = [fault for fault in found if fault["type"] != "too_short" or fault["loc"] not in around]
    fields: dict[str, list[str]] = {}
    for fault in found[:_FAULTS_TOLD]:
        steps, text = _place(fault["loc"], fault["type"], fault["msg"], given)
        name = ".".join(str(step)[:_NAME_TOLD] for step in steps) or whole
        fields.setdefault(name, []).append(text)
    if len(found) > _FAULTS_TOLD:
        fields.setdefault(whole, []).append(f"has {len(found) - _FAULTS_TOLD} more faults")
    return Invalid(fields)


def _place(location: Sequence[int | str], kind: str, text: str, given: object) -> tuple[list[int | str], str]:
    """Where in the input a fault is, and what it says.

    Pydantic's location also names the member of a union, which is no step in the document; and a rule
    over several fields names the one at fault in its text, as in `options: id a stands there twice`.
    """
    steps: list[int | str] = []
    for number, step in enumerate(location, start=1):
        is_missing = kind == "missing" and number == len(location)
        if isinstance(given, dict) and step not in given and not is_missing:
            continue
        steps.append(step)
        try:
            given = given[step]  # type: ignore[index]
        except (KeyError, IndexError, TypeError):
            given = None
    if kind != "value_error":
        return steps, text
    text = text.removeprefix("Value error, ")
    name, _, rest = text.partition(": ")
    if isinstance(given, dict) and rest and name.partition(".")[0] in given:
        return [*steps, name], rest
    return steps, text


def _bytes(members: dict[str, object]) -> bytes:
    return json.dumps(members, ensure_ascii=False).encode("utf-8", "backslashreplace")
