"""Writing courses: drafts that only the owner's authors see, until their course is published.

A parent's record holds the order of its children, each record has a revision, and every write names the
revisions that it has read: of two authors at once, the second reads again and then writes beside the first,
never over it. The record of the course counts what all of its drafts add up to.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ValidationError
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action

from chalicelib.catalogue import models, schemas, service
from chalicelib.catalogue.items import Item
from chalicelib.catalogue.models import CountItem, DraftItem, OriginItem, RowItem
from chalicelib.core import problems
from chalicelib.core.clock import instant, shown
from chalicelib.core.errors import Conflict, DomainError, Forbidden, Invalid, NotFound
from chalicelib.core.ids import is_id
from chalicelib.core.paging import Reader, of_list
from chalicelib.core.store import RawItem, Stale, Transaction


class NotTheOwner(Forbidden):
    """A course that the caller may read and not change: it is the platform's."""

    def __init__(self) -> None:
        DomainError.__init__(self, "This belongs to a public course, which only the platform changes.")

    def members(self) -> dict[str, object]:
        return {}


@dataclass(frozen=True)
class Kind:
    """A level of the tree below the course. `parent` is the prefix of the parent's ids."""

    prefix: str
    name: str
    parent: str
    parent_name: str
    at_most: int
    seen: Callable[[str, str], BaseModel]


LESSON = Kind("lsn", "lesson", "crs", "course", schemas.LESSONS_AT_MOST, service.lesson)
TRAINING = Kind("trn", "training", "lsn", "lesson", schemas.TRAININGS_AT_MOST, service.training)
ITEM = Kind("itm", "training item", "trn", "training", schemas.ITEMS_AT_MOST, service.training_item)
_KINDS = {kind.prefix: kind for kind in (LESSON, TRAINING, ITEM)}
_PLACES = {"course_id", "lesson_id", "training_id", "position"}
"""Fields that say where a part stands, not what it is."""


# Reading drafts


def course_draft(institution_id: str, course_id: str) -> DraftItem:
    """One read. Raises `NotFound`, for a foreign course too, and `NotTheOwner` for a public one."""
    if not is_id(course_id, "crs"):
        raise NotFound("course")
    draft = models.draft_of(course_id, course_id, "course")
    if draft.owner_id != institution_id:
        service.course_details(institution_id, course_id)  # raises what it is for a reader
        raise NotTheOwner
    return draft


def part_draft(institution_id: str, kind: Kind, part_id: str) -> DraftItem:
    """A lesson, training or item as authored. Two reads. Raises as `course_draft` does."""
    if not is_id(part_id, kind.prefix):
        raise NotFound(kind.name)
    origin = models.origin_of(part_id, kind.name)
    if origin.owner_id != institution_id:
        kind.seen(institution_id, part_id)
        raise NotTheOwner
    return models.draft_of(origin.course_id, part_id, kind.name)


def course_drafts(institution_id: str, state: schemas.State | None) -> service.Found[schemas.CourseDraft]:
    """The courses of an institution, by slug."""
    name = models.drafts_list(institution_id, state)

    def show(rows: Sequence[Any]) -> list[schemas.CourseDraft]:
        return [show_course(one) for one in models.drafts_of([(row["id"], row["id"]) for row in rows])]

    return service.Found(models.reader([name]), show, models.total_of([name]))


def child_drafts(institution_id: str, kind: Kind, parent_id: str) -> service.Found[Any]:
    """The children of a course, lesson or training, in order. Raises as `course_draft` does."""
    parent = _parent(institution_id, kind, parent_id)
    read: Reader[Any] = of_list([(f"{at:03}", child) for at, child in enumerate(parent.children)])

    def show(ids: Sequence[str]) -> list[BaseModel]:
        return [_SHOW[kind](one) for one in models.drafts_of([(parent.course_id, child) for child in ids])]

    return service.Found(read, show, len(parent.children))


def _parent(institution_id: str, kind: Kind, parent_id: str) -> DraftItem:
    if kind.parent == "crs":
        return course_draft(institution_id, parent_id)
    return part_draft(institution_id, _KINDS[kind.parent], parent_id)


