"""What a publication writes, what a list reads, and that no key gets among what is shown."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from chalicelib.catalogue import models, routes, schemas, service, tree
from chalicelib.catalogue.items import Item
from chalicelib.catalogue.words import words_of
from chalicelib.core.errors import NotFound
from chalicelib.core.http import ENDPOINTS, Endpoint
from chalicelib.core.ids import is_id
from chalicelib.institutions.service import PUBLIC_INSTITUTION
from infra.demo.courses import COURSES, PRIVATE, course_folders, load_course
from infra.demo.seed import as_content
from infra.demo.validate import check

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
SCHOOL = "ins_00000000000000000000000001"
KEY_FIELDS = {"key", "correct", "gaps", "pairs", "orders", "accept", "distractors", "explanation"}
DYNAMODB_BYTES_AT_MOST = 400 * 1024
OPTION_A, OPTION_B = {"id": "a", "text": "x"}, {"id": "b", "text": "y"}


@pytest.fixture(scope="module")
def content() -> schemas.CourseContent:
    return as_content(load_course(COURSES / "german-a1"))


@pytest.fixture(scope="module")
def grown(content: schemas.CourseContent) -> tree.Tree:
    return grow(content)


def grow(
    content: schemas.CourseContent,
    owner_id: str = SCHOOL,
    before: tree.Tree | None = None,
    now: datetime = NOON,
    versions: dict[str, int] | None = None,
) -> tree.Tree:
    items = tree.items_of(content, owner_id)
    return tree.grow(content, owner_id, {**dict.fromkeys(items, 1), **(versions or {})}, before, "P#1", now)


def shown_in(grown: tree.Tree, content: schemas.CourseContent) -> dict[str, BaseModel]:
    """Everything below the course as the API shows it."""
    items = tree.items_of(content, grown.course.owner_institution_id)
    shown = {item_id: tree.shown(entry) for item_id, entry in items.items()}
    return tree.resources(grown.lessons, shown)


def fields_in(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield str(name)
            yield from fields_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from fields_in(inner)


def size_of(record: Any) -> int:
    return len(json.dumps(record.serialize(), ensure_ascii=False).encode())


# Ids and places


def test_ids_follow_from_owner_and_slugs() -> None:
    names = [("a", "b"), ("b", "b"), ("a", "c")]
    made = [models.course_id(*name) for name in names]
    made += [models.part_id(kind, "a", "b", slug) for kind in ("lsn", "trn", "itm") for slug in ("x", "y")]
    assert len({identifier.partition("_")[2] for identifier in made}) == len(made)
    assert all(is_id(identifier, identifier[:3]) for identifier in made)
    assert models.course_id("a", "b") == made[0]


def test_an_item_keeps_its_id_where_it_moves(content: schemas.CourseContent) -> None:
    backwards = content.model_copy(update={"lessons": content.lessons[::-1]})
    assert set(grow(content).parts()) == set(grow(backwards).parts())


positions = st.lists(st.integers(1, 100), min_size=0, max_size=3)
slugs = st.from_regex(r"[a-z0-9]{1,3}(-[a-z0-9]{1,3}){0,2}", fullmatch=True)


@given(slug=slugs, one=positions, two=positions)
def test_the_order_of_paths_is_that_of_positions(slug: str, one: list[int], two: list[int]) -> None:
    assert (models.path_of(slug, *one) < models.path_of(slug, *two)) == (one < two)


@given(parent=slugs, other=slugs, path=positions)
def test_no_other_course_stands_among_the_children_of_one(parent: str, other: str, path: list[int]) -> None:
    if parent != other:
        assert not models.path_of(other, *path).startswith(f"{parent}#")


# What is written


def test_every_part_stands_in_each_list_of_its_filters_and_is_counted(grown: tree.Tree) -> None:
    rows = tree.rows(grown.course, grown.lessons)
    parts = grown.parts()
    by_kind = Counter(part_id[:3] for part_id, _ in rows.values())
    own = Counter(part_id[:3] for part_id in parts)
    assert by_kind == {"lsn": own["lsn"] * 5, "trn": own["trn"] * 5, "itm": own["itm"] * 17}
    assert {part_id for part_id, _ in rows.values()} == set(parts)
    lists = Counter(pk for pk, _ in (*rows, *tree.course_rows(grown.course)))
    counts = grown.counts()
    assert counts == {name: lists[name] for name in counts}
    uncounted = set(lists) - set(counts)
    assert all(
        "CHANGES" in name or name.endswith(("#title", "#updated")) or filters(name) > 1 for name in uncounted
    )
    assert len(counts) < 60, "a transaction takes 100 actions, and the counters that a course leaves too"


def filters(of_list: str) -> int:
    return sum(value != models.ANY for value in of_list.split("#")[2:])


def test_a_row_is_found_under_the_values_that_it_shows(
    grown: tree.Tree, content: schemas.CourseContent
) -> None:
    resources = shown_in(grown, content)
    for (pk, sk), (part_id, updated_at) in tree.rows(grown.course, grown.lessons).items():
        shown = resources[part_id].model_dump()
        assert shown["updated_at"] == updated_at
        if pk.startswith("CHANGES"):
            assert sk == f"2026-11-25T12:00:00.000Z#{part_id}"
        else:
            values = [shown["language"], shown["cefr_level"], shown.get("type"), shown.get("skill")]
            asked = pk.split("#")[2:]
            assert all(one in (models.ANY, value) for one, value in zip(asked, values, strict=False))
            assert int(sk[-3:]) == shown["position"]


def test_only_what_has_changed_is_written_again(content: schemas.CourseContent, grown: tree.Tree) -> None:
    later = NOON + timedelta(days=1)
    again = grow(content, before=grown, now=later)
    assert again.lessons == grown.lessons
    raw = json.loads(content.model_dump_json())
    raw["lessons"][1]["trainings"][0]["items"][0]["item"]["points"] = 3
    item_id = models.part_id(
        "itm", SCHOOL, content.slug, raw["lessons"][1]["trainings"][0]["items"][0]["slug"]
    )
    changed = grow(schemas.CourseContent.model_validate(raw), before=grown, now=later, versions={item_id: 2})
    before, after = grown.parts(), changed.parts()
    assert [part for part in after if after[part] != before[part]] == [item_id]
    rows, rows_before = (tree.rows(one.course, one.lessons) for one in (changed, grown))
    assert {part[0] for key, part in rows.items() if rows_before.get(key) != part} == {item_id}
    raw["language"] = "es"
    moved = grow(schemas.CourseContent.model_validate(raw), before=changed, now=later + timedelta(days=1))
    assert all(moved.parts()[part] != after[part] for part in after)


def test_where_a_part_moves_it_and_those_around_it_change(
    content: schemas.CourseContent, grown: tree.Tree
) -> None:
    backwards = content.model_copy(update={"lessons": content.lessons[::-1]})
    moved = grow(backwards, before=grown, now=NOON + timedelta(days=1))
    before, after = grown.parts(), moved.parts()
    assert {part[:3] for part in after if after[part] != before[part]} == {"lsn"}


def test_a_digest_tells_content_and_key_and_not_what_defaults_came_in() -> None:
    raw = {
        "content": {"type": "multiple_choice", "prompt": "x", "options": [OPTION_A, OPTION_B]},
        "key": {"type": "multiple_choice", "correct": "a"},
        "cefr_level": "A1",
        "skill": "writing",
    }
    item = Item.model_validate(raw)
    assert tree.digest_of(item) == tree.digest_of(Item.model_validate({**raw, "points": 10}))
    other = Item.model_validate({**raw, "key": {"type": "multiple_choice", "correct": "b"}})
    assert tree.digest_of(item) != tree.digest_of(other)


def test_the_words_of_a_course_say_which_repeat_a_beginning(grown: tree.Tree) -> None:
    course = grown.course.model_copy(update={"title": "Über Uber ubers", "description": "Éa ZOO ¡zoos!"})
    rows = {sk: row["shared"] for (_, sk), row in tree.word_rows(course).items()}
    slug = course.slug
    assert rows == {
        f"ea#{slug}": 0,
        f"uber#{slug}": 0,
        f"ubers#{slug}": 4,
        f"zoo#{slug}": 0,
        f"zoos#{slug}": 3,
    }


@given(st.text(max_size=60))
def test_words_are_folded_once_and_for_all(text: str) -> None:
    words = words_of(text)
    assert words_of(" ".join(words)) == words
    assert all("#" not in word and word.casefold() == word for word in words)


def test_only_the_platforms_courses_are_public(content: schemas.CourseContent) -> None:
    assert grow(content, SCHOOL).course.visibility == "institution"
    assert grow(content, PUBLIC_INSTITUTION).course.visibility == "public"


def test_the_largest_course_fits_the_store() -> None:
    title, text = "ß" * 120, "ß" * 2000
    item = {
        "content": {"type": "multiple_choice", "prompt": "x", "options": [OPTION_A, OPTION_B]},
        "key": {"type": "multiple_choice", "correct": "a"},
        "cefr_level": "A1",
        "skill": "writing",
    }
    lessons = [
        {
            "slug": f"l-{lesson}",
            "title": title,
            "intro": text,
            "can_do": text,
            "trainings": [
                {
                    "slug": f"t-{lesson}-{training}",
                    "title": title,
                    "items": [{"slug": f"i-{lesson}-{training}", "item": item}],
                }
                for training in range(schemas.TRAININGS_AT_MOST)
            ],
        }
        for lesson in range(schemas.LESSONS_AT_MOST)
    ]
    course = schemas.CourseContent.model_validate(
        {
            "slug": "x" * 60,
            "title": title,
            "description": text,
            "language": "de",
            "taught_in": "en",
            "cefr_level": "A1",
            "lessons": lessons,
        }
    )
    grown = grow(course)
    outline = len(json.dumps(grown.outline(), ensure_ascii=False).encode())
    assert max(map(size_of, (lesson.item() for lesson in grown.lessons))) < DYNAMODB_BYTES_AT_MOST / 4
    assert 2 * outline < DYNAMODB_BYTES_AT_MOST, "a publication notes both what stood there and what is to"


def test_an_item_that_would_not_fit_is_refused() -> None:
    answers = [f"{n:02}" + "€" * 198 for n in range(40)]
    item = {
        "content": {"type": "cloze", "prompt": "x", "text": "___ " * 12},
        "key": {"type": "cloze", "gaps": [{"accept": answers, "distractors": answers}] * 12},
        "cefr_level": "A1",
        "skill": "grammar",
    }
    with pytest.raises(ValidationError, match="65536 bytes"):
        schemas.ItemContent.model_validate({"slug": "huge", "item": item})


@pytest.mark.parametrize("kind", ["lesson", "training", "item"])
def test_a_slug_stands_once_in_its_course(content: schemas.CourseContent, kind: str) -> None:
    raw = json.loads(content.model_dump_json())
    first, second = raw["lessons"][:2]
    for level in {"lesson": [], "training": ["trainings"], "item": ["trainings", "items"]}[kind]:
        first, second = first[level][0], second[level][0]
    second["slug"] = first["slug"]
    with pytest.raises(ValidationError, match=f"the {kind} slug {first['slug']} stands there twice"):
        schemas.CourseContent.model_validate(raw)


# No key is shown


def test_no_record_that_lists_show_holds_a_key(grown: tree.Tree, content: schemas.CourseContent) -> None:
    shown = [one.model_dump() for one in shown_in(grown, content).values()]
    shown += [grown.course.model_dump(), *grown.outline(), *tree.word_rows(grown.course).values()]
    assert not KEY_FIELDS & set(fields_in(shown))
    text = json.dumps([shown, [lesson.item().serialize() for lesson in grown.lessons]], ensure_ascii=False)
    items = [entry.item for entry in tree.items_of(content, SCHOOL).values()]
    explanations = [item.key.explanation for item in items if item.key.explanation]
    assert len(explanations) > 30
    assert not [explanation for explanation in explanations if explanation in text]


def returned() -> list[Endpoint]:
    """The endpoints of the catalogue."""
    return [declared for declared in ENDPOINTS if declared.view.__module__ == routes.__name__]


def test_no_response_but_an_authors_could_hold_a_key() -> None:
    holding = set()
    for declared in returned():
        assert isinstance(declared.returns, type)
        assert issubclass(declared.returns, BaseModel)
        schema = declared.returns.model_json_schema()
        parts = (schema, *schema.get("$defs", {}).values())
        properties = {name for part in parts for name in part.get("properties", {})}
        if KEY_FIELDS & properties:
            holding.add(declared.abilities)
    assert holding == {("catalogue:write",)}


@pytest.mark.parametrize("folder", course_folders(PRIVATE), ids=lambda folder: folder.name)
def test_the_private_demo_course_is_graded_as_it_says(folder: Any) -> None:
    assert check(folder) == []


# Reading


def test_an_institution_sees_its_own_courses_first_and_the_platforms() -> None:
    assert service.owners_seen_by(SCHOOL) == (SCHOOL, PUBLIC_INSTITUTION)
    assert service.owners_seen_by(PUBLIC_INSTITUTION) == (PUBLIC_INSTITUTION,)


def stored(lists: Sequence[Sequence[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that holds these sort keys, list by list, and answers queries as DynamoDB does."""

    def query(of_list: str, since: str, after: str | None, limit: int, *, backwards: bool) -> list[Any]:
        keys = sorted((key for key in lists[int(of_list)] if key >= since), reverse=backwards)
        if after is not None:
            keys = [key for key in keys if (key < after if backwards else key > after)]
        return [SimpleNamespace(sk=key, resource=f"{of_list}{key}") for key in keys[:limit]]

    monkeypatch.setattr(models, "_rows", query)


