"""Writing courses: drafts, two authors at once, processes that die, and the stroke of a publication."""

import secrets
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from chalicelib.core.clock import instant
from tests.store.catalogue import Author, choice
from tests.store.conftest import Answer, Died, System
from tests.store.test_isolation import token_of

WRITES = {"PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems", "BatchWriteItem"}
LISTS = ("courses", "lessons", "trainings", "trainingItems")


@pytest.fixture(scope="module")
def tokens(later_systems: Callable[[], System], school: str) -> dict[str, str]:
    system = later_systems()
    return {who: token_of(system, who) for who in ("owner", "learner", "stranger")}


@pytest.fixture
def author(system: System, tokens: dict[str, str]) -> Author:
    return Author(system, tokens["owner"])


@pytest.fixture
def learner(system: System, tokens: dict[str, str]) -> Author:
    return Author(system, tokens["learner"])


@pytest.fixture
def stranger(system: System, tokens: dict[str, str]) -> Author:
    return Author(system, tokens["stranger"])


def meanwhile(system: System, number: int, act: Callable[[], Any]) -> list[Any]:
    """Once the app makes its call of this number, from 1, somebody else acts before it. What came of it."""
    seen, came = 0, []

    def now(_name: str, _parameters: Any) -> bool:
        nonlocal seen
        seen += 1
        if seen == number:
            came.append(act())
        return False

    system.calls.dies_before = now
    return came


def seen(author: Author, course: str) -> Any:
    """Everything that learners may read below a course, without what says when."""
    paths = (f"courses/{course}", *(f"{name}?course={course}&per_page=100" for name in LISTS[1:]))
    answers = [author.call("GET", path) for path in paths]
    return [(answer.status, answer.body.get("data")) for answer in answers]


def check_lists(author: Author) -> None:
    """Lists across the institution's courses say what these say, once each, and as many as they say."""
    from chalicelib.catalogue import service

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(service, "owners_seen_by", lambda institution_id: (institution_id,))
        courses = author.rows("courses?per_page=100")
        for name in LISTS:
            rows = author.rows(f"{name}?per_page=100")
            assert author.call("GET", f"{name}?per_page=1").body["meta"]["total"] == len(rows)
            if name == "courses":
                for sort in ("title", "-updated_at"):
                    ordered = author.rows(f"courses?sort={sort}&per_page=100")
                    assert sorted(row["id"] for row in ordered) == sorted(row["id"] for row in rows)
            else:
                paths = [f"{name}?course={one['id']}&per_page=100" for one in courses]
                assert rows == [row for path in paths for row in author.rows(path)]
            changes = author.rows(f"{name}?updated_since=2020-01-01T00:00:00Z&per_page=100")
            living = {row["id"]: row for row in changes if "deleted" not in row}
            assert living == {row["id"]: row for row in rows}


@pytest.fixture(autouse=True)
def tidy(author: Author) -> Iterator[None]:
    """Archive what a test has published, so that lists stay short."""
    yield
    author.system.calls.clear()
    author.system.later(120)
    for course in author.rows("courses/drafts?state=published&per_page=100"):
        if course["slug"] != "front-desk":
            author.data("POST", f"courses/{course['id']}/archive")


# Drafts


def test_a_draft_is_its_authors_alone(author: Author, learner: Author, stranger: Author) -> None:
    ids = author.small()
    for reader in (author, learner, stranger):
        assert {status for status, _ in seen(reader, ids["course"])} <= {404, 200}
        assert all(not data for _, data in seen(reader, ids["course"]))
        for kind, path in (("lesson", "lessons"), ("training", "trainings"), ("item_one", "trainingItems")):
            assert reader.call("GET", f"{path}/{ids[kind]}").status == 404
            assert ids[kind] not in [row["id"] for row in reader.rows(f"{path}?per_page=100")]
        answer = {"answer": "a", "duration_ms": 1}
        assert reader.call("POST", f"trainingItems/{ids['item_one']}/attempts", answer).status == 404
    for path in (
        f"courses/{ids['course']}/draft",
        "courses/drafts",
        f"trainingItems/{ids['item_one']}/draft",
    ):
        assert (learner.call("GET", path).status, stranger.call("GET", path).status) in (
            (403, 404),
            (403, 200),
        )
    assert ids["course"] not in [row["id"] for row in stranger.rows("courses/drafts")]