# Showing drafts


def show_course(draft: DraftItem) -> schemas.CourseDraft:
    return schemas.CourseDraft(
        **_common(draft),
        state=draft.state,
        lesson_ids=draft.children,
        archived_lesson_ids=draft.archived_children,
    )


def show_lesson(draft: DraftItem) -> schemas.LessonDraft:
    return schemas.LessonDraft(
        **_common(draft),
        course_id=draft.course_id,
        training_ids=draft.children,
        archived_training_ids=draft.archived_children,
        archived_at=shown(draft.archived_at),
    )


def show_training(draft: DraftItem) -> schemas.TrainingDraft:
    return schemas.TrainingDraft(
        **_common(draft),
        course_id=draft.course_id,
        lesson_id=draft.parent_id,
        item_ids=draft.children,
        archived_item_ids=draft.archived_children,
        archived_at=shown(draft.archived_at),
    )


def show_item(draft: DraftItem) -> schemas.ItemDraft:
    return schemas.ItemDraft(
        **_common(draft),
        course_id=draft.course_id,
        training_id=draft.parent_id,
        archived_at=shown(draft.archived_at),
    )


_SHOW: Mapping[Kind, Callable[[DraftItem], BaseModel]] = {
    LESSON: show_lesson,
    TRAINING: show_training,
    ITEM: show_item,
}


def _common(draft: DraftItem) -> dict[str, Any]:
    return {
        **draft.fields,
        "id": draft.sk,
        "slug": draft.slug,
        "revision": int(draft.revision),
        "created_at": shown(draft.created_at),
        "updated_at": shown(draft.updated_at),
    }


# Writing drafts


@dataclass
class _Writing:
    """What one request changes in the drafts of one course: one update for each record."""

    transaction: Transaction
    course_id: str
    now: datetime
    _read: dict[str, DraftItem] = field(default_factory=dict)
    _actions: dict[str, list[Action]] = field(default_factory=dict)
    _parts: int = 0
    _size: int = 0

    def change(self, draft: DraftItem, *actions: Action) -> None:
        """Change a record as it was read."""
        self._read[draft.sk] = draft
        self._actions.setdefault(draft.sk, []).extend(actions)

    def order(
        self, parent: DraftItem, children: Sequence[str], archived: Sequence[str] | None = None
    ) -> None:
        self.change(parent, DraftItem.children.set(list(children)))
        if archived is not None:
            self.change(parent, DraftItem.archived_children.set(list(archived)))

    def weigh(self, *, parts: int = 0, size: int) -> None:
        """Count what the course now holds more, or less."""
        self._parts += parts
        self._size += size

    def finish(self) -> None:
        """Add the updates to the transaction. Any that was read before another's write fails as `Stale`."""
        for sk, draft in self._read.items():
            actions = [
                *self._actions[sk],
                DraftItem.revision.set(draft.revision + 1),
                DraftItem.updated_at.set(instant(self.now)),
            ]
            condition = DraftItem.revision == draft.revision
            if sk == self.course_id:
                self._count(draft, actions, condition)
            else:
                self.transaction.update(draft, actions, condition)
        if self.course_id not in self._read:
            course = DraftItem(models.draft_key(self.course_id), self.course_id)
            self._count(course, [], DraftItem.pk.exists())

    def _count(self, course: DraftItem, actions: list[Action], condition: Condition) -> None:
        actions += [
            DraftItem.changes.add(1),
            DraftItem.parts.add(self._parts),
            DraftItem.size_.add(self._size),
        ]
        if self._parts > 0:
            condition &= DraftItem.parts < schemas.COURSE_PARTS_AT_MOST
        if self._size > 0:
            condition &= DraftItem.size_ < schemas.COURSE_BYTES_AT_MOST
        self.transaction.update(course, actions, condition, self._full)

    def _full(self, raw: RawItem) -> Exception:
        course = DraftItem()
        course.deserialize({name: dict(value) for name, value in raw.items()})
        if self._parts > 0 and course.parts >= schemas.COURSE_PARTS_AT_MOST:
            return Conflict(f"A course has at most {schemas.COURSE_PARTS_AT_MOST} parts, archived ones too.")
        if self._size > 0 and course.size_ >= schemas.COURSE_BYTES_AT_MOST:
            return Conflict(f"A course has at most {schemas.COURSE_BYTES_AT_MOST} bytes of content.")
        return Stale()


