"""The catalogue's table.

As authored, for authors only:

PK DRAFT#crs_…              SK crs_…, lsn_…, trn_…, itm_…   the course and its parts, keys included
PK lsn_…, trn_…, itm_…      SK ORIGIN    whose it is and of which course, for good
PK DRAFTS#<owner>#<state or *>   SK <slug>   the courses of an owner, as their authors list them

As published. A course is a tree: it names its lessons, and they name the versions of their items. Lessons
and versions never change; a publication writes new ones beside them and then replaces the one record of
the course. So whoever reads below a course sees it as it was before, or as it is now.

PK crs_…                    SK PUBLISHED      the course, and which record each of its lessons is
PK lsn_…                    SK P#<publication>   a lesson with its trainings and the versions of their items
PK itm_…                    SK V#000001       a version with its key
PK PUBLISHING               SK <owner>#crs_…  a publication until all below has followed it

What follows a publication, in place:

PK itm_…                    SK HEAD           an item with its key and its surroundings: what grading reads

Lists across courses: a partition per owner and combination of filters, in the order of courses (by slug),
then of their contents. A row is what the API shows, without any key.

PK COURSES#<owner>#<language>#<level>                 SK <slug>; with #title and #updated: <that>#<slug>
PK LESSONS#<owner>#<language>#<level>                 SK <slug>#<lesson>
PK TRAININGS#<owner>#<language>#<level>               SK <slug>#<lesson>#<training>
PK ITEMS#<owner>#<language>#<level>#<type>#<skill>    SK <slug>#<lesson>#<training>#<item>
PK CHANGES#<kind>#<owner>   SK <time>#<id>    when each thing last changed, or went
PK WORDS#<owner>            SK <word>#<slug>  the words of courses
PK COUNT#<list>             SK COUNT          how many rows a list has
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from pynamodb.attributes import JSONAttribute, NumberAttribute, UnicodeAttribute
from ulid import ULID

from chalicelib.core.errors import Invalid, NotFound
from chalicelib.core.ids import is_id
from chalicelib.core.paging import Reader
from chalicelib.core.store import Table, table

Key = tuple[str, str]
"""Partition and sort key."""

ANY = "*"
HIGHEST = "\U0010ffff"
"""Sorts after every character that a key holds."""
PUBLISHING = "PUBLISHING"
_LOOKED_AT = 250
"""Rows that a page which chooses among rows looks at, at the most."""


class DocumentAttribute(JSONAttribute):
    """JSON as UTF-8 text: escaped, a German text is a fifth longer and a Russian one three times as long."""

    def serialize(self, value: Any) -> str | None:
        return None if value is None else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


class DraftItem(Table):
    """A course, lesson, training or item as authored. `children` are ids in order.

    Only a course has a `state` and what counts for the whole of it: `changes` grows with every write
    below it, `published_changes` is what it was when it was last published, `parts` and `size_` (bytes)
    are bounded, and `loaded` tells the content that was last loaded from files.
    """

    class Meta:
        table_name = table("catalogue")

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    owner_id = UnicodeAttribute()
    slug = UnicodeAttribute()
    parent_id = UnicodeAttribute(null=True)
    fields = DocumentAttribute()
    children = DocumentAttribute()
    archived_children = DocumentAttribute()
    revision = NumberAttribute(default=1)
    created_at = UnicodeAttribute()
    updated_at = UnicodeAttribute()
    archived_at = UnicodeAttribute(null=True)
    state = UnicodeAttribute(null=True)
    changes = NumberAttribute(null=True)
    published_changes = NumberAttribute(null=True)
    parts = NumberAttribute(null=True)
    size_ = NumberAttribute(attr_name="size", null=True)
    loaded = UnicodeAttribute(null=True)

    @property
    def course_id(self) -> str:
        return self.pk.removeprefix("DRAFT#")


class OriginItem(Table):
    class Meta:
        table_name = table("catalogue")

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True, default="ORIGIN")
    owner_id = UnicodeAttribute()
    course_id = UnicodeAttribute()


class CourseItem(Table):
    """`lessons` tells of each lesson its id, title, position, item_count, record and training_ids.

    An archived course keeps them, so that progress in it can still be told. `totals` is what the course
    adds to the counter of each list, `publication` the last one that replaced this record, `digest` what
    it published.
    """

    class Meta:
        table_name = table("catalogue")

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True, default="PUBLISHED")
    owner_id = UnicodeAttribute()
    resource = DocumentAttribute()
    lessons = DocumentAttribute()
    totals = DocumentAttribute()
    edition = NumberAttribute()
    publication = UnicodeAttribute()
    digest = UnicodeAttribute()
    changed_at = UnicodeAttribute()
    published_at = UnicodeAttribute()
    archived_at = UnicodeAttribute(null=True)


class LessonItem(Table):
    """`trainings`: for each its resource and its items as leaves."""

    class Meta:
        table_name = table("catalogue")

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    resource = DocumentAttribute()
    trainings = DocumentAttribute()


class Leaf(NamedTuple):
    """An item as its lesson's record names it; `digest` tells its content and key."""

    id: str
    version: int
    type: str
    skill: str
    level: str
    updated_at: str
    digest: str


