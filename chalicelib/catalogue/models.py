"""The catalogue's table. What a list shows stands in rows of its own, without any answer key.

PK crs_…                      SK COURSE     the course, its lessons in outline, and what it adds to totals
PK crs_…, lsn_…, trn_…        SK PLACE      whose it is, and where in the lists its children stand
PK itm_…                      SK HEAD       the published version with its key: what grading reads
PK itm_…                      SK V#000001   a version with its key, never changed

Lists: a partition per owner and facet, rows in the order of courses (by slug), then of their contents.

PK COURSES#<owner>#<language or *>#<level or *>    SK <slug>
PK LESSONS#<owner>                                 SK <slug>#<lesson>
PK TRAININGS#<owner>                               SK <slug>#<lesson>#<training>
PK ITEMS#<owner>, ITEMS#<owner>#<type>             SK <slug>#<lesson>#<training>#<item>
PK TOTAL#<list>                                    SK TOTAL      how many rows the list has

So the children of a course, lesson or training are one range of a list, and no row stands there twice.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from pynamodb.attributes import JSONAttribute, NumberAttribute, UnicodeAttribute
from ulid import ULID

from chalicelib.core.errors import Invalid, NotFound
from chalicelib.core.ids import is_id
from chalicelib.core.paging import Reader
from chalicelib.core.store import Table, table

T = TypeVar("T")

ANY = "*"


class DocumentAttribute(JSONAttribute):
    """JSON as UTF-8 text: escaped, a German text is a fifth longer and a Russian one three times as long."""

    def serialize(self, value: Any) -> str | None:
        return None if value is None else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


class CourseItem(Table):
    """`digest` tells the content that is wholly in place; none while it is being written."""

    class Meta:
        table_name = table("catalogue")

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True, default="COURSE")
    owner_id = UnicodeAttribute()
    resource = DocumentAttribute()
    outline = DocumentAttribute()
    totals = DocumentAttribute()
    revision = NumberAttribute()
    digest = UnicodeAttribute(null=True)


class PlaceItem(Table):
    """`path` begins the sort key of every child; `totals` counts them, items also by type."""

    class Meta:
        table_name = table("catalogue")

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True, default="PLACE")
    owner_id = UnicodeAttribute()
    path = UnicodeAttribute()
    totals = DocumentAttribute()


class HeadItem(Table):
    """The published version of a training item, with all that an attempt must know of its surroundings."""

    class Meta:
        table_name = table("catalogue")

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True, default="HEAD")
    owner_id = UnicodeAttribute()
    version = NumberAttribute()
    item = UnicodeAttribute()
    language = UnicodeAttribute(default="und")
    training_id = UnicodeAttribute()
    lesson_id = UnicodeAttribute()
    course_id = UnicodeAttribute()
    lesson_item_count = NumberAttribute()
    course_item_count = NumberAttribute()
    course_lesson_count = NumberAttribute()


class VersionItem(Table):
    class Meta:
        table_name = table("catalogue")

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    item = UnicodeAttribute()
    published_at = NumberAttribute()


class RowItem(Table):
    """A row of a list: the resource as the API shows it."""

    class Meta:
        table_name = table("catalogue")

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    resource = DocumentAttribute()


class TotalItem(Table):
    class Meta:
        table_name = table("catalogue")

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True, default="TOTAL")
    rows = NumberAttribute(default=0)


# Keys


def course_id(owner_id: str, slug: str) -> str:
    """Ids follow from slugs, so that a course that is loaded again keeps them."""
    return _derived("crs", owner_id, slug)


def part_id(prefix: str, owner_id: str, course_slug: str, slug: str) -> str:
    """The id of a lesson, training or item: the same wherever in its course it moves."""
    return _derived(prefix, owner_id, course_slug, slug)


def _derived(prefix: str, *names: str) -> str:
    digest = hashlib.sha256("/".join((prefix, *names)).encode()).digest()
    return f"{prefix}_{ULID.from_bytes(digest[:16])}"


def version_key(version: int) -> str:
    return f"V#{version:06}"


def path_of(slug: str, *positions: int) -> str:
    """The sort key of a course, lesson, training or item in its lists."""
    return "#".join((slug, *(f"{position:03}" for position in positions)))


def courses_list(owner_id: str, language: str | None, level: str | None) -> str:
    return f"COURSES#{owner_id}#{language or ANY}#{level or ANY}"


def is_courses_list(name: str) -> bool:
    return name.startswith("COURSES#")


def lessons_list(owner_id: str) -> str:
    return f"LESSONS#{owner_id}"


def trainings_list(owner_id: str) -> str:
    return f"TRAININGS#{owner_id}"


def items_list(owner_id: str, kind: str | None) -> str:
    return f"ITEMS#{owner_id}" if kind is None else f"ITEMS#{owner_id}#{kind}"


def total_key(of_list: str) -> str:
    return f"TOTAL#{of_list}"


# Reads


def course_of(course_id: str, *, consistent: bool = False) -> CourseItem:
    """Raises `NotFound`."""
    if not is_id(course_id, "crs"):
        raise NotFound("course")
    try:
        return CourseItem.get(course_id, "COURSE", consistent_read=consistent)
    except CourseItem.DoesNotExist:
        raise NotFound("course") from None


def head_of(item_id: str) -> HeadItem:
    """The published version. Raises `NotFound`."""
    if not is_id(item_id, "itm"):
        raise NotFound("training item")
    try:
        return HeadItem.get(item_id, "HEAD")
    except HeadItem.DoesNotExist:
        raise NotFound("training item") from None


def version_of(item_id: str, version: int) -> VersionItem:
    """A published version, this or an earlier one. Raises `Invalid` for one that never was."""
    try:
        return VersionItem.get(item_id, version_key(version))
    except VersionItem.DoesNotExist:
        raise Invalid({"item_version": ["was never published"]}) from None


def heads_of(item_ids: Sequence[str]) -> dict[str, HeadItem]:
    """The published versions, of those that are published."""
    keys = [(item_id, "HEAD") for item_id in item_ids]
    return {head.pk: head for head in HeadItem.batch_get(keys, consistent_read=True)}


def place_of(parent_id: str) -> PlaceItem:
    """Where the children of a course, lesson or training stand. Raises `NotFound`."""
    try:
        return PlaceItem.get(parent_id, "PLACE")
    except PlaceItem.DoesNotExist:
        raise NotFound from None


def row_of(of_list: str, path: str) -> RowItem:
    """One row of a list. Raises `NotFound`."""
    try:
        return RowItem.get(of_list, path)
    except RowItem.DoesNotExist:
        raise NotFound from None


def total_of(lists: Sequence[str]) -> int:
    """How many rows these lists have together. One call."""
    return sum(
        int(total.rows) for total in TotalItem.batch_get([(total_key(name), "TOTAL") for name in lists])
    )


def rows_under(of_list: str, path: str) -> Iterator[RowItem]:
    """Every row whose sort key begins with `path`, as it is at this moment."""
    return RowItem.query(of_list, RowItem.sk.startswith(path), consistent_read=True)


def reader(lists: Sequence[str], show: Callable[[Any], T], path: str = "") -> Reader[T]:
    """Rows of one list after the other, as if they were one; only those under `path`, if there is one.

    A position is the list's digit and the row's sort key. A page costs one call, and one more for each
    list that ends on it.
    """

    def read(start: str | None, limit: int, *, backwards: bool) -> Sequence[tuple[str, T]]:
        order = range(len(lists))
        begin = int(start[0]) if start else None
        found: list[tuple[str, T]] = []
        for at in reversed(order) if backwards else order:
            if begin is not None and (at > begin if backwards else at < begin):
                continue
            after = start[1:] if start and at == begin else None
            left = limit - len(found)
            rows = _rows(lists[at], path, after, left, backwards=backwards)
            found += [(f"{at}{row.sk}", show(row.resource)) for row in rows]
            if len(found) == limit:
                break
        return found

    return read


def _rows(of_list: str, path: str, after: str | None, limit: int, *, backwards: bool) -> Iterator[RowItem]:
    """Rows below `path`, after one of them. Ranges are closed: just after a key is the key and a space,
    just before one the key with its last character lowered.
    """
    low, high = path or " ", f"{path}~"
    if after is not None and backwards:
        high = after[:-1] + chr(ord(after[-1]) - 1) + "~"
    elif after is not None:
        low = after + " "
    if low > high:
        return iter(())
    return RowItem.query(
        of_list, RowItem.sk.between(low, high), limit=limit, scan_index_forward=not backwards
    )