def create_course(
    transaction: Transaction, institution_id: str, given: schemas.CourseCreate, now: datetime
) -> DraftItem:
    """A course without lessons. Raises `Invalid` for a slug that is taken."""
    fields = given.model_dump(mode="json", exclude={"slug"})
    draft = _new(models.course_id(institution_id, given.slug), None, institution_id, given.slug, fields, now)
    taken = Invalid({"slug": ["is taken by another of your courses"]})
    transaction.put(draft, DraftItem.pk.does_not_exist(), taken)
    _enlist(transaction, draft, None, "draft")
    return draft


def create_part(
    transaction: Transaction,
    institution_id: str,
    kind: Kind,
    parent_id: str,
    given: schemas.LessonCreate | schemas.TrainingCreate | schemas.ItemCreate,
    now: datetime,
) -> DraftItem:
    """A new lesson, training or item, at its position or as the last.

    Raises `NotFound` or `NotTheOwner` for the parent, `Invalid` for a slug that is taken, `Conflict`
    where there is no room.
    """
    parent = _parent(institution_id, kind, parent_id)
    course_id = parent.course_id
    course = parent if parent.sk == course_id else models.draft_of(course_id, course_id, "course")
    fields = given.model_dump(mode="json", exclude={"slug", *_PLACES})
    if kind is ITEM:
        fields = _item_fields(fields)
    part_id = models.part_id(kind.prefix, institution_id, course.slug, given.slug)
    draft = _new(part_id, parent.sk, institution_id, given.slug, fields, now, course_id=course_id)
    taken = Invalid({"slug": [f"is taken by another {kind.name} of this course"]})
    transaction.put(draft, DraftItem.pk.does_not_exist(), taken)
    transaction.put(OriginItem(part_id, owner_id=institution_id, course_id=course_id))
    writing = _Writing(transaction, course_id, now)
    writing.order(parent, _placed(kind, parent.children, part_id, given.position))
    writing.weigh(parts=1, size=_size(fields))
    writing.finish()
    return draft


def change_course(
    transaction: Transaction,
    institution_id: str,
    course_id: str,
    given: schemas.CourseChange,
    must_be: Callable[[int], None],
    now: datetime,
) -> DraftItem:
    """Change the fields given. `must_be` refuses a revision that the caller does not mean."""
    draft = course_draft(institution_id, course_id)
    must_be(int(draft.revision))
    fields = {**draft.fields, **_sent(given)}
    writing = _Writing(transaction, course_id, now)
    if fields != draft.fields:
        writing.change(draft, DraftItem.fields.set(fields))
        writing.weigh(size=_size(fields) - _size(draft.fields))
        writing.finish()
        _changed(draft, now, fields=fields)
    return draft


def change_part(
    transaction: Transaction,
    institution_id: str,
    kind: Kind,
    part_id: str,
    given: schemas.LessonChange | schemas.TrainingChange | schemas.ItemChange,
    must_be: Callable[[int], None],
    now: datetime,
) -> DraftItem:
    """Change the fields given, and move the part where a position or another parent is among them.

    Raises `Invalid` where content and key do not fit, or the new parent is of another course, `Conflict`
    where there is no room or the part is archived and cannot move.
    """
    draft = part_draft(institution_id, kind, part_id)
    must_be(int(draft.revision))
    sent = _sent(given)
    fields = {**draft.fields, **{name: value for name, value in sent.items() if name not in _PLACES}}
    if kind is ITEM:
        fields = _item_fields(fields)
    writing = _Writing(transaction, draft.course_id, now)
    parent_field = f"{kind.parent_name}_id"
    parent_id = sent.get(parent_field, draft.parent_id)
    touched = False
    if parent_id != draft.parent_id or "position" in sent:
        _move(writing, institution_id, kind, draft, parent_id, sent.get("position"))
        touched = True
    if fields != draft.fields or parent_id != draft.parent_id:
        writing.change(draft, DraftItem.fields.set(fields), DraftItem.parent_id.set(parent_id))
        writing.weigh(size=_size(fields) - _size(draft.fields))
        touched = True
    if touched:
        writing.finish()
    if fields != draft.fields or parent_id != draft.parent_id:
        _changed(draft, now, fields=fields, parent_id=parent_id)
    return draft