def test_what_is_published_is_seen_graded_and_told(author: Author, learner: Author) -> None:
    ids = author.small()
    published = author.publish(ids["course"])
    assert (published["state"], published["edition"], published["has_unpublished_changes"]) == (
        "published", 1, False,
    )  # fmt: skip
    course = learner.data("GET", f"courses/{ids['course']}")
    assert (course["visibility"], course["item_count"], course["lessons"][0]["id"]) == (
        "institution", 2, ids["lesson"],
    )  # fmt: skip
    item = learner.data("GET", f"trainingItems/{ids['item_one']}")
    assert item == learner.rows(f"trainingItems?training={ids['training']}")[0]
    assert "key" not in item
    graded = learner.data(
        "POST", f"trainingItems/{ids['item_one']}/attempts", {"answer": "a", "duration_ms": 9}, 201
    )
    assert graded["attempt"]["result"] == "correct"
    draft = author.data("GET", f"trainingItems/{ids['item_one']}/draft")
    assert draft["key"] == {"type": "multiple_choice", "correct": "a", "explanation": None}
    check_lists(author)


def test_a_change_is_seen_once_it_is_published_and_versions_stay(author: Author, learner: Author) -> None:
    ids = author.small()
    author.publish(ids["course"])
    before = seen(learner, ids["course"])
    author.system.later(5)
    author.data("PUT", f"trainingItems/{ids['item_one']}", {**choice(correct="b"), "points": 7})
    author.data("PUT", f"lessons/{ids['lesson']}", {"title": "New"})
    assert seen(learner, ids["course"]) == before
    assert author.data("GET", f"courses/{ids['course']}/publication")["has_unpublished_changes"]
    author.publish(ids["course"])
    items = {row["slug"]: row for row in learner.rows(f"trainingItems?course={ids['course']}")}
    assert {slug: (row["version"], row["points"]) for slug, row in items.items()} == {
        "one": (2, 7), "two": (1, 10),
    }  # fmt: skip
    assert items["one"]["updated_at"] > items["two"]["updated_at"]
    stored = author.system.cloud.client("dynamodb").get_item(
        TableName="talktiko-local-catalogue", Key={"pk": {"S": ids["item_one"]}, "sk": {"S": "V#000001"}}
    )["Item"]
    assert '"correct":"a"' in stored["item"]["S"]
    again = author.publish(ids["course"])
    assert again["edition"] == 2
    check_lists(author)


def test_parts_are_ordered_moved_archived_and_restored(author: Author) -> None:
    ids = author.small()
    second = author.lesson(ids["course"], "l2", position=1)
    third = author.training(second, "t2")
    new = author.item(ids["training"], "three", position=2)
    assert author.data("GET", f"courses/{ids['course']}/draft")["lesson_ids"] == [second, ids["lesson"]]
    items = [ids["item_one"], new, ids["item_two"]]
    assert [row["id"] for row in author.rows(f"trainings/{ids['training']}/draft/items")] == items
    author.data("PUT", f"trainingItems/{new}", {"position": 3})
    author.data("PUT", f"trainingItems/{ids['item_one']}", {"training_id": third})
    assert author.data("GET", f"trainings/{third}/draft")["item_ids"] == [ids["item_one"]]
    archived = author.data("POST", f"trainingItems/{ids['item_two']}/archive")
    assert archived["archived_at"]
    training = author.data("GET", f"trainings/{ids['training']}/draft")
    assert (training["item_ids"], training["archived_item_ids"]) == ([new], [ids["item_two"]])
    author.publish(ids["course"])
    shown = [(row["id"], row["training_id"]) for row in author.rows(f"trainingItems?course={ids['course']}")]
    assert shown == [(ids["item_one"], third), (new, ids["training"])]
    refused = author.call("PUT", f"trainingItems/{ids['item_two']}", {"position": 1})
    assert refused.status == 409
    assert author.data("POST", f"trainingItems/{ids['item_two']}/restore")["archived_at"] is None
    author.data("PUT", f"lessons/{ids['lesson']}", {"position": 1})
    author.publish(ids["course"])
    assert [row["id"] for row in author.rows(f"lessons?course={ids['course']}")] == [ids["lesson"], second]
    versions = {row["slug"]: row["version"] for row in author.rows(f"trainingItems?course={ids['course']}")}
    assert versions == {"three": 1, "two": 1, "one": 1}
    other = author.small()
    refused = author.call("PUT", f"trainingItems/{new}", {"training_id": other["training"]})
    assert (refused.status, list(refused.body["errors"])) == (422, ["training_id"])
    check_lists(author)


