"""Lists of the catalogue: every filter alone and with others, sorting, searching, and what they cost."""

import itertools
import secrets
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.store.catalogue import Author, choice
from tests.store.conftest import System
from tests.store.test_isolation import token_of

FIELDS = {"language": "language", "level": "cefr_level", "type": "type", "skill": "skill"}
TRANSLATION = {
    "content": {"type": "translation", "prompt": "Say it", "text": "two", "from_language": "en",
                "to_language": "de"},
    "key": {"type": "translation", "accept": ["zwei"]},
    "cefr_level": "B1",
    "skill": "writing",
}  # fmt: skip


@pytest.fixture(scope="module")
def token(later_systems: Callable[[], System], school: str) -> str:
    return token_of(later_systems(), "owner")


@pytest.fixture
def author(system: System, token: str) -> Author:
    return Author(system, token)


@pytest.fixture(scope="module")
def mixed(later_systems: Callable[[], System], token: str) -> Iterator[dict[str, str]]:
    """A Spanish course whose items differ in level, type and skill."""
    author = Author(later_systems(), token)
    course = author.course(
        f"mixed-{secrets.token_hex(3)}", language="es", cefr_level="A2", title="Árbol y sol"
    )
    lesson = author.lesson(course)
    training, other = author.training(lesson), author.training(lesson, "t2")
    author.item(training, "a")
    author.item(training, "b", **TRANSLATION)
    author.item(other, "c", **{**TRANSLATION, "skill": "grammar"})
    author.item(other, "d", **{**choice(), "cefr_level": "B1"})
    author.publish(course)
    yield {"course": course, "lesson": lesson, "training": training}
    author.data("POST", f"courses/{course}/archive")


def fits(row: dict[str, Any], filters: dict[str, str]) -> bool:
    return all(row[FIELDS.get(name, f"{name}_id")] == value for name, value in filters.items())


def test_any_filters_together_choose_what_they_say(author: Author, mixed: dict[str, str]) -> None:
    everything = author.rows("trainingItems?per_page=100")
    values = {
        "language": ["es", "de"], "level": ["B1"], "type": ["translation"], "skill": ["grammar", "writing"],
        "course": [mixed["course"]], "lesson": [mixed["lesson"]], "training": [mixed["training"]],
    }  # fmt: skip
    asked = 0
    for count in (1, 2, 3):
        for names in itertools.combinations(values, count):
            for chosen in itertools.product(*(values[name] for name in names)):
                filters = dict(zip(names, chosen, strict=True))
                query = "&".join(f"{name}={value}" for name, value in filters.items())
                answer = author.call("GET", f"trainingItems?per_page=100&{query}")
                wanted = [row for row in everything if fits(row, filters)]
                assert answer.body["data"] == wanted[:100], query
                assert answer.body["meta"]["total"] == len(wanted), query
                asked += 1
    assert asked > 80
    for path, names in (("trainings", ("course", "lesson")), ("lessons", ("course",))):
        rows = author.rows(f"{path}?per_page=100")
        for name in (*names, "language", "level"):
            value = {**mixed, "language": "es", "level": "A2"}[name]
            chosen_rows = author.rows(f"{path}?{name}={value}&per_page=1")
            assert chosen_rows == [row for row in rows if fits(row, {name: value})] != []


def test_what_nobody_counts_has_no_total(author: Author, mixed: dict[str, str]) -> None:
    for query, counted in (
        ("", True), ("type=translation", True), ("skill=grammar", True), ("level=B1", True),
        ("language=es", True),
        ("type=translation&level=B1", False), (f"course={mixed['course']}&type=translation&level=B1", True),
    ):  # fmt: skip
        meta = author.call("GET", f"trainingItems?per_page=1&{query}").body["meta"]
        assert (meta["total"] is not None, meta["last_page"] is not None) == (counted, counted), query


