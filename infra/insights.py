"""The part of the language of CloudWatch Logs Insights that our saved queries use, read and run on rows.

    fields a, b | filter a = "x" and (b > 3 or c like /y/) | stats count(*) as n, pct(b, 95) as p by a
    | sort n desc | limit 100

What is not known here is refused, so that a query never means something else than in CloudWatch. A
comparison with a field that a row lacks does not hold.
"""

import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from infra import grouping
from infra.grouping import Aggregate, Row
from infra.steps import Failed

Test = Callable[[Row], bool]
_BLANK = re.compile(r"\A(?:\s|#[^\n]*)*")
_TOKEN = re.compile(
    r"""(?P<text>"[^"\n]*"|'[^'\n]*') | (?P<pattern>/(?:\\.|[^/\n\\])+/) | (?P<number>-?\d+(?:\.\d+)?)
    | (?P<word>@?[A-Za-z_][\w.]*) | (?P<sign>!=|<=|>=|[=<>()\[\],*|])""",
    re.VERBOSE,
)
_COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class NotUnderstood(Failed):
    """The query is none, or asks for what only CloudWatch itself can do."""


@dataclass
class Query:
    """What a text asks for."""

    shown: list[str] = field(default_factory=list)
    steps: list[Callable[[list[Row]], list[Row]]] = field(default_factory=list)
    read: set[str] = field(default_factory=set)
    """The fields of a log line that it looks at."""
    made: list[str] = field(default_factory=list)
    """The columns that `stats` makes; from there on there are no others."""

    @property
    def columns(self) -> list[str]:
        return self.made or self.shown

    def run(self, rows: Iterable[Row]) -> list[Row]:
        """The answer: rows of `columns`, without what a row lacks."""
        found = list(rows)
        for step in self.steps:
            found = step(found)
        return [{name: row[name] for name in self.columns if row.get(name) is not None} for row in found]


def parse(text: str) -> Query:
    """Raises `NotUnderstood`."""
    return _Parser(text).query()


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str


def _tokens(text: str) -> Iterator[_Token]:
    rest = _after_blank(text)
    while rest:
        found = _TOKEN.match(rest)
        if found is None or found.lastgroup is None:
            raise NotUnderstood(f"This cannot be read: {rest[:40]}")
        yield _Token(found.lastgroup, found[0])
        rest = _after_blank(rest[found.end() :])
    yield _Token("end", "the end")


def _after_blank(text: str) -> str:
    """Without the white space and the comments at its beginning."""
    return _BLANK.sub("", text, count=1)