@given(
    lists=st.lists(st.sets(st.sampled_from("abcdefgh")), min_size=1, max_size=2),
    limit=st.integers(1, 4),
    backwards=st.booleans(),
)
def test_lists_are_read_as_if_they_were_one(lists: list[set[str]], limit: int, backwards: bool) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        stored([sorted(keys) for keys in lists], monkeypatch)
        read = models.reader([str(at) for at in range(len(lists))])
        seen: list[Any] = []
        start: str | None = None
        while rows := read(start, limit, backwards=backwards):
            assert len(rows) <= limit
            seen += [row for _, row in rows]
            start = rows[-1][0]
        whole = [f"{at}{key}" for at, keys in enumerate(lists) for key in sorted(keys)]
        assert seen == (whole[::-1] if backwards else whole)


def test_a_page_that_ends_with_its_list_asks_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    stored([["a", "b"], ["c"]], monkeypatch)
    asked: list[str] = []
    query = models._rows

    def asking(of_list: str, *given: Any, **more: Any) -> Any:
        asked.append(of_list)
        return query(of_list, *given, **more)

    monkeypatch.setattr(models, "_rows", asking)
    assert [row for _, row in models.reader(["0", "1"])(None, 2, backwards=False)] == ["0a", "0b"]
    assert asked == ["0"]