def test_a_withdrawn_item_counts_its_versions_on(author: Author, learner: Author) -> None:
    ids = author.small()
    author.publish(ids["course"])
    author.data("POST", f"trainingItems/{ids['item_one']}/archive")
    author.publish(ids["course"])
    attempt = {"answer": "a", "duration_ms": 1}
    path = f"trainingItems/{ids['item_one']}"
    assert (learner.call("GET", path).status, learner.call("POST", f"{path}/attempts", attempt).status) == (
        404, 404,
    )  # fmt: skip
    author.data("POST", f"{path}/restore")
    author.data("PUT", path, choice("Other words"))
    author.publish(ids["course"])
    assert learner.data("GET", path)["version"] == 2
    check_lists(author)


@pytest.mark.parametrize(
    ("method", "path", "body", "fields"),
    [
        ("POST", "courses", {"slug": "A B", "title": "", "language": "German"},
         {"slug", "title", "description", "language", "taught_in", "cefr_level"}),
        ("POST", "trainingItems", {**choice(), "slug": "x", "training_id": "{training}",
                                   "key": {"type": "multiple_choice", "correct": "z"}}, {"key.correct"}),
        ("POST", "trainingItems", {**choice(), "slug": "x", "training_id": "{training}",
                                   "key": {"type": "cloze", "gaps": []}}, {"key.gaps"}),
        ("PUT", "trainingItems/{item_one}", {"key": {"type": "multiple_choice", "correct": "z"}},
         {"key.correct"}),
        ("PUT", "trainingItems/{item_one}",
         {"content": {"type": "multiple_choice", "prompt": "x",
                      "options": [{"id": "a", "text": "x"}, {"id": "a", "text": "y"}]}}, {"content.options"}),
        ("PUT", "trainingItems/{item_one}", {"content": {"type": "multiple_choice", "prompt": "x",
                      "options": [{"id": "a", "text": ""}, {"id": "b", "text": "y"}]}},
         {"content.options.0.text"}),
        ("PUT", "trainingItems/{item_one}", {"content": {"type": "riddle"}}, {"content"}),
        ("PUT", "lessons/{lesson}", {"title": None}, {"title"}),
        ("PUT", "lessons/{lesson}", {"slug": "other", "position": 0}, {"slug", "position"}),
        ("PUT", "courses/{course}", {"lesson_ids": []}, {"lesson_ids"}),
        ("POST", "lessons", {"course_id": "{course}", "slug": "l", "title": "x", "intro": "x", "can_do": "x"},
         {"slug"}),
    ],
)  # fmt: skip
def test_a_fault_is_told_by_its_field(
    author: Author, method: str, path: str, body: dict[str, Any], fields: set[str]
) -> None:
    ids = author.small()
    filled = {name: value.format(**ids) if isinstance(value, str) else value for name, value in body.items()}
    before = author.system.calls.names().count("TransactWriteItems")
    refused = author.call(method, path.format(**ids), filled)
    assert (refused.status, set(refused.body["errors"])) == (422, fields), refused.body
    assert "Value error" not in str(refused.body)
    if path != "lessons":  # whose slug is found taken by the write itself
        assert author.system.calls.names().count("TransactWriteItems") == before