class _Parser:
    """Recursive descent, a method for each rule."""

    def __init__(self, text: str) -> None:
        self.tokens = list(_tokens(text))
        self.parsed = Query()

    def query(self) -> Query:
        commands = {
            "fields": self.fields,
            "filter": self.filter,
            "stats": self.stats,
            "sort": self.sort,
            "limit": self.limit,
        }
        while True:
            name = self.word()
            if name not in commands:
                raise NotUnderstood(f"The command {name} is not known; these are: {', '.join(commands)}.")
            commands[name]()
            if self.took("end"):
                break
            self.expect("|")
        if not (self.parsed.shown or self.parsed.made):
            raise NotUnderstood("The query shows nothing: it has neither fields nor stats.")
        return self.parsed

    # Commands

    def fields(self) -> None:
        if self.parsed.made:
            raise NotUnderstood("After stats there are no other fields to show.")
        self.parsed.shown += self.names()

    def filter(self) -> None:
        test = self.either()
        self.parsed.steps.append(lambda rows: [row for row in rows if test(row)])

    def stats(self) -> None:
        if self.parsed.made:
            raise NotUnderstood("A second stats is not known here.")
        aggregates: dict[str, Aggregate] = {}
        while True:
            aggregate = self.aggregate()
            self.expect("as")
            aggregates[self.word()] = aggregate
            if not self.took(","):
                break
        by = self.names() if self.took("by") else []
        self.parsed.made = [*by, *aggregates]
        self.parsed.steps.append(lambda rows: grouping.grouped(rows, by, aggregates))

    def sort(self) -> None:
        name = self.name()
        descending = self.took("desc")
        if not descending:
            self.expect("asc")

        def order(row: Row) -> tuple[bool, Any]:
            return (row.get(name) is not None, row.get(name) or 0)

        self.parsed.steps.append(lambda rows: sorted(rows, key=order, reverse=descending))

    def limit(self) -> None:
        at_most = int(self.take("number"))
        self.parsed.steps.append(lambda rows: rows[:at_most])

    # Conditions

    def either(self) -> Test:
        tests = [self.both()]
        while self.took("or"):
            tests.append(self.both())
        return lambda row: any(test(row) for test in tests)

    def both(self) -> Test:
        tests = [self.condition()]
        while self.took("and"):
            tests.append(self.condition())
        return lambda row: all(test(row) for test in tests)

    def condition(self) -> Test:
        if self.took("("):
            inner = self.either()
            self.expect(")")
            return inner
        if self.took("not"):
            denied = self.condition()
            return lambda row: not denied(row)
        return self.comparison()

    def comparison(self) -> Test:
        name = self.name()
        if self.took("like"):
            return self.likeness(name)
        if self.took("in"):
            self.expect("[")
            values = [self.literal()]
            while self.took(","):
                values.append(self.literal())
            self.expect("]")
            return lambda row: any(_holds(operator.eq, row.get(name), value) for value in values)
        compare = _COMPARISONS.get(self.next.text)
        if compare is None:
            raise NotUnderstood(f"After {name} a comparison is expected, not {self.next.text}.")
        self.tokens.pop(0)
        wanted = self.literal()
        return lambda row: _holds(compare, row.get(name), wanted)

    def likeness(self, name: str) -> Test:
        """A text that is contained, or a pattern that is found."""
        if self.next.kind == "pattern":
            pattern = re.compile(self.take("pattern")[1:-1])
            return lambda row: row.get(name) is not None and bool(pattern.search(str(row[name])))
        part = self.take("text")[1:-1]
        return lambda row: row.get(name) is not None and part in str(row[name])

    # Aggregates

    def aggregate(self) -> Aggregate:
        function = self.word()
        self.expect("(")
        if function == "count":
            self.expect("*")
            self.expect(")")
            return len
        name = self.name()
        if function == "pct":
            self.expect(",")
            made = grouping.percentile(float(self.take("number")))
        elif function in grouping.AGGREGATES:
            made = grouping.AGGREGATES[function]
        else:
            known = ", ".join(grouping.AGGREGATES)
            raise NotUnderstood(f"{function}() is not known; these are: count, pct, {known}.")
        self.expect(")")
        return lambda rows: made(rows, name)

    # Words

    @property
    def next(self) -> _Token:
        return self.tokens[0]

    def names(self) -> list[str]:
        found = [self.name()]
        while self.took(","):
            found.append(self.name())
        return found

    def name(self) -> str:
        """A field of the line, or what `stats` has made."""
        name = self.word()
        if self.parsed.made:
            if name not in self.parsed.made:
                raise NotUnderstood(f"After stats there is no {name}, only {', '.join(self.parsed.made)}.")
        else:
            self.parsed.read.add(name)
        return name

    def word(self) -> str:
        return self.take("word")

    def literal(self) -> str | float:
        return float(self.take("number")) if self.next.kind == "number" else self.take("text")[1:-1]

    def take(self, kind: str) -> str:
        if self.next.kind != kind:
            raise NotUnderstood(f"A {kind} is expected, not {self.next.text}.")
        return self.tokens.pop(0).text

    def took(self, text: str) -> bool:
        token = self.next
        if (token.kind in ("word", "sign") and token.text == text) or token.kind == text == "end":
            self.tokens.pop(0)
            return True
        return False

    def expect(self, text: str) -> None:
        if not self.took(text):
            raise NotUnderstood(f"{text} is expected, not {self.next.text}.")


def _holds(compare: Callable[[Any, Any], bool], found: Any, wanted: str | float) -> bool:
    """Numbers are compared as numbers, texts as texts, as the query writes them."""
    if found is None:
        return False
    if isinstance(wanted, str):
        return compare(str(found), wanted)
    try:
        return compare(float(found), wanted)
    except (TypeError, ValueError):
        return False
