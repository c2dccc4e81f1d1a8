"""Publishing a course: its drafts become what learners see, at one stroke, whatever its size.

1. Records that nobody reads yet: new versions of items, new records of lessons.
2. The publication is noted, in one transaction. From here on it will be completed: by this process, or by
   the sweeper, which takes over where a process died or had no time left.
3. What grading reads of each item.
4. The course itself, in one transaction with its own rows and the counters of lists. This is the stroke.
5. What is gone is put out of reach; rows of lists across courses.

Every step may be repeated. One publication of a course at a time: it is leased by whoever sees to it, and
another has to wait. A published version is never changed, and no number is given to two contents.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from pydantic import BaseModel

from chalicelib.catalogue import authoring, models, schemas, tree
from chalicelib.catalogue.models import CountItem, CourseItem, HeadItem, PublicationItem, RowItem, VersionItem
from chalicelib.core import clock
from chalicelib.core.clock import epoch, instant, rfc3339, shown
from chalicelib.core.errors import Conflict, NotFound
from chalicelib.core.ids import new_id
from chalicelib.core.logs import log
from chalicelib.core.store import Stale, Table, Transaction

LAYOUT = 1
"""Grows when records are to be written differently: then the same content is written again."""
INLINE_SECONDS = 10.0
"""How long a request goes on with lists across courses before it leaves the rest to the sweeper."""
REQUEST_LEASE = timedelta(seconds=40)
SWEEP_LEASE = timedelta(seconds=310)
"""Longer than the function may run that holds the lease: then nobody else writes."""

_VERSIONS_AT_ONCE = 50  # of up to 64 KiB each: a transaction may hold 4 MB
_ROWS_AT_ONCE = 500
_TRIES = 5


@dataclass(frozen=True)
class Published:
    """The course, and whether anything had to be written."""

    course_id: str
    changed: bool


class VersionTaken(Exception):
    """This version of the item was written with another content, by a publication that died."""

    def __init__(self, item_id: str) -> None:
        super().__init__(item_id)
        self.item_id = item_id


# What callers ask for


def publish(content: schemas.CourseContent, owner_id: str, now: datetime) -> Published:
    """Make this what the drafts and learners of the course with this owner and slug see.

    For loading files: a content that was loaded before changes nothing, and costs two reads, whatever
    authors have made of it since.
    """
    course_id = models.course_id(owner_id, content.slug)
    digest = _digest(content)
    _settle(owner_id, course_id)
    if _loaded(course_id) == digest:
        return Published(course_id, changed=False)
    written = authoring.replace(content, owner_id, now, models.drafts_in(course_id))
    _publish(content, _course_among(written), now, loaded=digest)
    return Published(course_id, changed=True)


def publish_draft(institution_id: str, course_id: str, now: datetime) -> schemas.Publication:
    """Publish the course as its drafts say it. The same again changes nothing.

    Raises `Invalid` naming what keeps it from being published, `Conflict` while it is being published
    or written to.
    """
    authoring.course_draft(institution_id, course_id)
    for _ in range(_TRIES):
        _settle(institution_id, course_id)
        drafts = models.drafts_in(course_id)
        course = _course_among(drafts)
        if course is None:
            raise NotFound("course")
        content = authoring.content_of(drafts)
        if authoring.course_draft(institution_id, course_id).changes != course.changes:
            continue  # an author wrote while we read
        try:
            _publish(content, course, now)
        except Stale:
            continue
        return publication(institution_id, course_id)
    raise Conflict("Others keep changing this course.", retry_after=1)


def archive(institution_id: str, course_id: str, now: datetime) -> schemas.Publication:
    """Take the course from all lists and out of reach; its drafts, and progress in it, stay.

    One that is archived already stays so. Raises `Conflict` as `publish_draft` does.
    """
    authoring.course_draft(institution_id, course_id)
    for _ in range(_TRIES):
        _settle(institution_id, course_id)
        course = authoring.course_draft(institution_id, course_id)
        try:
            if course.state != "archived":
                _archive(course, now)
        except Stale:
            continue
        return publication(institution_id, course_id)
    raise Conflict("Others keep changing this course.", retry_after=1)


def publication(institution_id: str, course_id: str) -> schemas.Publication:
    """What learners see of the course. Three reads. Raises as `authoring.course_draft` does."""
    draft = authoring.course_draft(institution_id, course_id)
    course = _published(course_id)
    return schemas.Publication(
        course_id=course_id,
        state=draft.state,
        edition=int(course.edition) if course else 0,
        has_unpublished_changes=draft.changes != draft.published_changes,
        in_progress=models.publication_of(institution_id, course_id) is not None,
        published_at=shown(course.published_at) if course else None,
        archived_at=shown(course.archived_at) if course else None,
    )


def sweep(now: datetime) -> int:
    """Complete publications whose process died or had no time left. How many there were."""
    swept = 0
    for found in models.publications():
        if found.busy_until <= epoch(now) and _lease(found, now, SWEEP_LEASE):
            _complete(found, seconds=None)
            log.info("catalogue.publication_swept", course_id=found.course_id, publication_id=found.id)
            swept += 1
    return swept


# One publication


def _settle(owner_id: str, course_id: str) -> None:
    """See that no publication of the course is under way. Raises `Conflict` while another sees to one."""
    found = models.publication_of(owner_id, course_id)
    if found is None:
        return
    now = clock.now()
    wait = int(found.busy_until) - epoch(now)
    if wait > 0 or not _lease(found, now, REQUEST_LEASE):
        raise Conflict("This course is being published.", retry_after=max(1, min(wait, 30)))
    if not _complete(found, seconds=INLINE_SECONDS):
        raise Conflict("This course is being published.", retry_after=30)


def _publish(
    content: schemas.CourseContent, course: models.DraftItem | None, now: datetime, loaded: str | None = None
) -> None:
    """Raises `Stale` where another publication got in between."""
    if course is None:
        raise NotFound("course")
    digest, before = _digest(content), _published(course.sk)
    if before is not None and before.digest == digest and before.archived_at is None:
        _note_published(course, now, loaded)
        return
    old, now = _tree_of(before), _after(before, now)
    noted = _publication(course, digest, old, now)
    versions = _write_versions(tree.items_of(content, course.owner_id), old, now)
    grown = tree.grow(content, course.owner_id, versions, old, f"P#{noted.id}", now)
    _put([lesson.item() for lesson in grown.lessons if lesson.record == f"P#{noted.id}"])
    noted.after, noted.totals, noted.changes = _outlined(grown), grown.counts(), course.changes
    _begin(noted, before, course, loaded)


def _archive(course: models.DraftItem, now: datetime) -> None:
    before = _published(course.sk)
    if before is None:
        transaction = Transaction()
        authoring.note_state(transaction, course, "archived", now)
        transaction.commit()
        return
    noted = _publication(course, before.digest, _tree_of(before), _after(before, now))
    noted.after, noted.totals, noted.changes = (
        {"course": before.resource, "lessons": []},
        {},
        course.published_changes,
    )
    noted.archives = 1
    _begin(noted, before, course, None)


def _publication(
    course: models.DraftItem, digest: str, old: tree.Tree | None, now: datetime
) -> PublicationItem:
    """One that begins; what it puts in place of `old` is still to be said."""
    return PublicationItem(
        sk=models.publication_key(course.owner_id, course.sk),
        id=new_id("pub", now),
        owner_id=course.owner_id,
        course_id=course.sk,
        started_at=instant(now),
        before=_outlined(old),
        digest=digest,
    )


def _begin(
    noted: PublicationItem, before: CourseItem | None, course: models.DraftItem, loaded: str | None
) -> None:
    """Note the publication: from here on it will be completed. Raises `Stale` where another was faster."""
    noted.busy_until = epoch(clock.now() + REQUEST_LEASE)
    transaction = Transaction()
    transaction.put(noted, PublicationItem.pk.does_not_exist())
    if before is None:
        # deletes nothing: it is there for its condition
        transaction.delete(CourseItem(course.sk), CourseItem.pk.does_not_exist())
    else:
        same = CourseItem.publication == before.publication
        transaction.update(before, [CourseItem.edition.set(before.edition)], same)
    state: schemas.State = "archived" if noted.archives else "published"
    authoring.note_state(
        transaction,
        course,
        state,
        datetime.fromisoformat(noted.started_at),
        published_changes=int(noted.changes),
        loaded=loaded,
    )
    transaction.commit()
    _complete(noted, seconds=INLINE_SECONDS)


def _note_published(course: models.DraftItem, now: datetime, loaded: str | None) -> None:
    """Learners see this content already: the drafts came back to it."""
    if course.state == "published" and course.changes == course.published_changes and loaded is None:
        return
    transaction = Transaction()
    authoring.note_state(
        transaction, course, "published", now, published_changes=int(course.changes), loaded=loaded
    )
    transaction.commit()


def _complete(noted: PublicationItem, seconds: float | None) -> bool:
    """All that follows from a noted publication, as far as `seconds` allow. Whether it is complete."""
    deadline = None if seconds is None else time.monotonic() + seconds
    course = _published(noted.course_id)
    outlines = [told for told in (noted.before, noted.after) if told is not None]
    records = models.lessons_of({key for told in outlines for key in _keys(told["lessons"])})
    old = _grown(noted.before, records) if noted.before is not None else None
    new = _grown(noted.after, records)
    versions: dict[str, VersionItem] = {}
    if course is None or course.publication != noted.id:
        versions = _put_heads(old, new)
        _replace_course(noted, course, new.course)
    return _follow(noted, old, new, versions, deadline)


def _put_heads(old: tree.Tree | None, new: tree.Tree) -> dict[str, VersionItem]:
    """Make ready what grading reads of every item that is new, changed, or counted differently."""
    counted_as_before = old is not None and (old.course.item_count, old.course.lesson_count) == (
        new.course.item_count,
        new.course.lesson_count,
    )
    lessons = _beyond(new, old) if counted_as_before else new.lessons
    counts = {lesson.resource.id: lesson.resource.item_count for lesson in lessons}
    items = list(tree.items_in(lessons))
    versions = models.versions_of({leaf.id: leaf.version for _, leaf, _ in items})
    _put(
        [
            HeadItem(
                leaf.id,
                owner_id=new.course.owner_institution_id,
                version=leaf.version,
                item=versions[leaf.id].item,
                resource=tree.training_item(training, leaf, at, versions[leaf.id].shown).model_dump(
                    mode="json"
                ),
                language=new.course.language,
                training_id=training.id,
                lesson_id=training.lesson_id,
                course_id=new.course.id,
                lesson_item_count=counts[training.lesson_id],
                course_item_count=new.course.item_count,
                course_lesson_count=new.course.lesson_count,
            )
            for training, leaf, at in items
        ]
    )
    return versions


def _replace_course(noted: PublicationItem, before: CourseItem | None, course: schemas.Course) -> None:
    """The stroke: the course, its rows, and what it adds to the counters of lists."""
    transaction = Transaction()
    record = CourseItem(
        noted.course_id,
        owner_id=noted.owner_id,
        resource=noted.after["course"],
        lessons=before.lessons if noted.archives and before else noted.after["lessons"],
        totals=noted.totals,
        edition=int(before.edition) + (0 if noted.archives else 1) if before else 1,
        publication=noted.id,
        digest=noted.digest,
        changed_at=noted.started_at,
        published_at=before.published_at if noted.archives and before else noted.started_at,
        archived_at=noted.started_at if noted.archives else None,
    )
    unchanged = (
        CourseItem.pk.does_not_exist() if before is None else CourseItem.publication == before.publication
    )
    transaction.put(record, unchanged)
    stood = before is not None and before.archived_at is None
    rows_before = tree.course_rows(schemas.Course(**before.resource)) if before and stood else {}
    rows: dict[models.Key, Any] = {} if noted.archives else dict(tree.course_rows(course))
    for pk, sk in rows_before.keys() - rows.keys():
        transaction.delete(RowItem(pk, sk))
    if noted.archives:
        rows = _tombstone("COURSES", noted, noted.course_id)
    for (pk, sk), resource in rows.items():
        transaction.put(_row(pk, sk, resource))
    counts = models.changed_counts(before.totals if before else {}, noted.totals)
    for name, added in counts.items():
        counter = CountItem(models.count_key(name), "COUNT")
        transaction.update(counter, [CountItem.rows.add(added)])
    try:
        transaction.commit()
    except Stale:
        if _published_by(noted) is None:  # else another process that took over was faster
            raise


def _follow(
    noted: PublicationItem,
    old: tree.Tree | None,
    new: tree.Tree,
    versions: Mapping[str, VersionItem],
    deadline: float | None,
) -> bool:
    """Put away what is gone, and bring all lists across courses after the course."""
    went, came = _beyond(old, new), _beyond(new, old)
    before = tree.rows(old.course, went) if old else {}
    after = tree.rows(new.course, came)
    put = [key for key, part in after.items() if before.get(key) != part]
    living = new.parts()
    gone = [part_id for part_id in (old.parts() if old else ()) if part_id not in living]
    wanted = {after[key][0] for key in put}
    leaves = [leaf for _, leaf, _ in tree.items_in(came) if leaf.id in wanted]
    missing = {leaf.id: leaf.version for leaf in leaves if leaf.id not in versions}
    shown_by_id = {item_id: version.shown for item_id, version in versions.items()}
    shown_by_id |= models.shown_of(missing)
    resources = tree.resources(came, shown_by_id)
    writes: list[tuple[RowItem, bool]] = [(_row(*key, resources[after[key][0]]), True) for key in put]
    writes += [(RowItem(*key), False) for key in before.keys() - after.keys()]
    for part_id in gone:
        kind = {"lsn": "LESSONS", "trn": "TRAININGS", "itm": "ITEMS"}[part_id[:3]]
        writes += [(_row(*key, row), True) for key, row in _tombstone(kind, noted, part_id).items()]
    words = {} if noted.archives else tree.word_rows(new.course)
    words_before = tree.word_rows(old.course) if old else {}
    writes += [(_row(*key, row), True) for key, row in words.items() if words_before.get(key) != row]
    writes += [(RowItem(*key), False) for key in words_before.keys() - words.keys()]
    _withdraw(noted.owner_id, old, gone)
    for start in range(0, len(writes), _ROWS_AT_ONCE):
        if deadline is not None and time.monotonic() > deadline:
            _lease(noted, clock.now(), timedelta(0))
            return False
        _write(writes[start : start + _ROWS_AT_ONCE])
    transaction = Transaction()
    transaction.delete(
        PublicationItem(sk=noted.sk), PublicationItem.pk.does_not_exist() | (PublicationItem.id == noted.id)
    )
    transaction.commit()
    return True


def _beyond(one: tree.Tree | None, other: tree.Tree | None) -> list[tree.Lesson]:
    """The lessons that the other has not just so: what never changes has the same record."""
    same = {(lesson.resource.id, lesson.record) for lesson in other.lessons} if other else set()
    lessons = one.lessons if one else ()
    return [lesson for lesson in lessons if (lesson.resource.id, lesson.record) not in same]


def _withdraw(owner_id: str, old: tree.Tree | None, gone: Sequence[str]) -> None:
    """Put items out of reach; only the number of their last version is kept."""
    ids = set(gone)
    _put(
        [
            HeadItem(leaf.id, owner_id=owner_id, version=leaf.version)
            for leaf in (old.leaves().values() if old else ())
            if leaf.id in ids
        ]
    )


def _tombstone(kind: str, noted: PublicationItem, part_id: str) -> dict[models.Key, dict[str, Any]]:
    key = (models.changes_list(kind, noted.owner_id), f"{noted.started_at}#{part_id}")
    return {key: {"id": part_id, "deleted": True, "deleted_at": shown(noted.started_at)}}


# Versions


def _write_versions(
    items: Mapping[str, schemas.ItemContent], old: tree.Tree | None, now: datetime
) -> dict[str, int]:
    """The version of each item, once the records of new versions are written."""
    before = old.leaves() if old else {}
    digests = {item_id: tree.digest_of(entry.item) for item_id, entry in items.items()}
    versions = {item_id: before[item_id].version for item_id in items if item_id in before}
    versions |= models.versions_before([item_id for item_id in items if item_id not in before])
    new = [
        item_id
        for item_id, digest in digests.items()
        if item_id not in before or before[item_id].digest != digest
    ]
    for item_id in new:
        versions[item_id] = versions.get(item_id, 0) + 1
    for start in range(0, len(new), _VERSIONS_AT_ONCE):
        chunk = {item_id: items[item_id] for item_id in new[start : start + _VERSIONS_AT_ONCE]}
        while not _try_versions(chunk, versions, now):
            _step_over(chunk, versions)
    return versions


def _try_versions(
    chunk: Mapping[str, schemas.ItemContent], versions: Mapping[str, int], now: datetime
) -> bool:
    """Write these versions; or none of them, where one holds another content."""
    transaction = Transaction()
    for item_id, entry in chunk.items():
        text = entry.item.model_dump_json()
        transaction.put(
            VersionItem(
                item_id,
                models.version_key(versions[item_id]),
                item=text,
                shown=tree.shown(entry),
                published_at=rfc3339(now),
            ),
            VersionItem.pk.does_not_exist() | (VersionItem.item == text),
            VersionTaken(item_id),
        )
    try:
        transaction.commit()
    except VersionTaken:
        return False
    return True


def _step_over(chunk: Mapping[str, schemas.ItemContent], versions: dict[str, int]) -> None:
    """Go on to free numbers where publications that died have taken these for other contents."""
    stored = models.versions_of({item_id: versions[item_id] for item_id in chunk})
    for item_id, version in stored.items():
        if version.item != chunk[item_id].item.model_dump_json():
            versions[item_id] = models.last_version_of(item_id) + 1


# Records


def _digest(content: schemas.CourseContent) -> str:
    return sha256(f"{LAYOUT}\n{content.model_dump_json()}".encode()).hexdigest()


def _loaded(course_id: str) -> str | None:
    """What was last loaded into the drafts of this course."""
    try:
        return models.draft_of(course_id, course_id, "course").loaded
    except NotFound:
        return None


def _course_among(drafts: Sequence[models.DraftItem]) -> models.DraftItem | None:
    return next((draft for draft in drafts if draft.sk == draft.course_id), None)


def _published(course_id: str) -> CourseItem | None:
    try:
        return models.course_of(course_id, consistent=True)
    except NotFound:
        return None


def _published_by(noted: PublicationItem) -> CourseItem | None:
    course = _published(noted.course_id)
    return course if course is not None and course.publication == noted.id else None


def _tree_of(course: CourseItem | None) -> tree.Tree | None:
    """What learners see of it; nothing where it is archived."""
    if course is None or course.archived_at is not None:
        return None
    told = {"course": course.resource, "lessons": course.lessons}
    return _grown(told, models.lessons_of(_keys(course.lessons)))


def _grown(told: Mapping[str, Any], records: Mapping[models.Key, models.LessonItem]) -> tree.Tree:
    """The tree that a record tells of."""
    lessons = [tree.Lesson.of(records[key]) for key in _keys(told["lessons"])]
    return tree.Tree(schemas.Course(**told["course"]), lessons)


def _keys(outline: Sequence[Mapping[str, Any]]) -> list[models.Key]:
    return [(one["id"], one["record"]) for one in outline]


def _after(before: CourseItem | None, now: datetime) -> datetime:
    """When it changes: later than the last time, whatever the clock of this machine says."""
    if before is None:
        return now
    return max(now, datetime.fromisoformat(before.changed_at) + timedelta(milliseconds=1))


def _outlined(of: tree.Tree | None) -> dict[str, Any] | None:
    if of is None:
        return None
    return {"course": of.course.model_dump(mode="json"), "lessons": of.outline()}


def _lease(noted: PublicationItem, now: datetime, length: timedelta) -> bool:
    """Take over a publication as it was read. Whether nobody else did."""
    transaction = Transaction()
    transaction.update(
        noted,
        [PublicationItem.busy_until.set(epoch(now + length))],
        (PublicationItem.id == noted.id) & (PublicationItem.busy_until == noted.busy_until),
    )
    try:
        transaction.commit()
    except Stale:
        return False
    noted.busy_until = epoch(now + length)
    return True


def _row(pk: str, sk: str, resource: BaseModel | Mapping[str, Any]) -> RowItem:
    told = resource.model_dump(mode="json") if isinstance(resource, BaseModel) else dict(resource)
    return RowItem(pk, sk, resource=told)


def _put(records: Sequence[Table]) -> None:
    if records:
        with type(records[0]).batch_write() as batch:
            for record in records:
                batch.save(record)


def _write(rows: Sequence[tuple[RowItem, bool]]) -> None:
    """Put or delete each."""
    with RowItem.batch_write() as batch:
        for row, is_put in rows:
            if is_put:
                batch.save(row)
            else:
                batch.delete(row)