def test_a_training_without_items_keeps_its_course_from_learners(author: Author) -> None:
    course = author.course()
    author.publish(course)  # a course that only says what is to come
    lesson = author.lesson(course)
    author.training(lesson, "empty")
    refused = author.call("POST", f"courses/{course}/publish")
    assert (refused.status, list(refused.body["errors"])) == (422, ["lessons.0.trainings.0.items"])
    assert author.data("GET", f"courses/{course}")["lessons"] == []


def test_there_is_an_end_to_what_a_parent_takes(author: Author, monkeypatch: pytest.MonkeyPatch) -> None:
    from chalicelib.catalogue import schemas

    ids = author.small()
    for number in range(29):
        author.training(ids["lesson"], f"t-{number}")
    body = {"lesson_id": ids["lesson"], "slug": "more", "title": "x"}
    assert author.call("POST", "trainings", body).status == 409
    archived = author.data("POST", f"trainings/{ids['training']}/archive")
    assert archived["archived_at"]
    author.training(ids["lesson"], "more")
    assert author.call("POST", f"trainings/{ids['training']}/restore").status == 409
    monkeypatch.setattr(schemas, "COURSE_PARTS_AT_MOST", 35)
    author.item(ids["training"], "last")
    refused = author.call("POST", "trainingItems", {"training_id": ids["training"], "slug": "x", **choice()})
    assert (refused.status, "35 parts" in refused.body["detail"]) == (409, True)
    monkeypatch.setattr(schemas, "COURSE_BYTES_AT_MOST", 1000)
    refused = author.call("PUT", f"courses/{ids['course']}", {"description": "x" * 100})
    assert (refused.status, "bytes" in refused.body["detail"]) == (409, True)
    author.data("PUT", f"courses/{ids['course']}", {"description": "x"})


# Whose it is


def test_public_courses_are_changed_by_the_platform_alone(author: Author) -> None:
    course = author.rows("courses?language=de")[-1]
    assert course["visibility"] == "public"
    lesson = author.rows(f"lessons?course={course['id']}")[0]["id"]
    training = author.rows(f"trainings?lesson={lesson}")[0]["id"]
    item = author.rows(f"trainingItems?training={training}")[0]["id"]
    for method, path, body in (
        ("PUT", f"courses/{course['id']}", {"title": "x"}),
        ("GET", f"courses/{course['id']}/draft", None),
        ("POST", f"courses/{course['id']}/publish", None),
        ("POST", f"courses/{course['id']}/archive", None),
        ("PUT", f"lessons/{lesson}", {"title": "x"}),
        ("POST", f"trainings/{training}/archive", None),
        ("GET", f"trainingItems/{item}/draft", None),
        ("POST", "trainings", {"lesson_id": lesson, "slug": "x", "title": "x"}),
    ):
        refused = author.call(method, path, body)
        assert (refused.status, "ability" in refused.body) == (403, False), (method, path)


# Two authors at once


def test_a_stale_etag_changes_nothing(author: Author) -> None:
    ids = author.small()
    read = author.call("GET", f"lessons/{ids['lesson']}/draft")
    tag = read.headers["etag"]
    changed = author.call("PUT", f"lessons/{ids['lesson']}", {"title": "First"}, if_match=tag)
    assert (changed.status, changed.headers["etag"] != tag) == (200, True)
    for method, path, body in (
        ("PUT", f"lessons/{ids['lesson']}", {"title": "Second"}),
        ("POST", f"lessons/{ids['lesson']}/archive", None),
    ):
        refused = author.call(method, path, body, if_match=tag)
        assert refused.status == 412
    assert author.data("GET", f"lessons/{ids['lesson']}/draft")["title"] == "First"
    both = f"{tag}, {changed.headers['etag']}"
    assert author.call("PUT", f"lessons/{ids['lesson']}", {"title": "Third"}, if_match=both).status == 200
    assert author.call("PUT", f"lessons/{ids['lesson']}", {"title": "4"}, if_match="*").status == 200


