"""JSON bodies read strictly: what two parsers could read differently is refused."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from chalicelib.core import problems
from chalicelib.core.errors import Malformed, TooLarge, UnsupportedType

LIMIT = 1024 * 1024
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
"""The escape, which an even number of backslashes before it makes plain text."""
_B = TypeVar("_B", bound=BaseModel)


def read(model: type[_B], raw: bytes, content_type: str | None) -> _B:
    """The body as `model`.

    Raises `TooLarge` over 1 MiB, `UnsupportedType` for what is not JSON, `Malformed` for broken
    JSON, duplicate keys, NUL, lone surrogates and numbers no double can hold, `Invalid` naming
    each field that breaks a rule.
    """
    if len(raw) > LIMIT:
        raise TooLarge(LIMIT)
    if (content_type or "").partition(";")[0].strip().lower() != "application/json":
        raise UnsupportedType
    given = _checked(raw)
    try:
        return model.model_validate_json(raw, strict=True)
    except ValidationError as error:
        raise problems.of_validation(error, "body", given) from error


def _checked(raw: bytes) -> object:
    """The document, which no two parsers could read differently."""
    try:
        text = raw.decode("utf-8")
        value = json.loads(text, object_pairs_hook=_object, parse_float=_finite, parse_constant=_no_constant)
        if "\\u" in text:  # only an escape can smuggle in what the encoding forbids
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except Malformed:
        raise
    except (ValueError, RecursionError):
        raise Malformed("The body is not valid JSON.") from None
    if _NUL.search(text):
        raise Malformed("The body contains a NUL character.")
    return value


def _object(pairs: Sequence[tuple[str, Any]]) -> Mapping[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Malformed("The body names a field twice.")
    return found


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise Malformed("The body contains a number that is out of range.")
    return number


def _no_constant(text: str) -> float:
    raise Malformed(f"{text} is not JSON.")
