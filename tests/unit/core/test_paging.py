"""Walking a list by its links, and what a cursor refuses."""

import base64
from collections.abc import Sequence
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.core import sealing
from chalicelib.core.errors import Invalid
from chalicelib.core.paging import Listing, Page, PageQuery, Reader, of_list

PATH = "https://api.example.org/api/things"


class Filtered(PageQuery):
    language: str | None = None


@pytest.fixture(autouse=True)
def _signing_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "signing_key", lambda purpose: purpose.encode() * 4)


def follow(link: str | None, rows: list[tuple[str, int]], scope: str = "ins_a") -> Page[int]:
    assert link is not None
    sent = {name: values[0] for name, values in parse_qs(urlsplit(link).query).items()}
    return Listing[int](PATH, scope, Filtered.model_validate(sent)).page(of_list(rows), len(rows))


def rows_of(count: int) -> list[tuple[str, int]]:
    return [(f"{n:06}", n) for n in range(count)]


def first(count: int, per_page: int, **filters: str) -> Page[int]:
    query = Filtered.model_validate({"per_page": per_page, **filters})
    return Listing[int](PATH, "ins_a", query).page(of_list(rows_of(count)), count)


@given(count=st.integers(0, 70), per_page=st.integers(1, 20))
def test_a_walk_visits_every_row_once_each_way(count: int, per_page: int) -> None:
    rows = rows_of(count)
    page = first(count, per_page)
    seen, pages = list(page.data), [page.data]
    while page.links.next:
        page = follow(page.links.next, rows)
        seen += page.data
        pages.append(page.data)
    assert seen == list(range(count))
    assert page.meta.last_page == page.meta.current_page
    back = [page.data]
    while page.links.prev:
        page = follow(page.links.prev, rows)
        back.append(page.data)
    assert back[::-1] == pages


POSITIONS = st.lists(st.integers(0, 10_000), unique=True, max_size=60)


@given(
    initial=POSITIONS, added=POSITIONS, per_page=st.integers(1, 9), descending=st.booleans(), data=st.data()
)
def test_a_walk_by_links_visits_what_was_there_once_while_rows_come_and_go(
    initial: list[int], added: list[int], per_page: int, descending: bool, data: st.DataObject
) -> None:
    """Rows may come anywhere, before and behind the walker, and go: all others are seen once, in order."""
    present, gone, seen = set(initial), set[int](), list[int]()
    to_come = [n for n in added if n not in present]
    link: str | None = f"{PATH}?per_page={per_page}"
    while link is not None:
        rows = [(f"{n:06}", n) for n in sorted(present, reverse=descending)]
        sent = {name: values[0] for name, values in parse_qs(urlsplit(link).query).items()}
        listing = Listing[int](PATH, "ins_a", Filtered.model_validate(sent))
        page = listing.page(of_list(rows, descending=descending))
        seen += page.data
        link = page.links.next
        for _ in range(min(len(to_come), data.draw(st.integers(0, 3)))):
            present.add(to_come.pop())
        if data.draw(st.booleans()) and present:
            left = data.draw(st.sampled_from(sorted(present)))
            present.remove(left)
            gone.add(left)
    assert len(seen) == len(set(seen))
    assert seen == sorted(seen, reverse=descending)
    assert set(initial) - gone <= set(seen)


@given(initial=POSITIONS, more=st.integers(0, 30), per_page=st.integers(1, 9), every=st.integers(1, 4))
def test_a_walk_by_page_numbers_visits_each_row_once_where_rows_are_added_at_the_end(
    initial: list[int], more: int, per_page: int, every: int
) -> None:
    """A page number counts from the beginning: rows that come before the walker shift it. Links do not."""
    present, number, seen = sorted(initial), 1, list[int]()
    while True:
        rows = [(f"{n:06}", n) for n in present]
        query = Filtered.model_validate({"page": number, "per_page": per_page})
        page = Listing[int](PATH, "ins_a", query).page(of_list(rows), len(rows))
        seen += page.data
        if page.links.next is None:
            break
        number += 1
        if more and number % every == 0:
            present.append(20_000 - more)
            more -= 1
    assert seen == present


@given(cursor=st.text(max_size=120), page=st.integers(1, 50))
def test_no_cursor_can_be_made_up(cursor: str, page: int) -> None:
    query = Filtered.model_validate({"page": page, "cursor": cursor})
    with pytest.raises(Invalid) as refused:
        Listing[int](PATH, "ins_a", query).page(of_list(rows_of(9)))
    assert list(refused.value.fields) == ["cursor"]