class VersionItem(Table):
    """`shown` is what a learner may see of it."""

    class Meta:
        table_name = table("catalogue")

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    item = UnicodeAttribute()
    shown = DocumentAttribute()
    published_at = UnicodeAttribute()


class HeadItem(Table):
    """A published training item with its key and all that an attempt must know of its surroundings.

    Of one that was withdrawn, only `owner_id` and `version` are left.
    """

    class Meta:
        table_name = table("catalogue")

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True, default="HEAD")
    owner_id = UnicodeAttribute()
    version = NumberAttribute()
    item = UnicodeAttribute(null=True)
    resource = DocumentAttribute(null=True)
    language = UnicodeAttribute(null=True)
    training_id = UnicodeAttribute(null=True)
    lesson_id = UnicodeAttribute(null=True)
    course_id = UnicodeAttribute(null=True)
    lesson_item_count = NumberAttribute(null=True)
    course_item_count = NumberAttribute(null=True)
    course_lesson_count = NumberAttribute(null=True)


class PublicationItem(Table):
    """A publication under way: what stood there, and what is to stand there. `busy_until` (epoch seconds)
    is the lease of the process that sees to it.
    """

    class Meta:
        table_name = table("catalogue")

    pk = UnicodeAttribute(hash_key=True, default=PUBLISHING)
    sk = UnicodeAttribute(range_key=True)
    id = UnicodeAttribute()
    owner_id = UnicodeAttribute()
    course_id = UnicodeAttribute()
    started_at = UnicodeAttribute()
    busy_until = NumberAttribute()
    before = DocumentAttribute(null=True)
    after = DocumentAttribute()
    totals = DocumentAttribute()
    digest = UnicodeAttribute()
    changes = NumberAttribute()
    archives = NumberAttribute(default=0)


class RowItem(Table):
    """A row of a list: the resource as the API shows it."""

    class Meta:
        table_name = table("catalogue")

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    resource = DocumentAttribute()


class CountItem(Table):
    class Meta:
        table_name = table("catalogue")

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True, default="COUNT")
    rows = NumberAttribute(default=0)


# Ids and keys


def course_id(owner_id: str, slug: str) -> str:
    """Ids follow from slugs, so that a course that is loaded again keeps them."""
    return _derived("crs", owner_id, slug)


def part_id(prefix: str, owner_id: str, course_slug: str, slug: str) -> str:
    """The id of a lesson, training or item: the same wherever in its course it moves."""
    return _derived(prefix, owner_id, course_slug, slug)


def _derived(prefix: str, *names: str) -> str:
    digest = hashlib.sha256("/".join((prefix, *names)).encode()).digest()
    return f"{prefix}_{ULID.from_bytes(digest[:16])}"


def draft_key(course_id: str) -> str:
    return f"DRAFT#{course_id}"


def version_key(version: int) -> str:
    return f"V#{version:06}"


def publication_key(owner_id: str, course_id: str) -> str:
    return f"{owner_id}#{course_id}"


def path_of(slug: str, *positions: int) -> str:
    """The sort key of a course, lesson, training or item in its lists."""
    return "#".join((slug, *(f"{position:03}" for position in positions)))


def list_of(kind: str, owner_id: str, *values: str | None) -> str:
    """A list by the values of its filters, in the order that the layout above names; None is any value."""
    return "#".join((kind, owner_id, *(value or ANY for value in values)))


def sorted_list(of_list: str, by: str) -> str:
    """The same courses in another order."""
    return f"{of_list}#{by}"


def changes_list(kind: str, owner_id: str) -> str:
    return f"CHANGES#{kind}#{owner_id}"


def words_list(owner_id: str) -> str:
    return f"WORDS#{owner_id}"


def drafts_list(owner_id: str, state: str | None) -> str:
    return f"DRAFTS#{owner_id}#{state or ANY}"


def count_key(of_list: str) -> str:
    return f"COUNT#{of_list}"


# Reads of drafts


def origin_of(part_id: str, what: str) -> OriginItem:
    """Raises `NotFound`."""
    try:
        return OriginItem.get(part_id, "ORIGIN")
    except OriginItem.DoesNotExist:
        raise NotFound(what) from None