def archive_part(
    transaction: Transaction,
    institution_id: str,
    kind: Kind,
    part_id: str,
    must_be: Callable[[int], None],
    now: datetime,
) -> DraftItem:
    """Leave the part out of what is published next. One that is archived already stays as it is."""
    draft = part_draft(institution_id, kind, part_id)
    must_be(int(draft.revision))
    if draft.archived_at is not None:
        return draft
    parent = models.draft_of(draft.course_id, draft.parent_id, kind.parent_name)
    archived = [*parent.archived_children, part_id]
    if len(archived) > schemas.ARCHIVED_AT_MOST:
        raise Conflict(f"A {kind.parent_name} remembers at most {schemas.ARCHIVED_AT_MOST} archived parts.")
    writing = _Writing(transaction, draft.course_id, now)
    writing.order(parent, _without(parent.children, part_id), archived)
    writing.change(draft, DraftItem.archived_at.set(instant(now)))
    writing.finish()
    _changed(draft, now, archived_at=instant(now))
    return draft


def restore_part(
    transaction: Transaction,
    institution_id: str,
    kind: Kind,
    part_id: str,
    must_be: Callable[[int], None],
    now: datetime,
) -> DraftItem:
    """Undo `archive_part`: the part comes last among its siblings. Raises `Conflict` where they are full."""
    draft = part_draft(institution_id, kind, part_id)
    must_be(int(draft.revision))
    if draft.archived_at is None:
        return draft
    parent = models.draft_of(draft.course_id, draft.parent_id, kind.parent_name)
    writing = _Writing(transaction, draft.course_id, now)
    children = _placed(kind, parent.children, part_id, None)
    writing.order(parent, children, _without(parent.archived_children, part_id))
    writing.change(draft, DraftItem.archived_at.remove())
    writing.finish()
    _changed(draft, now, archived_at=None)
    return draft


def _move(
    writing: _Writing,
    institution_id: str,
    kind: Kind,
    draft: DraftItem,
    parent_id: str,
    position: int | None,
) -> None:
    if draft.archived_at is not None:
        raise Conflict(f"This {kind.name} is archived; restore it, then move it.")
    parent = models.draft_of(draft.course_id, draft.parent_id, kind.parent_name)
    left = _without(parent.children, draft.sk)
    if parent_id == draft.parent_id:
        writing.order(parent, _placed(kind, left, draft.sk, position))
        return
    try:
        target = _parent(institution_id, kind, parent_id)
    except DomainError:
        target = None
    if target is None or target.course_id != draft.course_id:
        raise Invalid({f"{kind.parent_name}_id": [f"is no {kind.parent_name} of the same course"]})
    writing.order(parent, left)
    writing.order(target, _placed(kind, target.children, draft.sk, position))


def _placed(kind: Kind, siblings: Sequence[str], part_id: str, position: int | None) -> list[str]:
    if len(siblings) >= kind.at_most:
        raise Conflict(f"A {kind.parent_name} has at most {kind.at_most} {kind.name}s.")
    at = len(siblings) if position is None else min(position - 1, len(siblings))
    return [*siblings[:at], part_id, *siblings[at:]]


def _without(ids: Sequence[str], part_id: str) -> list[str]:
    return [one for one in ids if one != part_id]


