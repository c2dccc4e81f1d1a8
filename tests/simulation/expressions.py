"""DynamoDB's condition and update expressions, as far as our code writes them; anything else is refused.

Each text is read once and kept as a function: PynamoDB numbers its placeholders the same way every time.
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.OperatorsAndFunctions.html
"""

import operator
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import cache
from typing import Any

Row = dict[str, Any]
"""Attributes as DynamoDB writes them: `{"S": "text"}`."""
Named = Mapping[str, str]
Values = Mapping[str, Any]
Condition = Callable[[Row, Named, Values], bool]
Operand = Callable[[Row, Named, Values], Any]
Update = Callable[[Row, Named, Values], Row]

_TOKEN = re.compile(r"\s*([#:]?\w+|<>|<=|>=|[=<>(),+-])")
_COMPARED: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq, "<>": operator.ne, "<": operator.lt, "<=": operator.le,
    ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
_VERBS = ("SET", "REMOVE", "ADD")


class _Reader:
    """Tokens of a text, read from left to right."""

    def __init__(self, text: str) -> None:
        self.tokens = _TOKEN.findall(text)
        if "".join(self.tokens) != "".join(text.split()):
            raise NotImplementedError(text)

    @property
    def next(self) -> str:
        return self.tokens[0] if self.tokens else ""

    def take(self, wanted: str = "") -> str:
        if wanted and self.next != wanted:
            raise NotImplementedError(f"{self.next} where {wanted} was expected")
        return str(self.tokens.pop(0))

    def takes(self, wanted: str) -> bool:
        if self.next != wanted:
            return False
        self.take()
        return True


@cache
def condition(text: str) -> Condition:
    reader = _Reader(text)
    found = _either(reader)
    if reader.next:
        raise NotImplementedError(text)
    return found


def _either(reader: _Reader) -> Condition:
    parts = [_both(reader)]
    while reader.takes("OR"):
        parts.append(_both(reader))
    return parts[0] if len(parts) == 1 else lambda *given: any(part(*given) for part in parts)


def _both(reader: _Reader) -> Condition:
    parts = [_single(reader)]
    while reader.takes("AND"):
        parts.append(_single(reader))
    return parts[0] if len(parts) == 1 else lambda *given: all(part(*given) for part in parts)


def _single(reader: _Reader) -> Condition:
    if reader.takes("NOT"):
        negated = _single(reader)
        return lambda *given: not negated(*given)
    if reader.takes("("):
        inner = _either(reader)
        reader.take(")")
        return inner
    if reader.next in ("attribute_exists", "attribute_not_exists"):
        wanted = reader.take() == "attribute_exists"
        reader.take("(")
        place = _operand(reader)
        reader.take(")")
        return lambda *given: (place(*given) is not None) == wanted
    if reader.takes("begins_with"):
        reader.take("(")
        place = _operand(reader)
        reader.take(",")
        beginning = _operand(reader)
        reader.take(")")
        return lambda *given: _begins(place(*given), beginning(*given))
    left = _operand(reader)
    if reader.takes("BETWEEN"):
        low = _operand(reader)
        reader.take("AND")
        high = _operand(reader)
        return lambda *given: (
            _holds(">=", left(*given), low(*given)) and _holds("<=", left(*given), high(*given))
        )
    sign = reader.take()
    right = _operand(reader)
    return lambda *given: _holds(sign, left(*given), right(*given))


def _operand(reader: _Reader) -> Operand:
    token = reader.take()
    if token.startswith(":"):
        return lambda _row, _names, values: values[token]
    if reader.next == "(":
        raise NotImplementedError(token)
    if token.startswith("#"):
        return lambda row, names, _values: row.get(names[token])
    return lambda row, _names, _values: row.get(token)


def _holds(sign: str, left: Any, right: Any) -> bool:
    """A comparison with an attribute that is not there, or of another type, never holds, but for `<>`."""
    if left is None or right is None or left.keys() != right.keys():
        return sign == "<>"
    ((kind, one),) = left.items()
    other = right[kind]
    if kind == "N":
        one, other = Decimal(one), Decimal(other)
    return _COMPARED[sign](one, other)


def _begins(value: Any, beginning: Any) -> bool:
    return value is not None and "S" in value and value["S"].startswith(beginning["S"])


@cache
def update(text: str) -> Update:
    """A function to the row after the update. All of it reads the row as it was before."""
    reader = _Reader(text)
    changes: list[Callable[[Row, Row, Named, Values], None]] = []
    while reader.next:
        verb = reader.take()
        if verb not in _VERBS:
            raise NotImplementedError(text)
        changes.append(_change(verb, reader))
        while reader.takes(","):
            changes.append(_change(verb, reader))

    def updated(row: Row, names: Named, values: Values) -> Row:
        after = dict(row)
        for change in changes:
            change(after, row, names, values)
        return after

    return updated


def _change(verb: str, reader: _Reader) -> Callable[[Row, Row, Named, Values], None]:
    token = reader.take()

    def name(names: Named) -> str:
        return names[token] if token.startswith("#") else token

    if verb == "REMOVE":
        return lambda after, _row, names, _values: after.pop(name(names), None)
    if verb == "SET":
        reader.take("=")
    new = _operand(reader)
    if verb == "SET":

        def set_(after: Row, row: Row, names: Named, values: Values) -> None:
            after[name(names)] = new(row, names, values)

        return set_

    def add(after: Row, row: Row, names: Named, values: Values) -> None:
        before = row.get(name(names), {"N": "0"})
        after[name(names)] = {"N": str(Decimal(before["N"]) + Decimal(new(row, names, values)["N"]))}

    return add