def draft_of(course_id: str, part_id: str, what: str) -> DraftItem:
    """Raises `NotFound`."""
    try:
        return DraftItem.get(draft_key(course_id), part_id, consistent_read=True)
    except DraftItem.DoesNotExist:
        raise NotFound(what) from None


def drafts_in(course_id: str) -> list[DraftItem]:
    """The course and all of its parts."""
    return list(DraftItem.query(draft_key(course_id), consistent_read=True))


def drafts_of(keys: Sequence[tuple[str, str]]) -> list[DraftItem]:
    """Those that are there, as `(course, part)` names them, in this order."""
    found = {draft.sk: draft for draft in DraftItem.batch_get([(draft_key(at), sk) for at, sk in keys])}
    return [found[sk] for _, sk in keys if sk in found]


# Reads of what is published


def course_of(course_id: str, *, consistent: bool = False) -> CourseItem:
    """Raises `NotFound`."""
    if not is_id(course_id, "crs"):
        raise NotFound("course")
    try:
        return CourseItem.get(course_id, "PUBLISHED", consistent_read=consistent)
    except CourseItem.DoesNotExist:
        raise NotFound("course") from None


def lessons_of(keys: Iterable[Key], *, outline: bool = False) -> dict[Key, LessonItem]:
    """Records of lessons; only their `resource` for an `outline`.

    Consistent, as is every read of what a course names: it must be there once the course is.
    """
    wanted = ["pk", "sk", "resource"] if outline else None
    found = LessonItem.batch_get(list(keys), consistent_read=True, attributes_to_get=wanted)
    return {(item.pk, item.sk): item for item in found}


def shown_of(versions: Mapping[str, int]) -> dict[str, Any]:
    """What learners may see of these versions, by item id."""
    keys = [(item_id, version_key(version)) for item_id, version in versions.items()]
    items = VersionItem.batch_get(keys, consistent_read=True, attributes_to_get=["pk", "sk", "shown"])
    return {item.pk: item.shown for item in items}


def versions_of(versions: Mapping[str, int]) -> dict[str, VersionItem]:
    """These versions with their keys, by item id; of those that are there."""
    keys = [(item_id, version_key(version)) for item_id, version in versions.items()]
    return {item.pk: item for item in VersionItem.batch_get(keys, consistent_read=True)}


def last_version_of(item_id: str) -> int:
    """The highest version that was ever written, published or not; there is one."""
    begins = VersionItem.sk.startswith("V#")
    newest = VersionItem.query(item_id, begins, limit=1, scan_index_forward=False, consistent_read=True)
    return int(next(newest).sk.removeprefix("V#"))


def head_of(item_id: str, *, with_key: bool) -> HeadItem:
    """The published item; without its key, only what learners may see. Raises `NotFound`."""
    wanted = None if with_key else ["pk", "sk", "owner_id", "version", "resource", "course_id"]
    try:
        head = HeadItem.get(item_id, "HEAD", attributes_to_get=wanted) if is_id(item_id, "itm") else None
    except HeadItem.DoesNotExist:
        head = None
    if head is None or head.course_id is None:
        raise NotFound("training item")
    return head


def version_of(item_id: str, version: int) -> VersionItem:
    """A published version, this or an earlier one. Raises `Invalid` for one that never was."""
    try:
        return VersionItem.get(item_id, version_key(version))
    except VersionItem.DoesNotExist:
        raise Invalid({"item_version": ["was never published"]}) from None


def published_of(item_ids: Sequence[str]) -> frozenset[str]:
    """Which of these items are published. One call for a hundred."""
    keys = [(item_id, "HEAD") for item_id in item_ids]
    found = HeadItem.batch_get(keys, consistent_read=True, attributes_to_get=["pk", "sk", "course_id"])
    return frozenset(head.pk for head in found if head.course_id is not None)


def versions_before(item_ids: Sequence[str]) -> dict[str, int]:
    """The last version of each of these items that was ever published, withdrawn ones included."""
    keys = [(item_id, "HEAD") for item_id in item_ids]
    found = HeadItem.batch_get(keys, consistent_read=True, attributes_to_get=["pk", "sk", "version"])
    return {head.pk: int(head.version) for head in found}


def publication_of(owner_id: str, course_id: str) -> PublicationItem | None:
    """The publication of this course that is under way."""
    try:
        return PublicationItem.get(PUBLISHING, publication_key(owner_id, course_id), consistent_read=True)
    except PublicationItem.DoesNotExist:
        return None