def _new(
    part_id: str,
    parent_id: str | None,
    owner_id: str,
    slug: str,
    fields: Mapping[str, Any],
    now: datetime,
    course_id: str | None = None,
) -> DraftItem:
    draft = DraftItem(
        models.draft_key(course_id or part_id),
        part_id,
        owner_id=owner_id,
        slug=slug,
        parent_id=parent_id,
        fields=fields,
        children=[],
        archived_children=[],
        created_at=instant(now),
        updated_at=instant(now),
    )
    if course_id is None:
        draft.state, draft.changes, draft.published_changes = "draft", 1, 0
        draft.parts, draft.size_ = 0, _size(fields)
    return draft


def _changed(draft: DraftItem, now: datetime, **values: Any) -> None:
    """Make the record in hand what the transaction makes of the stored one."""
    for name, value in values.items():
        setattr(draft, name, value)
    draft.revision, draft.updated_at = draft.revision + 1, instant(now)


def _sent(given: BaseModel) -> dict[str, Any]:
    return given.model_dump(mode="json", include=given.model_fields_set)


def _item_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of an item in full. Raises `Invalid` where content and key do not fit each other."""
    try:
        item = Item.model_validate(fields)
        schemas.ItemContent(slug="x", item=item)
    except ValidationError as error:
        raise problems.of_validation(error, "content", fields) from error
    return item.model_dump(mode="json")


def _size(fields: Mapping[str, Any]) -> int:
    return len(str(DraftItem.fields.serialize(fields)).encode())


def _enlist(transaction: Transaction, course: DraftItem, before: str | None, after: str) -> None:
    """Show the course in the lists of its state, and no longer in those of the one before."""
    if before == after:
        return
    rows = [(models.drafts_list(course.owner_id, after), 1)]
    rows += [(models.drafts_list(course.owner_id, None), 1)] if before is None else []
    for name, _ in rows:
        transaction.put(RowItem(name, course.slug, resource={"id": course.sk}))
    if before is not None:
        rows.append((models.drafts_list(course.owner_id, before), -1))
        transaction.delete(RowItem(rows[-1][0], course.slug))
    for name, number in rows:
        transaction.update(CountItem(models.count_key(name), "COUNT"), [CountItem.rows.add(number)])


def note_state(
    transaction: Transaction,
    course: DraftItem,
    state: schemas.State,
    now: datetime,
    *,
    published_changes: int | None = None,
    loaded: str | None = None,
) -> None:
    """Say on the draft what has become of the course. Raises `Stale` where another author was faster."""
    actions: list[Action] = [
        DraftItem.state.set(state),
        DraftItem.revision.set(course.revision + 1),
        DraftItem.updated_at.set(instant(now)),
    ]
    if published_changes is not None:
        actions.append(DraftItem.published_changes.set(published_changes))
    if loaded is not None:
        actions.append(DraftItem.loaded.set(loaded))
    transaction.update(course, actions, DraftItem.revision == course.revision)
    _enlist(transaction, course, course.state, state)


# Whole courses


def content_of(drafts: Sequence[DraftItem]) -> schemas.CourseContent:
    """The course as its drafts say it, without what is archived.

    Raises `Invalid` naming each training that has no items: a learner could not do it.
    """
    by_id = {draft.sk: draft for draft in drafts}
    course = next(draft for draft in drafts if draft.sk == draft.course_id)
    faults: dict[str, list[str]] = {}

    def children(draft: DraftItem) -> list[DraftItem]:
        return [by_id[child] for child in draft.children]

    def training(draft: DraftItem, path: str) -> dict[str, Any]:
        if not draft.children:
            faults[f"{path}.items"] = [f"{draft.slug} needs at least one item, or is to be archived"]
        items = [{"slug": item.slug, "item": item.fields} for item in children(draft)]
        return {**draft.fields, "slug": draft.slug, "items": items}

    def lesson(draft: DraftItem, path: str) -> dict[str, Any]:
        trainings = [training(one, f"{path}.trainings.{at}") for at, one in enumerate(children(draft))]
        return {**draft.fields, "slug": draft.slug, "trainings": trainings}

    lessons = [lesson(one, f"lessons.{at}") for at, one in enumerate(children(course))]
    if faults:
        raise Invalid(faults)
    raw = {**course.fields, "slug": course.slug, "lessons": lessons}
    try:
        return schemas.CourseContent.model_validate(raw)
    except ValidationError as error:  # the rules have become stricter since it was written
        raise problems.of_validation(error, "course", raw) from error


def replace(
    content: schemas.CourseContent, owner_id: str, now: datetime, before: Sequence[DraftItem]
) -> list[DraftItem]:
    """Make this the drafts of the course; what they hold and it does not is archived. For loading files.

    Nobody else may write to the course meanwhile. What dies half-way is completed by doing it again.
    """
    known = {draft.sk: draft for draft in before}
    *parts, course = _drafts(content, owner_id, now)
    living = {draft.sk for draft in parts} | {course.sk}
    gone = [draft for draft in before if draft.sk not in living]
    changed = [draft for draft in (*parts, course) if _takes_over(draft, known.get(draft.sk), gone)]
    for draft in gone:
        if draft.archived_at is None:
            draft.archived_at, draft.revision = instant(now), draft.revision + 1
            changed.append(draft)
    with OriginItem.batch_write() as origins:
        for draft in parts:
            if draft.sk not in known:
                origins.save(OriginItem(draft.sk, owner_id=owner_id, course_id=course.sk))
    with DraftItem.batch_write() as drafts:
        for draft in changed:
            if draft is not course:
                drafts.save(draft)
    course.parts = len(parts) + len(gone)
    course.size_ = sum(_size(draft.fields) for draft in (*parts, course, *gone))
    _put_course(course, known.get(course.sk))
    return [*parts, course]


_BELOW = {"crs": ("lsn", "lessons"), "lsn": ("trn", "trainings"), "trn": ("itm", "items")}


def _drafts(content: schemas.CourseContent, owner_id: str, now: datetime) -> Iterator[DraftItem]:
    """The parts of a course, each after its children, and the course itself at last."""
    course_id = models.course_id(owner_id, content.slug)

    def made(part: Any, prefix: str, part_id: str, parent_id: str | None) -> Iterator[DraftItem]:
        below, name = _BELOW.get(prefix, ("", ""))
        children = getattr(part, name) if name else ()
        ids = [models.part_id(below, owner_id, content.slug, child.slug) for child in children]
        for child, child_id in zip(children, ids, strict=True):
            yield from made(child, below, child_id, part_id)
        whole = part.item if prefix == "itm" else part
        fields = whole.model_dump(mode="json", exclude={"slug", name})
        draft = _new(part_id, parent_id, owner_id, part.slug, fields, now, course_id if parent_id else None)
        draft.children = ids
        yield draft

    return made(content, "crs", course_id, None)


def _takes_over(draft: DraftItem, earlier: DraftItem | None, gone: Sequence[DraftItem]) -> bool:
    """Go on from the record that stands there. Whether the new one says something else."""
    if earlier is None:
        return True
    archived = {*earlier.archived_children, *(one.sk for one in gone if one.parent_id == earlier.sk)}
    draft.archived_children = sorted(archived - set(draft.children))[: schemas.ARCHIVED_AT_MOST]
    draft.revision, draft.created_at = earlier.revision, earlier.created_at

    def told(one: DraftItem) -> tuple[Any, ...]:
        return one.fields, one.parent_id, one.children, one.archived_children, one.archived_at

    if told(draft) == told(earlier):
        draft.updated_at = earlier.updated_at
        return False
    draft.revision += 1
    return True


def _put_course(course: DraftItem, earlier: DraftItem | None) -> None:
    """Write the record of the course after those of its parts."""
    transaction = Transaction()
    if earlier is None:
        transaction.put(course, DraftItem.pk.does_not_exist())
        _enlist(transaction, course, None, "draft")
    else:
        course.state, course.loaded = earlier.state, earlier.loaded
        course.changes, course.published_changes = earlier.changes + 1, earlier.published_changes
        course.revision = earlier.revision + 1
        transaction.put(course, DraftItem.revision == earlier.revision)
    transaction.commit()