def test_two_authors_at_once_lose_nothing(author: Author) -> None:
    ids = author.small()
    system = author.system
    for number in range(1, 12):
        slug = f"s-{number}"
        came = meanwhile(system, number, lambda slug=slug: author.item(ids["training"], f"{slug}-b"))  # type: ignore[misc]
        author.item(ids["training"], f"{slug}-a")
        system.calls.dies_before = None
        listed = author.data("GET", f"trainings/{ids['training']}/draft")["item_ids"]
        drafts = author.rows(f"trainings/{ids['training']}/draft/items?per_page=100")
        assert len(set(listed)) == len(listed)
        slugs = [row["slug"] for row in drafts]
        assert f"{slug}-a" in slugs
        if not came:
            break
        assert f"{slug}-b" in slugs
        path = f"trainingItems/{listed[-1]}"
        meanwhile(system, number, lambda path=path: author.data("PUT", path, {"points": 3}))  # type: ignore[misc]
        author.data("PUT", path, {"skill": "reading"})
        system.calls.dies_before = None
        both = author.data("GET", f"{path}/draft")
        assert both["skill"] == "reading"
        assert both["points"] == 3 or number > 4, "what came in between is kept"
    assert number > 5


def test_of_two_with_one_etag_one_is_told(author: Author) -> None:
    ids = author.small()
    path = f"trainingItems/{ids['item_one']}"
    tag = author.call("GET", f"{path}/draft").headers["etag"]
    came = meanwhile(author.system, 4, lambda: author.call("PUT", path, {"points": 2}, if_match=tag))
    mine = author.call("PUT", path, {"points": 3}, if_match=tag)
    assert sorted([mine.status, came[0].status]) == [200, 412]
    assert author.data("GET", f"{path}/draft")["points"] == 2


def test_whoever_publishes_at_once_with_another_is_told_or_done(author: Author) -> None:
    ids = author.small()
    author.publish(ids["course"])
    path = f"courses/{ids['course']}/publish"
    for number in range(2, 60):
        author.data("PUT", f"trainingItems/{ids['item_one']}", choice(f"Number {number}"))
        came: list[Answer] = meanwhile(author.system, number, lambda: author.call("POST", path))
        mine = author.call("POST", path)
        author.system.calls.dies_before = None
        statuses = {mine.status, *(one.status for one in came)}
        assert 200 in statuses <= {200, 409}
        rows = author.rows(f"trainingItems?course={ids['course']}")
        assert [(row["content"]["prompt"], row["version"]) for row in rows] == [
            (f"Number {number}", number), ("Which one is a greeting?", 1),
        ]  # fmt: skip
        if not came:
            break
    assert 15 < number < 59
    check_lists(author)


# At one stroke


def test_a_course_changes_at_one_stroke_at_whichever_call_it_is_read(author: Author, learner: Author) -> None:
    ids = author.small()
    other = author.training(author.lesson(ids["course"], "l2"), "t2")
    author.item(other, "three")
    author.publish(ids["course"])
    before = seen(learner, ids["course"])
    author.system.later(1)
    author.data("PUT", f"courses/{ids['course']}", {"title": "Anew", "language": "es"})
    author.data("PUT", f"trainingItems/{ids['item_one']}", {"training_id": other, "position": 1})
    author.data("PUT", f"trainingItems/{ids['item_two']}", choice("Anew"))
    author.data("PUT", f"lessons/{ids['lesson']}", {"position": 2, "title": "Anew"})
    author.item(other, "four")
    shown: list[Any] = []
    looking = False

    def look(_name: str, _parameters: Any) -> bool:
        nonlocal looking
        if not looking:
            looking = True
            shown.append(seen(learner, ids["course"]))
            looking = False
        return False

    author.system.calls.dies_before = look
    author.publish(ids["course"])
    author.system.calls.dies_before = None
    after = seen(learner, ids["course"])
    assert before != after
    assert len(shown) > 15
    changes = [one != other for one, other in zip([before, *shown], [*shown, after], strict=True)]
    assert all(one in (before, after) for one in shown)
    assert changes.count(True) == 1
    check_lists(author)


