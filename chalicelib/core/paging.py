"""Lists in pages: `page=N` as the reference page shows, and a signed cursor beside it.

Following `links.next` and `links.prev` costs the same on page 2 and on page 2,000, since the cursor
names the row where the page begins. A page number alone has to be counted out row by row, so it
reaches 10,000 rows deep and no further.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Sequence
from typing import Any, Generic, Protocol, TypeVar
from urllib.parse import urlencode

from pydantic import ConfigDict, Field, ValidatorFunctionWrapHandler, field_validator

from chalicelib.core import sealing
from chalicelib.core.errors import Invalid
from chalicelib.core.types import Count, Schema

DEEPEST = 10_000
_MAC_BYTES = 16

T = TypeVar("T")
U = TypeVar("U")
T_co = TypeVar("T_co", covariant=True)


class Query(Schema):
    """Query parameters; an unknown one is refused, and a number or truth value has one spelling."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @field_validator("*", mode="wrap")
    @classmethod
    def _as_written(cls, sent: object, read: ValidatorFunctionWrapHandler) -> object:
        value = read(sent)
        if isinstance(sent, str) and isinstance(value, int) and sent != json.dumps(value):
            raise ValueError(f"must be written {json.dumps(value)}")
        return value


class PageQuery(Query):
    """What every list takes; filters are added by subclasses."""

    page: int = Field(1, ge=1, le=1_000_000_000, description="Which page, from 1.")
    per_page: int = Field(15, ge=1, le=100, description="Rows per page.")
    cursor: str | None = Field(
        None,
        max_length=1000,
        description="Comes with `links.next` and `links.prev`; follow those.",
        examples=["kq2VtB7cW0y1sT9dQ4mJ8j5leHBfMDFNODk1NDZGRjdHVE5SWFdYNTFLNVkxRTc"],
    )

    def filters(self) -> dict[str, str]:
        """What selects the rows, as it stood in the query: links keep it."""
        sent = self.model_dump(
            mode="json", by_alias=True, exclude_unset=True, exclude={"page", "per_page", "cursor"}
        )
        return {name: str(value) for name, value in sent.items() if value is not None}


class Links(Schema):
    """Absolute links to other pages; null where there is none, or where it is not known."""

    first: str = Field(max_length=4000)
    last: str | None = Field(max_length=4000)
    prev: str | None = Field(max_length=4000)
    next: str | None = Field(max_length=4000)


class Meta(Schema):
    """Where in the list this page stands. `total` and `last_page` are null where nothing counts them."""

    current_page: int = Field(ge=1, le=1_000_000_000)
    from_: Count | None = Field(serialization_alias="from")
    last_page: Count | None
    path: str = Field(max_length=2000, examples=["https://api.example.com/live/api/courses"])
    per_page: int = Field(ge=1, le=100)
    to: Count | None
    total: Count | None


class Page(Schema, Generic[T]):
    model_config = ConfigDict(json_schema_extra={"description": "A page of a list."})

    data: list[T] = Field(max_length=100)
    links: Links
    meta: Meta

    def showing(self, show: "Callable[[T], U]") -> "Page[U]":
        """The same page, each row as `show` makes it."""
        return Page(data=[show(row) for row in self.data], links=self.links, meta=self.meta)


class Reader(Protocol[T_co]):
    """Rows of a list in its order, each with its position: those after (or, backwards, before) `start`.

    Backwards, the nearest row comes first. `start=None` is the list's beginning (backwards: its end).
    A reader that chooses among rows may end with a position and None: so far it has looked, not further.
    """

    def __call__(
        self, start: str | None, limit: int, *, backwards: bool
    ) -> Sequence[tuple[str, T_co | None]]: ...