@given(place=st.integers(0, 200), bit=st.integers(0, 7))
def test_a_cursor_that_changed_in_one_bit_is_refused(place: int, bit: int) -> None:
    link = first(42, 5).links.next
    assert link is not None
    cursor = parse_qs(urlsplit(link).query)["cursor"][0]
    raw = bytearray(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    raw[place % len(raw)] ^= 1 << bit
    changed = base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
    with pytest.raises(Invalid):
        follow(link.replace(cursor, changed), rows_of(42))


def test_rows_added_and_removed_while_walking_move_nothing_else() -> None:
    rows = rows_of(40)
    page = first(40, 10)
    changed = [row for row in rows if row[1] not in (3, 9, 10)] + [("000009a", 99)]
    following = follow(page.links.next, sorted(changed))
    assert following.data == [99, 11, 12, 13, 14, 15, 16, 17, 18, 19]


def test_links_keep_filters_and_page_size() -> None:
    page = first(40, 10, language="de")
    for link in (page.links.first, page.links.next, page.links.last):
        assert link is not None
        assert link.startswith(f"{PATH}?")
        query = parse_qs(urlsplit(link).query)
        assert (query["language"], query["per_page"]) == (["de"], ["10"])


def test_meta_counts_like_the_reference_page() -> None:
    page = follow(first(42, 15).links.next, rows_of(42))
    meta = page.model_dump(by_alias=True)["meta"]
    assert meta == {
        "current_page": 2, "from": 16, "to": 30, "last_page": 3, "per_page": 15, "total": 42, "path": PATH,
    }  # fmt: skip


def test_a_page_past_the_end_is_empty() -> None:
    page = follow(f"{PATH}?page=9", rows_of(42))
    assert (page.data, page.links.next, page.meta.from_, page.meta.to) == ([], None, None, None)
    assert page.meta.last_page == 3


@pytest.mark.parametrize("tamper", ["scope", "page", "filter", "per_page", "text", "garbage"])
def test_a_cursor_of_anywhere_else_is_refused(tamper: str) -> None:
    link = first(42, 5).links.next
    assert link is not None
    scope = "ins_b" if tamper == "scope" else "ins_a"
    cursor = parse_qs(urlsplit(link).query)["cursor"][0]
    altered = {
        "scope": link,
        "page": link.replace("page=2", "page=3"),
        "filter": f"{link}&language=de",
        "per_page": link.replace("per_page=5", "per_page=6"),
        "text": link.replace(cursor, cursor[:-2] + ("AA" if cursor[-2:] != "AA" else "BB")),
        "garbage": link.replace(cursor, "%C3%A4%00"),
    }[tamper]
    with pytest.raises(Invalid) as refused:
        follow(altered, rows_of(42), scope)
    assert list(refused.value.fields) == ["cursor"]


def test_a_page_number_alone_reaches_only_so_deep() -> None:
    with pytest.raises(Invalid):
        follow(f"{PATH}?page=1000&per_page=100", rows_of(3))


@pytest.mark.parametrize("value", ["1_0", " 1", "1 ", "+1", "\uff11", "1.0", "01", "1e1", "0x1", "\u0661"])
def test_a_number_has_one_spelling(value: str) -> None:
    for name in ("page", "per_page"):
        with pytest.raises(ValueError, match=name):
            PageQuery.model_validate({name: value})


class Switched(PageQuery):
    on: bool | None = None


def test_a_truth_value_has_one_spelling() -> None:
    assert [Switched.model_validate({"on": value}).on for value in ("true", "false")] == [True, False]
    for value in ("1", "yes", "True", "on"):
        with pytest.raises(ValueError, match="on"):
            Switched.model_validate({"on": value})


@pytest.mark.parametrize("value", ["0", "-1", "101", "abc", ""])
def test_a_page_size_out_of_bounds_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="per_page"):
        PageQuery.model_validate({"per_page": value})


def test_going_back_to_where_nothing_is_left_gives_an_empty_page() -> None:
    rows = rows_of(6)
    third = follow(follow(first(6, 2).links.next, rows).links.next, rows)
    page = follow(third.links.prev, rows[4:])
    assert page.data == []
    assert page.links.next is not None
    assert follow(page.links.next, rows[4:]).data == []


def choosing(count: int, every: int, looked_at: int) -> Reader[int]:
    """Each `every`-th row; a page looks at a few rows only and tells where it stopped."""

    def read(start: str | None, limit: int, *, backwards: bool) -> Sequence[tuple[str, int | None]]:
        step = -1 if backwards else 1
        begin = (count - 1 if backwards else 0) if start is None else int(start) + step
        rows = list(range(begin, -1 if backwards else count, step))
        found: list[tuple[str, int | None]] = [
            (str(row), row) for row in rows[:looked_at] if row % every == 0
        ]
        if len(rows) > looked_at:
            found.append((str(rows[looked_at - 1]), None))
        return found[:limit]

    return read


@given(
    count=st.integers(0, 40),
    every=st.integers(1, 9),
    looked_at=st.integers(1, 7),
    per_page=st.integers(1, 5),
)
def test_pages_of_a_list_that_chooses_may_be_short_and_miss_nothing(
    count: int, every: int, looked_at: int, per_page: int
) -> None:
    read = choosing(count, every, looked_at)
    seen: list[int] = []
    query: PageQuery | None = Filtered(per_page=per_page)
    while query is not None:
        page = Listing[int](PATH, "ins_a", query).page(read, full=False)
        assert len(page.data) <= per_page
        assert (page.meta.from_ is None) == (not page.data or page.meta.current_page > 1)
        seen += page.data
        sent = parse_qs(urlsplit(page.links.next or "").query)
        query = Filtered.model_validate({name: values[0] for name, values in sent.items()}) if sent else None
    assert seen == list(range(0, count, every))


def test_a_page_of_a_list_that_chooses_is_not_counted_out() -> None:
    with pytest.raises(Invalid, match="counted out"):
        Listing[int](PATH, "ins_a", Filtered(page=2, per_page=3)).page(choosing(40, 5, 2))