def test_an_archived_course_is_gone_and_what_was_learned_stays(author: Author, learner: Author) -> None:
    ids = author.small()
    author.publish(ids["course"])
    attempt = {"answer": "a", "duration_ms": 1}
    learner.data("POST", f"trainingItems/{ids['item_one']}/attempts", attempt, 201)
    progress = learner.data("GET", f"courses/{ids['course']}/lesson-progress")
    author.system.later(1)
    archived = author.data("POST", f"courses/{ids['course']}/archive")
    assert (archived["state"], archived["archived_at"] is None) == ("archived", False)
    assert author.data("POST", f"courses/{ids['course']}/archive") == archived
    assert all(not data for _, data in seen(learner, ids["course"]))
    assert learner.call("GET", f"courses/{ids['course']}").status == 404
    for path in (
        f"lessons/{ids['lesson']}",
        f"trainings/{ids['training']}",
        f"trainingItems/{ids['item_one']}",
    ):
        assert learner.call("GET", path).status == 404
    assert learner.call("POST", f"trainingItems/{ids['item_one']}/attempts", attempt).status == 404
    assert learner.data("GET", f"courses/{ids['course']}/lesson-progress") == progress
    for name, gone in zip(LISTS, ("course", "lesson", "training", "item_one"), strict=True):
        changes = learner.rows(f"{name}?updated_since=2020-01-01T00:00:00Z&per_page=100")
        told = [row for row in changes if row["id"] == ids[gone]]
        assert [(row["deleted"], row["deleted_at"]) for row in told] == [(True, archived["archived_at"])]
    assert ids["course"] in [row["id"] for row in author.rows("courses/drafts?state=archived")]
    check_lists(author)
    author.system.later(1)
    author.publish(ids["course"])
    assert learner.data("GET", f"courses/{ids['course']}")["item_count"] == 2
    assert ids["course"] not in [row["id"] for row in author.rows("courses/drafts?state=archived")]
    check_lists(author)


def test_a_draft_can_be_archived_too(author: Author) -> None:
    course = author.course()
    assert author.data("POST", f"courses/{course}/archive")["state"] == "archived"
    assert author.publish(course)["state"] == "published"


# Dying


def writes(author: Author, ids: dict[str, str], name: str) -> Iterator[tuple[str, str, Any]]:
    """Every kind of write, by a slug of its own."""
    yield "POST", "courses", {"slug": f"c-{name}", "title": "x", "description": "x", "language": "de",
                              "taught_in": "en", "cefr_level": "B1"}  # fmt: skip
    yield "POST", "lessons", {"course_id": ids["course"], "slug": name, "title": "x", "intro": "x",
                              "can_do": "x", "position": 1}  # fmt: skip
    yield "POST", "trainings", {"lesson_id": ids["lesson"], "slug": name, "title": "x"}
    yield "POST", "trainingItems", {"training_id": ids["training"], "slug": name, **choice()}
    yield "PUT", f"courses/{ids['course']}", {"title": f"Title {name}"}
    yield "PUT", f"trainingItems/{ids['item_one']}", {"training_id": ids["other"], "points": 4}
    yield "POST", f"trainings/{ids['other']}/archive", None
    yield "POST", f"trainings/{ids['other']}/restore", None


def drafts(author: Author, ids: dict[str, str]) -> Any:
    """All that authors see of a course, without times."""
    course = author.data("GET", f"courses/{ids['course']}/draft")
    lessons = author.rows(f"courses/{ids['course']}/draft/lessons?per_page=100")
    trainings = [row for one in lessons for row in author.rows(f"lessons/{one['id']}/draft/trainings")]
    items = [row for one in trainings for row in author.rows(f"trainings/{one['id']}/draft/items")]
    found = [course, *lessons, *trainings, *items, *author.rows("courses/drafts?per_page=100")]
    return [{name: value for name, value in row.items() if not name.endswith("_at")} for row in found]


