"""What a publication writes, what a list reads, and that no key gets among what is shown."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from chalicelib.catalogue import models, routes, schemas, service
from chalicelib.catalogue.publishing import Layout, items_of, lay_out
from chalicelib.core.errors import NotFound
from chalicelib.core.http import ENDPOINTS
from chalicelib.core.ids import is_id
from chalicelib.core.paging import Page
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
def layout(content: schemas.CourseContent) -> Layout:
    return laid_out(content)


def laid_out(content: schemas.CourseContent, owner_id: str = SCHOOL) -> Layout:
    return lay_out(content, owner_id, dict.fromkeys(items_of(content, owner_id), 1), NOON)


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
    before = {item.slug: item.id for _, item in laid_out(content).items}
    after = {item.slug: item.id for _, item in laid_out(backwards).items}
    assert before == after


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


def test_every_child_stands_under_its_parent_and_is_counted_there(layout: Layout) -> None:
    places = {place.pk: place for place in layout.places()}
    parents = {"lsn": "course_id", "trn": "lesson_id", "itm": "training_id"}
    under: Counter[tuple[str, str]] = Counter()
    rows = list(layout.rows())
    for row in rows:
        kind = row.resource["id"][:3]
        place = places[row.resource[parents[kind]]]
        assert row.sk.rpartition("#")[0] == place.path
        counted = row.resource["type"] if row.pk.endswith(row.resource.get("type", "?")) else models.ANY
        under[place.pk, counted] += 1
    assert under == {(pk, of): n for pk, place in places.items() for of, n in place.totals.items()}
    assert len({(row.pk, row.sk) for row in rows}) == len(rows)


def test_totals_are_what_the_lists_hold(layout: Layout) -> None:
    totals = layout.totals()
    assert totals[models.lessons_list(SCHOOL)] == layout.course.lesson_count == len(layout.lessons)
    assert totals[models.items_list(SCHOOL, None)] == layout.course.item_count == len(layout.items)
    for language in ("de", None):
        for level in ("A1", None):
            assert totals[models.courses_list(SCHOOL, language, level)] == 1
    assert sum(totals.values()) == len(list(layout.rows())) + len(layout.course_rows())


def test_a_head_tells_what_an_attempt_must_know(layout: Layout) -> None:
    lessons = {lesson.id: lesson for _, lesson in layout.lessons}
    for head in layout.heads():
        assert is_id(head.pk, "itm")
        assert head.owner_id == SCHOOL
        assert head.lesson_item_count == lessons[head.lesson_id].item_count
        assert (head.course_item_count, head.course_lesson_count) == (len(layout.items), 4)
        assert json.loads(head.item)["key"]["type"] == json.loads(head.item)["content"]["type"]


def test_only_the_platforms_courses_are_public(content: schemas.CourseContent) -> None:
    assert laid_out(content, SCHOOL).course.visibility == "institution"
    assert laid_out(content, PUBLIC_INSTITUTION).course.visibility == "public"


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
    layout = laid_out(course)
    outline = len(json.dumps(layout.outline(), ensure_ascii=False).encode())
    assert max(outline, *map(size_of, layout.rows())) < DYNAMODB_BYTES_AT_MOST / 4


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


def test_no_row_of_a_list_holds_a_key(layout: Layout) -> None:
    shown = [row.resource for row in (*layout.course_rows(), *layout.rows())]
    shown += [*layout.outline(), *(place.totals for place in layout.places())]
    assert not KEY_FIELDS & set(fields_in(shown))
    text = json.dumps(shown, ensure_ascii=False)
    explanations = [item.key.explanation for item in layout.authored.values() if item.key.explanation]
    assert len(explanations) > 30
    assert not [explanation for explanation in explanations if explanation in text]


def returned() -> list[type[BaseModel]]:
    """What the endpoints of the catalogue return."""
    return [
        declared.returns
        for declared in ENDPOINTS
        if declared.view.__module__ == routes.__name__
        and isinstance(declared.returns, type)
        and issubclass(declared.returns, BaseModel)
    ]


def test_no_response_could_hold_a_key() -> None:
    found = returned()
    assert len(found) == 7
    for model in found:
        schema = model.model_json_schema()
        properties = {
            name for part in (schema, *schema["$defs"].values()) for name in part.get("properties", {})
        }
        assert not KEY_FIELDS & properties, model


@pytest.mark.parametrize("folder", course_folders(PRIVATE), ids=lambda folder: folder.name)
def test_the_private_demo_course_is_graded_as_it_says(folder: Any) -> None:
    assert check(folder) == []


# Reading


def test_an_institution_sees_its_own_courses_first_and_the_platforms() -> None:
    assert service.owners_seen_by(SCHOOL) == (SCHOOL, PUBLIC_INSTITUTION)
    assert service.owners_seen_by(PUBLIC_INSTITUTION) == (PUBLIC_INSTITUTION,)


def stored(lists: Sequence[Sequence[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that holds these sort keys, list by list, and answers queries as DynamoDB does."""

    def query(of_list: str, path: str, after: str | None, limit: int, *, backwards: bool) -> list[Any]:
        keys = sorted((key for key in lists[int(of_list)] if key.startswith(path)), reverse=backwards)
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
        read = models.reader([str(at) for at in range(len(lists))], str)
        seen: list[str] = []
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
    assert [row for _, row in models.reader(["0", "1"], str)(None, 2, backwards=False)] == ["0a", "0b"]
    assert asked == ["0"]


def test_an_id_that_is_none_is_not_looked_up() -> None:
    for broken in ("", "itm_", "crs_x", "TOTAL#x", "itm_00000000000000000000000000\n"):
        with pytest.raises(NotFound, match="no such training item"):
            service.exercise(SCHOOL, broken)
        with pytest.raises(NotFound, match="no such course"):
            service.course(SCHOOL, broken)


def test_every_list_is_a_page_of_resources() -> None:
    pages = [model for model in returned() if issubclass(model, Page)]
    assert len(pages) == 5