def test_an_id_that_is_none_is_not_looked_up() -> None:
    for broken in ("", "itm_", "crs_x", "TOTAL#x", "itm_00000000000000000000000000\n"):
        with pytest.raises(NotFound, match="no such training item"):
            service.exercise(SCHOOL, broken)
        with pytest.raises(NotFound, match="no such course"):
            service.course(SCHOOL, broken)


@given(
    lists=st.lists(st.sets(st.sampled_from("abcdef")), min_size=1, max_size=3),
    limit=st.integers(1, 4),
    descending=st.booleans(),
)
def test_merged_lists_are_walked_both_ways_also_where_keys_are_equal(
    lists: list[set[str]], limit: int, descending: bool
) -> None:
    def query(of: str, between: Any, limit: int, scan_index_forward: bool) -> Iterator[Any]:
        low, high = (value.value["S"] for value in between.values[1:])
        keys = sorted((key for key in lists[int(of)] if low <= key <= high), reverse=not scan_index_forward)
        return iter([SimpleNamespace(sk=key, resource=f"{key}{of}") for key in keys[:limit]])

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(models.RowItem, "query", query)
        read = models.merged([str(at) for at in range(len(lists))], descending=descending)
        whole = sorted((f"{key}{at}" for at, keys in enumerate(lists) for key in keys), reverse=descending)
        for backwards in (False, True):
            seen: list[Any] = []
            start: str | None = None
            while rows := read(start, limit, backwards=backwards):
                seen += [row for _, row in rows]
                start = rows[-1][0]
            assert seen == (whole[::-1] if backwards else whole)