@pytest.mark.parametrize("kind", range(8))
def test_a_write_that_dies_is_done_or_not(author: Author, kind: int) -> None:
    ids = author.small()
    ids["other"] = author.training(ids["lesson"], "other")
    system = author.system
    if kind == 7:
        author.data("POST", f"trainings/{ids['other']}/archive")
    method, path, body = list(writes(author, ids, secrets.token_hex(4)))[kind]
    before = drafts(author, ids)
    died_at = 0
    for number in range(1, 20):
        try:
            dying(system, number, lambda: author.call(method, path, body, idempotency_key="once"))
        except Died:
            died_at = number
            assert drafts(author, ids) == before
            continue
        break
    assert died_at >= 2
    after = drafts(author, ids)
    assert after != before
    assert author.call(method, path, body, idempotency_key="once").status in (200, 201)
    assert drafts(author, ids) == after


def dying(system: System, number: int, act: Callable[[], Any]) -> Any:
    seen = 0

    def now(_name: str, _parameters: Any) -> bool:
        nonlocal seen
        seen += 1
        return seen == number

    system.calls.dies_before = now
    try:
        return act()
    finally:
        system.calls.dies_before = None


@pytest.mark.parametrize("ending", ["again", "swept"])
def test_a_publication_that_dies_is_completed(author: Author, learner: Author, ending: str) -> None:
    from chalicelib.catalogue.worker import sweep_publications

    system = author.system
    ids = author.small()
    for number in range(1, 60):
        word = f"try {number}"
        system.later(1)
        old = seen(learner, ids["course"])
        gone = ids["item_two"]
        author.data("PUT", f"trainingItems/{ids['item_one']}", choice(word))
        author.data("POST", f"trainingItems/{gone}/{'archive' if number % 2 else 'restore'}")
        author.data("PUT", f"lessons/{ids['lesson']}", {"title": word})
        path = f"courses/{ids['course']}/publish"
        died = False
        try:
            dying(system, number, lambda path=path: author.call("POST", path))  # type: ignore[misc]
        except Died:
            died = True
        now = seen(learner, ids["course"])
        whole = [row["title"] for row in now[1][1]] == [word] and now[3][1][0]["content"]["prompt"] == word
        assert now == old or whole
        if ending == "swept":
            system.later(60)
            system.tick(sweep_publications)
        else:
            assert author.call("POST", path).status in (200, 409)
            system.later(60)
            author.publish(ids["course"])
            assert seen(learner, ids["course"])[1][1][0]["title"] == word
        assert not author.data("GET", f"courses/{ids['course']}/publication")["in_progress"]
        reached = learner.call("GET", f"trainingItems/{gone}").status
        listed = [row["id"] for row in learner.rows(f"trainingItems?course={ids['course']}")]
        assert (reached == 200) == (gone in listed)
        if number % 5 == 0 or not died:
            check_lists(author)
        if not died:
            break
    assert 15 < number < 59


def test_an_archival_that_dies_is_completed(author: Author) -> None:
    from chalicelib.catalogue.worker import sweep_publications

    system, ids = author.system, author.small()
    path = f"courses/{ids['course']}/archive"
    for number in range(1, 60):
        author.publish(ids["course"])
        died = False
        try:
            dying(system, number, lambda: author.call("POST", path))
        except Died:
            died = True
        system.later(60)
        system.tick(sweep_publications)
        state = author.data("GET", f"courses/{ids['course']}/publication")["state"]
        assert (author.call("GET", f"courses/{ids['course']}").status == 404) == (state == "archived")
        author.data("POST", path)
        if number % 5 == 0 or not died:
            check_lists(author)
        if not died:
            break
    assert 10 < number < 59