def test_courses_are_sorted_across_owners_and_walked_both_ways(author: Author, mixed: dict[str, str]) -> None:
    own = author.small("german-a1")["course"]  # the platform has one of this name
    author.publish(own)
    courses = {row["id"]: row for row in author.rows("courses?per_page=100")}
    keys_of: dict[str, Callable[[dict[str, Any]], str]] = {
        "slug": lambda row: str(row["slug"]),
        "title": lambda row: str(row["title"]).lower().replace("á", "a"),
        "updated_at": lambda row: str(row["updated_at"]),
    }
    for sort, key in keys_of.items():
        for sign in ("", "-"):
            pages, at = [], f"courses?sort={sign}{sort}&per_page=1"
            while at:
                pages.append(author.follow(at).body)
                at = pages[-1]["links"]["next"]
            rows = [row for page in pages for row in page["data"]]
            assert sorted(row["id"] for row in rows) == sorted(courses)
            keys = [key(row) for row in rows]
            assert keys == sorted(keys, reverse=bool(sign))
            assert author.follow(pages[-1]["links"]["prev"]).body["data"] == pages[-2]["data"]
    author.data("POST", f"courses/{own}/archive")


@pytest.mark.parametrize(
    ("q", "found"),
    [
        ("arbol", True), ("ÁRBOL", True), ("árb", True), ("sol arbol", True), ("arbol luna", False),
        ("rbol", False), ("try thi", True), ("y", None), ("¿?", None),
    ],
)  # fmt: skip
def test_courses_are_found_by_their_words(
    author: Author, mixed: dict[str, str], q: str, found: bool | None
) -> None:
    answer = author.call("GET", f"courses?q={q}".replace(" ", "%20"))
    if found is None:
        assert (answer.status, list(answer.body["errors"])) == (422, ["q"])
        return
    assert (mixed["course"] in [row["id"] for row in answer.body["data"]]) == found
    for query, fitting in (("language=es", True), ("language=de", False), ("level=A2&language=es", True)):
        rows = author.rows(f"courses?{query}&q={q}".replace(" ", "%20"))
        assert (mixed["course"] in [row["id"] for row in rows]) == (found and fitting)


def test_a_search_finds_each_course_once_however_it_is_walked(
    author: Author, monkeypatch: pytest.MonkeyPatch
) -> None:
    from chalicelib.catalogue import models

    wanted = []
    for number in range(5):
        ending = "bravo" if number % 2 else "charlie"
        title = f"Zqeta zqetas zqebra zqen {number} {ending}"
        wanted.append(author.course(f"z-{number}-{secrets.token_hex(3)}", title=title))
        author.publish(wanted[-1])
    for looked_at in (250, 3):
        monkeypatch.setattr(models, "_LOOKED_AT", looked_at)
        for q in ("zq", "zqet", "zqetas", "zqebra zqen"):
            for per_page in (1, 2, 15):
                rows = author.rows(f"courses?q={q}&per_page={per_page}".replace(" ", "%20"))
                assert sorted(row["id"] for row in rows) == sorted(wanted), (q, per_page, looked_at)
        rows = author.rows("courses?q=zqen%20bravo&per_page=1")
        assert sorted(row["id"] for row in rows) == sorted(wanted[1::2])
    author.data("PUT", f"courses/{wanted[0]}", {"title": "Other", "description": "Words"})
    author.publish(wanted[0])
    for course in wanted[1:]:
        author.data("POST", f"courses/{course}/archive")
    assert author.rows("courses?q=zq") == []