def publications(owner_id: str | None = None) -> Iterator[PublicationItem]:
    """All that are under way, or one owner's."""
    begins = PublicationItem.sk.startswith(f"{owner_id}#") if owner_id else None
    return PublicationItem.query(PUBLISHING, begins, consistent_read=True)


# Lists


def total_of(lists: Sequence[str]) -> int:
    """How many rows these lists have together. One call."""
    return sum(
        int(count.rows) for count in CountItem.batch_get([(count_key(name), "COUNT") for name in lists])
    )


def rows_of(keys: Sequence[Key]) -> dict[Key, Any]:
    """What these rows show; of those that are there."""
    return {(row.pk, row.sk): row.resource for row in RowItem.batch_get(list(keys))}


def reader(lists: Sequence[str], since: str = "") -> Reader[Any]:
    """Rows of one list after the other, as if they were one; only those from `since` on.

    A position is the list's digit and the row's sort key. A page costs one call, and one more for each
    list that ends on it.
    """

    def read(start: str | None, limit: int, *, backwards: bool) -> Sequence[tuple[str, Any]]:
        found: list[tuple[str, Any]] = []
        for at, after in _lists_from(lists, start, backwards=backwards):
            rows = _rows(lists[at], since, after, limit - len(found), backwards=backwards)
            found += [(f"{at}{row.sk}", row.resource) for row in rows]
            if len(found) == limit:
                break
        return found

    return read


def merged(lists: Sequence[str], *, descending: bool = False) -> Reader[Any]:
    """Rows of all lists in the order of their sort keys, and equal ones in that of the lists.

    A page costs a call per list. A position is the list's digit and the row's sort key.
    """

    def read(start: str | None, limit: int, *, backwards: bool) -> Sequence[tuple[str, Any]]:
        downwards, rows = backwards != descending, []
        last, after = (int(start[0]), start[1:]) if start else (0, None)
        for at, of in enumerate(lists):
            equal_too = at < last if downwards else at > last
            found = _rows(of, "", after, limit, backwards=downwards, equal_too=equal_too)
            rows += [(row.sk, at, row.resource) for row in found]
        rows.sort(key=lambda row: row[:2], reverse=downwards)
        return [(f"{at}{key}", resource) for key, at, resource in rows[:limit]]

    return read


def chosen(lists: Sequence[str], prefix: str, keep: Callable[[Any], bool]) -> Reader[Key]:
    """The keys of rows with this prefix that `keep` takes.

    A page looks at a bounded number of rows; where more may follow, it ends with the place where it stopped.
    """

    def read(start: str | None, limit: int, *, backwards: bool) -> Sequence[tuple[str, Key | None]]:
        found: list[tuple[str, Key | None]] = []
        left = _LOOKED_AT
        for at, after in _lists_from(lists, start, backwards=backwards):
            rows = list(_rows(lists[at], prefix, after, left, backwards=backwards, within=True))
            found += [(f"{at}{row.sk}", (row.pk, row.sk)) for row in rows if keep(row.resource)]
            left -= len(rows)
            if left == 0:
                found.append((f"{at}{rows[-1].sk}", None))
                break
        return found[:limit]

    return read


def _lists_from(
    lists: Sequence[str], start: str | None, *, backwards: bool
) -> Iterator[tuple[int, str | None]]:
    """The lists still to be read, each with the row after which to go on."""
    begin = int(start[0]) if start else None
    order = range(len(lists))
    for at in reversed(order) if backwards else order:
        if begin is None or (at <= begin if backwards else at >= begin):
            yield at, start[1:] if start and at == begin else None


def _rows(
    of_list: str,
    since: str,
    after: str | None,
    limit: int,
    *,
    backwards: bool,
    within: bool = False,
    equal_too: bool = False,
) -> Iterator[RowItem]:
    """Rows from `since` on (or only `within` that prefix), after a key, or from it on (`equal_too`).

    Ranges are closed: just after a key is the key and a space, just before one the key with its last
    character lowered.
    """
    low, high = since or " ", since + HIGHEST if within else HIGHEST
    if after is not None and equal_too:
        low, high = (low, after) if backwards else (after, high)
    elif after is not None and backwards:
        high = after[:-1] + chr(ord(after[-1]) - 1) + HIGHEST
    elif after is not None:
        low = after + " "
    if low > high:
        return iter(())
    return RowItem.query(
        of_list, RowItem.sk.between(low, high), limit=limit, scan_index_forward=not backwards
    )


def changed_counts(before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, int]:
    """What is to be added to the counter of each list."""
    added = {name: after.get(name, 0) - before.get(name, 0) for name in {*before, *after}}
    return {name: more for name, more in added.items() if more}