def test_what_takes_too_long_is_left_to_the_sweeper(
    author: Author, learner: Author, monkeypatch: pytest.MonkeyPatch
) -> None:
    from chalicelib.catalogue import publishing
    from chalicelib.catalogue.worker import sweep_publications

    ids = author.small()
    monkeypatch.setattr(publishing, "INLINE_SECONDS", -1.0)
    since = author.system.now.isoformat().replace("+00:00", "Z")
    assert author.publish(ids["course"])["in_progress"]
    begun = instant(author.system.now)
    assert learner.data("GET", f"courses/{ids['course']}")["item_count"] == 2
    attempt = {"answer": "a", "duration_ms": 1}
    learner.data("POST", f"trainingItems/{ids['item_one']}/attempts", attempt, 201)
    assert ids["lesson"] not in [row["id"] for row in learner.rows("lessons?per_page=100")]
    author.system.later(300)
    asked = learner.call("GET", f"lessons?updated_since={since}")
    assert ids["lesson"] not in [row["id"] for row in asked.body["data"]]
    assert asked.body["meta"]["complete_until"] <= begun
    author.data("PUT", f"lessons/{ids['lesson']}", {"title": "Later"})
    waiting = author.call("POST", f"courses/{ids['course']}/publish")
    assert (waiting.status, waiting.headers["retry-after"]) == (409, "30")
    author.system.tick(sweep_publications)
    since = asked.body["meta"]["complete_until"]
    told = learner.call("GET", f"lessons?updated_since={since}")
    assert ids["lesson"] in [row["id"] for row in told.body["data"]]
    assert told.body["meta"]["complete_until"] > since
    check_lists(author)


# Loading files


def content_of(slug: str, words: dict[str, str]) -> Any:
    """A whole course as files say it: item slug to prompt."""
    from chalicelib.catalogue.schemas import CourseContent

    items = [{"slug": name, "item": choice(prompt)} for name, prompt in words.items()]
    training = {"slug": "t", "title": "T", "items": items}
    lesson = {"slug": "l", "title": "L", "intro": "Hello.", "can_do": "I can.", "trainings": [training]}
    return CourseContent.model_validate(
        {"slug": slug, "title": "Loaded", "description": "From files.", "language": "de", "taught_in": "en",
         "cefr_level": "A1", "lessons": [lesson]}
    )  # fmt: skip


def test_loading_that_dies_is_completed(author: Author, school: str) -> None:
    from chalicelib.catalogue.publishing import publish

    slug, system = f"loaded-{secrets.token_hex(3)}", author.system
    contents = [content_of(slug, {"a": "One", "b": "Two"}), content_of(slug, {"b": "Other", "c": "Three"})]
    for content in contents:
        for number in range(1, 60):
            try:
                dying(system, number, lambda content=content: publish(content, school, system.now))  # type: ignore[misc]
                break
            except Died:
                system.later(60)
        assert number > 10
        assert not publish(content, school, system.now).changed
        check_lists(author)
    course = next(row["id"] for row in author.rows("courses/drafts?per_page=100") if row["slug"] == slug)
    rows = author.rows(f"trainingItems?course={course}")
    assert [(row["slug"], row["version"], row["content"]["prompt"]) for row in rows] == [
        ("b", 2, "Other"), ("c", 1, "Three"),
    ]  # fmt: skip
    training = author.data("GET", f"trainings/{rows[0]['training_id']}/draft")
    assert (len(training["item_ids"]), len(training["archived_item_ids"])) == (2, 1)


def test_what_authors_made_of_loaded_files_stays_until_the_files_change(author: Author, school: str) -> None:
    from chalicelib.catalogue.publishing import publish

    slug = f"loaded-{secrets.token_hex(3)}"
    loaded = publish(content_of(slug, {"a": "One"}), school, author.system.now)
    author.data("PUT", f"courses/{loaded.course_id}", {"title": "By an author"})
    author.publish(loaded.course_id)
    author.system.calls.clear()
    assert not publish(content_of(slug, {"a": "One"}), school, author.system.now).changed
    assert author.system.calls.names() == ["GetItem", "GetItem"]
    assert author.data("GET", f"courses/{loaded.course_id}")["title"] == "By an author"
    assert publish(content_of(slug, {"a": "Two"}), school, author.system.now).changed
    assert author.data("GET", f"courses/{loaded.course_id}")["title"] == "Loaded"