def test_changes_are_walked_to_their_end_and_nothing_is_missed(author: Author) -> None:
    author.system.later(3600)
    start = author.call("GET", "lessons?updated_since=2100-01-01T00:00:00Z").body
    assert (start["data"], start["meta"]["total"]) == ([], 0)
    since = start["meta"]["complete_until"]
    author.system.later(61)
    ids = author.small()
    second = author.lesson(ids["course"], "second")
    author.publish(ids["course"])
    author.system.later(61)
    author.data("PUT", f"lessons/{ids['lesson']}", {"title": "Newer"})
    author.data("POST", f"lessons/{second}/archive")
    author.publish(ids["course"])
    page = author.call("GET", f"lessons?updated_since={since}&per_page=1").body
    until, rows = page["meta"]["complete_until"], list(page["data"])
    author.system.later(600)
    while page["links"]["next"]:
        page = author.follow(page["links"]["next"]).body
        rows += page["data"]
        assert page["meta"]["complete_until"] == until
    told = [(row["id"], row.get("title"), row.get("deleted")) for row in rows]
    assert told == sorted(told, key=lambda row: row[0] if row in told[-2:] else "")
    assert {(ids["lesson"], "Newer", None), (second, None, True)} <= set(told)
    assert len(told) == len({one for one, _, _ in told})
    other = author.call("GET", f"lessons?updated_since={since}&language=de")
    assert (other.status, list(other.body["errors"])) == (422, ["updated_since"])


@pytest.mark.parametrize(
    ("path", "calls"),
    [
        ("courses", ["BatchGetItem", "Query", "Query"]),
        ("courses?sort=-title&language=de", ["BatchGetItem", "Query", "Query"]),
        ("courses?q=ger", ["Query", "Query", "BatchGetItem"]),
        ("courses?updated_since=2020-01-01T00:00:00Z", ["Query", "Query", "Query", "Query"]),
        ("courses/{course}", ["GetItem", "BatchGetItem"]),
        ("lessons?course={course}", ["GetItem", "BatchGetItem"]),
        ("lessons/{lesson}", ["GetItem", "GetItem", "BatchGetItem"]),
        ("trainings?lesson={lesson}", ["GetItem", "GetItem", "BatchGetItem"]),
        ("trainings/{training}", ["GetItem", "GetItem", "BatchGetItem"]),
        ("trainingItems?training={training}&skill=vocabulary",
         ["GetItem", "GetItem", "BatchGetItem", "BatchGetItem"]),
        ("trainingItems?type=cloze", ["BatchGetItem", "Query", "Query"]),
        ("trainingItems?type=cloze&level=A1&skill=grammar&language=de", ["Query", "Query"]),
        ("trainingItems/{item}", ["GetItem"]),
        ("courses/drafts", ["BatchGetItem", "Query", "BatchGetItem"]),
        ("courses/{course}/draft", ["GetItem"]),
        ("trainingItems/{item}/draft", ["GetItem", "GetItem"]),
        ("trainings/{training}/draft/items", ["GetItem", "GetItem", "BatchGetItem"]),
        ("courses/{course}/publication", ["GetItem", "GetItem", "GetItem"]),
    ],
)  # fmt: skip
def test_what_a_read_costs(author: Author, mixed: dict[str, str], path: str, calls: list[str]) -> None:
    ids = {**mixed, "item": author.rows(f"trainingItems?training={mixed['training']}")[0]["id"]}
    author.system.calls.clear()
    assert author.call("GET", path.format(**ids)).status == 200
    made = [name for name in author.system.calls.names() if name != "GenerateMac"]
    once = [*calls]  # where the page ends in the institution's own list
    once.remove("Query") if "Query" in calls and "drafts" not in path else None
    assert made in (["UpdateItem", *calls], ["UpdateItem", *once])


def test_a_part_is_written_in_one_transaction(author: Author, mixed: dict[str, str]) -> None:
    ids = author.small()
    for method, path, body, calls in (
        ("POST", "trainings", {"lesson_id": ids["lesson"], "slug": "n", "title": "n"}, 5),
        ("PUT", f"lessons/{ids['lesson']}", {"title": "m"}, 4),
        ("PUT", f"trainingItems/{ids['item_one']}", {"position": 2}, 5),
    ):  # fmt: skip
        author.system.calls.clear()
        assert author.call(method, path, body).status in (200, 201)
        assert author.system.calls.names()[-1] == "TransactWriteItems"
        assert len(author.system.calls.names()) == calls