class Listing(Generic[T]):
    """A list and whose it is: `scope` is the institution, a cursor of another one is refused."""

    def __init__(self, path: str, scope: str, query: PageQuery) -> None:
        self.path = path
        self.query = query
        self.filters = query.filters()
        self._scope = json.dumps([scope, path, self.filters, query.per_page])

    def page(self, read: Reader[T], total: int | None = None, *, full: bool = True) -> Page[T]:
        """The page asked for. Raises `Invalid` for a broken or foreign cursor, or a page too deep.

        Pages that need not be `full` do not say how many rows came before them.
        """
        query = self.query
        rows, more_after = self._rows(read)
        shown = [row for _, row in rows if row is not None]
        counted = query.cursor is None and (rows or query.page == 1)  # from the beginning
        if total is None and not more_after and counted and (full or query.page == 1):
            total = (query.page - 1) * query.per_page + len(shown)
        last_page = None if total is None else max(1, -(-total // query.per_page))
        first_row = (query.page - 1) * query.per_page + 1 if shown and (full or query.page == 1) else None
        return Page(
            data=shown,
            links=Links(
                first=self._link(1),
                last=None if last_page is None else self._link(last_page),
                prev=self._previous(rows),
                next=self._link(query.page + 1, rows[-1][0] if rows else None) if more_after else None,
            ),
            meta=Meta(
                current_page=query.page,
                from_=first_row,
                last_page=last_page,
                path=self.path,
                per_page=query.per_page,
                to=None if first_row is None else first_row + len(shown) - 1,
                total=total,
            ),
        )

    def _rows(self, read: Reader[T]) -> tuple[list[tuple[str, T | None]], bool]:
        """The page's rows in order, and whether more come after them."""
        query = self.query
        start: str | None = None
        if query.cursor is not None:
            start, backwards = _Cursor.opened(query.cursor, self._scope, query.page)
            if backwards:
                found = list(read(start, query.per_page, backwards=True))
                return found[::-1], True
        elif query.page > 1:
            skipped = (query.page - 1) * query.per_page
            if skipped > DEEPEST:
                raise Invalid({"page": [f"reaches past row {DEEPEST}; follow links.next to get there"]})
            before = read(None, skipped, backwards=False)
            if before and before[-1][1] is None:
                raise Invalid(
                    {"page": ["cannot be counted out in this list; follow links.next to get there"]}
                )
            if len(before) < skipped:
                return [], False
            start = before[-1][0]
        found = list(read(start, query.per_page + 1, backwards=False))
        looked_on = bool(found) and found[-1][1] is None
        return found[: query.per_page], looked_on or len(found) > query.per_page

    def _previous(self, rows: Sequence[tuple[str, T | None]]) -> str | None:
        if self.query.page == 1:
            return None
        return self._link(self.query.page - 1, rows[0][0] if rows else None, backwards=True)

    def _link(self, page: int, start: str | None = None, *, backwards: bool = False) -> str:
        parameters: dict[str, Any] = {**self.filters, "page": page}
        if "per_page" in self.query.model_fields_set:
            parameters["per_page"] = self.query.per_page
        if start is not None and page > 1:
            parameters["cursor"] = _Cursor.sealed(start, self._scope, page, backwards=backwards)
        return f"{self.path}?{urlencode(parameters)}"


class _Cursor:
    """`position` and direction, signed together with the list and page that they belong to."""

    @classmethod
    def sealed(cls, position: str, scope: str, page: int, *, backwards: bool) -> str:
        text = ("<" if backwards else ">") + position
        return base64.urlsafe_b64encode(cls._mac(text, scope, page) + text.encode()).rstrip(b"=").decode()

    @classmethod
    def opened(cls, cursor: str, scope: str, page: int) -> tuple[str, bool]:
        refused = Invalid({"cursor": ["is not a cursor of this page; follow the links as they are"]})
        try:
            raw = base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
            mac, text = raw[:_MAC_BYTES], raw[_MAC_BYTES:].decode()
        except ValueError:
            raise refused from None
        if not hmac.compare_digest(mac, cls._mac(text, scope, page)):
            raise refused
        return text[1:], text[0] == "<"

    @staticmethod
    def _mac(text: str, scope: str, page: int) -> bytes:
        message = json.dumps([text, scope, page]).encode()
        return hmac.new(sealing.signing_key("cursors"), message, hashlib.sha256).digest()[:_MAC_BYTES]


def of_list(rows: Sequence[tuple[str, T]], *, descending: bool = False) -> Reader[T]:
    """A reader over rows that are in memory already, sorted by their position."""

    def read(start: str | None, limit: int, *, backwards: bool) -> Sequence[tuple[str, T]]:
        ordered = rows[::-1] if backwards else rows
        if start is None:
            return ordered[:limit]
        upwards = backwards == descending
        return [row for row in ordered if (row[0] > start if upwards else row[0] < start)][:limit]

    return read
