"""The catalogue over HTTP: lists and their links, what is cached, who sees what, and no answer key."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from infra.demo.courses import COURSES, CourseFile, load_course
from infra.demo.load import environment, load
from infra.local.cloud import REPOSITORY
from tests.conftest import LocalCloud
from tests.system.client import Answer, Client

PRIVATE_SLUG = "front-desk"
LISTS = ("/api/courses", "/api/lessons", "/api/trainings", "/api/trainingItems", "/api/public/courses")
KEY_FIELDS = (
    "key",
    "correct",
    "gaps",
    "pairs",
    "orders",
    "accept",
    "distractors",
    "transcript",
    "explanation",
)


@pytest.fixture(scope="module")
def german() -> CourseFile:
    return load_course(COURSES / "german-a1")


@pytest.fixture(scope="module")
def german_id(anyone: Client) -> str:
    return str(anyone.get("/api/public/courses/german-a1").body["data"]["id"])


@pytest.fixture(scope="module")
def private(learner: Client) -> dict[str, str]:
    """The ids of the school's own course and of the first of each thing in it."""
    course = next(row for row in learner.rows("/api/courses") if row["visibility"] == "institution")
    assert course["slug"] == PRIVATE_SLUG
    lesson = learner.rows(f"/api/lessons?course={course['id']}")[0]
    training = learner.rows(f"/api/trainings?lesson={lesson['id']}")[0]
    item = learner.rows(f"/api/trainingItems?training={training['id']}")[0]
    return {"course": course["id"], "lesson": lesson["id"], "training": training["id"], "item": item["id"]}


def ids(answer: Answer) -> list[str]:
    return [row["id"] for row in answer.body["data"]]


def fields_in(value: object) -> Iterator[str]:
    for name, inner in value.items() if isinstance(value, dict) else ():
        yield str(name)
        yield from fields_in(inner)
    for inner in value if isinstance(value, list) else ():
        yield from fields_in(inner)


# Lists


@pytest.mark.parametrize(
    ("path", "per_page"),
    [
        ("/api/courses", 1),
        ("/api/public/courses", 1),
        ("/api/lessons", 2),
        ("/api/trainings", 3),
        ("/api/trainingItems", 30),
        ("/api/trainingItems?type=cloze", 4),
    ],
)
def test_a_list_is_walked_by_its_links_and_back(learner: Client, path: str, per_page: int) -> None:
    begin = path + ("&" if "?" in path else "?")
    whole = [row["id"] for row in learner.rows(f"{begin}per_page=100")]
    forth = list(learner.pages(f"{begin}per_page={per_page}"))
    assert [identifier for page in forth for identifier in ids(page)] == whole
    assert len(set(whole)) == len(whole)
    last = forth[-1].body
    assert (last["meta"]["total"], last["meta"]["last_page"]) == (len(whole), len(forth))
    back = [forth[-1]]
    if last["links"]["prev"]:
        back += learner.pages(last["links"]["prev"], "prev")
    assert [ids(page) for page in back[::-1]] == [ids(page) for page in forth]
    assert ids(learner.get(last["links"]["first"])) == ids(forth[0])
    assert ids(learner.get(last["links"]["last"])) == ids(forth[-1])


def test_links_keep_filters_and_page_size(learner: Client, german_id: str) -> None:
    filters = {"language": "de", "level": "A1"}
    lesson = learner.rows(f"/api/lessons?course={german_id}")[0]["id"]
    training = learner.rows(f"/api/trainings?lesson={lesson}")[0]["id"]
    for path, chosen in (
        ("/api/courses", filters),
        ("/api/public/courses", filters),
        ("/api/lessons", {"course": german_id}),
        ("/api/trainings", {"lesson": lesson}),
        ("/api/trainingItems", {"training": training, "type": "multiple_choice"}),
        ("/api/trainingItems", {"type": "ordering"}),
    ):
        page = learner.get(f"{path}?{urlencode({**chosen, 'per_page': 1})}")
        total = page.body["meta"]["total"]
        assert total == len(learner.rows(f"{path}?{urlencode(chosen)}")) >= 1
        for link in filter(None, page.body["links"].values()):
            assert link.startswith(f"{learner.base_url}{path}?")
            query = parse_qs(urlsplit(link).query)
            assert {name: query[name] for name in chosen} == {name: [value] for name, value in chosen.items()}
            assert query["per_page"] == ["1"]
        assert (page.body["links"]["next"] is not None) == (total > 1)


def test_filters_choose_rows(learner: Client, german_id: str) -> None:
    everything = learner.rows("/api/trainingItems?per_page=100")
    for kind in {row["type"] for row in everything}:
        chosen = learner.rows(f"/api/trainingItems?type={kind}&per_page=100")
        assert chosen == [row for row in everything if row["type"] == kind]
    for query, wanted in (
        ("language=de", {"language": "de"}),
        ("level=A2", {"cefr_level": "A2"}),
        ("language=de&level=A1", {"language": "de", "cefr_level": "A1"}),
        ("language=fi", {"language": "fi"}),
    ):
        chosen = learner.rows(f"/api/courses?{query}")
        assert chosen == [row for row in learner.rows("/api/courses") if wanted.items() <= row.items()]
    assert german_id in [row["id"] for row in learner.rows("/api/courses?language=de&level=A1")]


@pytest.mark.parametrize(
    ("path", "field"),
    [
        *((f"{path}?per_page={wrong}", "per_page") for path in LISTS for wrong in ("0", "-1", "101", "abc")),
        ("/api/courses?page=0", "page"),
        ("/api/courses?level=A9", "level"),
        ("/api/courses?language=German", "language"),
        ("/api/courses?colour=blue", "colour"),
        ("/api/lessons?course=german-a1", "course"),
        ("/api/lessons?course=lsn_00000000000000000000000000", "course"),
        ("/api/trainings?lesson=", "lesson"),
        ("/api/trainingItems?type=riddle", "type"),
    ],
)
def test_a_query_that_breaks_the_rules_names_the_field(learner: Client, path: str, field: str) -> None:
    refused = learner.get(path)
    assert refused.status == 422
    assert list(refused.body["errors"]) == [field]


@pytest.mark.parametrize("path", LISTS)
def test_a_page_past_the_end_is_empty(learner: Client, path: str) -> None:
    page = learner.get(f"{path}?page=90&per_page=100")
    assert (page.status, page.body["data"]) == (200, [])
    meta = page.body["meta"]
    assert (meta["from"], meta["to"], page.body["links"]["next"]) == (None, None, None)
    assert meta["last_page"] == -(-meta["total"] // 100)


def test_a_cursor_belongs_to_its_list_its_page_and_its_institution(learner: Client, stranger: Client) -> None:
    link = learner.get("/api/trainingItems?per_page=2").body["links"]["next"]
    assert learner.get(link).status == 200
    cursor = parse_qs(urlsplit(link).query)["cursor"][0]
    tampered = ("B" if cursor[0] == "A" else "A") + cursor[1:]
    for client, wrong in (
        (learner, link.replace(cursor, tampered)),
        (learner, link.replace(cursor, "%00")),
        (learner, link.replace("trainingItems", "trainings")),
        (learner, link.replace("?page=2&", "?page=3&")),
        (learner, link + "&type=cloze"),
        (stranger, link),
    ):
        refused = client.get(wrong)
        assert (refused.status, list(refused.body["errors"])) == (422, ["cursor"]), wrong


# Resources


def test_the_course_is_there_as_it_was_written(learner: Client, german: CourseFile, german_id: str) -> None:
    course = learner.get(f"/api/courses/{german_id}").body["data"]
    assert [lesson["title"] for lesson in course["lessons"]] == [lesson.title for lesson in german.lessons]
    lessons = learner.rows(f"/api/lessons?course={german_id}")
    for lesson, written, brief in zip(lessons, german.lessons, course["lessons"], strict=True):
        assert brief.items() <= lesson.items()
        assert (lesson["course_id"], lesson["position"]) == (german_id, written.position)
        trainings = learner.rows(f"/api/trainings?lesson={lesson['id']}")
        assert [training["id"] for training in trainings] == [one["id"] for one in brief["trainings"]]
        for training, block in zip(trainings, written.trainings, strict=True):
            assert (training["lesson_id"], training["title"]) == (lesson["id"], block.title)
            items = learner.rows(f"/api/trainingItems?training={training['id']}")
            assert [item["slug"] for item in items] == [entry.slug for entry in block.items]
            for item, entry in zip(items, block.items, strict=True):
                content = json.loads(entry.item.content.model_dump_json())
                if entry.spoken:
                    content["audio_url"] = item["content"]["audio_url"]
                    assert f"/{entry.spoken.path.stem}-" in content["audio_url"]
                assert item["content"] == content
                assert (item["training_id"], item["version"]) == (training["id"], 1)
        assert lesson["item_count"] == sum(training["item_count"] for training in trainings)
    assert course["item_count"] == sum(lesson["item_count"] for lesson in lessons)


def test_no_answer_shows_a_key(anyone: Client, learner: Client, german: CourseFile, german_id: str) -> None:
    answers = [anyone.get("/api/public/courses"), anyone.get("/api/public/courses/german-a1")]
    answers += [learner.get(f"/api/courses/{german_id}")]
    answers += [page for path in LISTS for page in learner.pages(f"{path}?per_page=100")]
    shown = [answer.body["data"] for answer in answers]
    assert not set(KEY_FIELDS) & set(fields_in(shown))
    text = json.dumps(shown, ensure_ascii=False)
    for _, entry in german.items():  # noqa: PERF102 (no dict)
        assert entry.slug in text
        assert entry.item.key.explanation is None or entry.item.key.explanation not in text


def test_public_courses_need_no_token_and_others_do(anyone: Client, learner: Client, german_id: str) -> None:
    course = anyone.get("/api/public/courses/german-a1")
    assert course.status == 200
    whole = learner.get(f"/api/courses/{german_id}").body["data"]
    assert course.body["data"].items() <= whole.items()
    assert set(whole) - set(course.body["data"]) == {"owner_institution_id", "visibility"}
    for path in (*LISTS[:4], f"/api/courses/{german_id}"):
        assert anyone.get(path).status == 401
    narrow = learner.call("POST", "/api/integrations/tokens", {"name": "x", "abilities": ["progress:read"]})
    refused = Client(learner.base_url, narrow.body["data"]["token"]).get("/api/courses")
    assert (refused.status, refused.body["ability"]) == (403, "catalogue:read")


# Caching


@pytest.mark.parametrize(
    ("path", "cached"),
    [
        ("/api/public/courses", "public, max-age=60"),
        ("/api/public/courses/german-a1", "public, max-age=60"),
        *((path, "private, no-cache") for path in LISTS[:4]),
    ],
)
def test_what_has_not_changed_is_not_sent_again(learner: Client, path: str, cached: str) -> None:
    first = learner.get(path)
    tag = first.headers["etag"]
    again = learner.get(path, If_None_Match=f'"other", W/{tag}')
    assert (again.status, again.body) == (304, None)
    for answer in (first, again):
        assert (answer.headers["cache-control"], answer.headers["etag"]) == (cached, tag)
    assert learner.get(path, If_None_Match='"other"').body == first.body


# Whose it is


def test_a_foreign_course_is_as_unknown_as_one_that_never_was(
    anyone: Client, learner: Client, stranger: Client, private: dict[str, str]
) -> None:
    unknown = {kind: f"{identifier[:4]}{'0' * 26}" for kind, identifier in private.items()}
    assert learner.get(f"/api/courses/{private['course']}").body["data"]["visibility"] == "institution"
    answers = [
        stranger.get(f"/api/courses/{identifier}")
        for identifier in (private["course"], unknown["course"], "x", PRIVATE_SLUG)
    ]
    answers += [anyone.get(f"/api/public/courses/{slug}") for slug in (PRIVATE_SLUG, "no-such-course")]
    assert {answer.status for answer in answers} == {404}
    assert len({answer.body["detail"] for answer in answers}) == 1
    for path in (
        "/api/lessons?course={course}",
        "/api/trainings?lesson={lesson}",
        "/api/trainingItems?training={training}",
    ):
        assert len(learner.rows(path.format(**private))) >= 1
        foreign, never = stranger.get(path.format(**private)), stranger.get(path.format(**unknown))
        assert foreign.body["data"] == never.body["data"] == []
        assert foreign.body["meta"] == never.body["meta"]


def test_a_foreign_course_is_in_no_list(
    anyone: Client, learner: Client, stranger: Client, private: dict[str, str]
) -> None:
    for path, kind in zip(LISTS[:4], private, strict=True):
        seen = [row["id"] for row in learner.rows(f"{path}?per_page=100")]
        assert private[kind] in seen[:3]
        others = stranger.rows(f"{path}?per_page=100")
        assert private[kind] not in [row["id"] for row in others]
        assert stranger.get(path).body["meta"]["total"] == len(others) < len(seen)
    assert private["course"] not in [row["id"] for row in anyone.rows("/api/public/courses")]


# Loading


def test_loading_again_changes_nothing(local_cloud: LocalCloud, learner: Client) -> None:
    before = [learner.get(f"{path}?per_page=100").headers["etag"] for path in LISTS]
    assert load(local_cloud.cloud) == local_cloud.accounts
    assert [learner.get(f"{path}?per_page=100").headers["etag"] for path in LISTS] == before


def test_demo_passwords_are_not_written_to_another_stage(local_cloud: LocalCloud) -> None:
    for wrong in ({"STAGE": "prod"}, {"AWS_ENDPOINT_URL": ""}):
        done = subprocess.run(
            [sys.executable, "-m", "infra.demo.seed"],
            env={**environment(local_cloud.cloud), **wrong},
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stdout) == (1, "")
        assert "local cloud" in done.stderr


# Publishing

EXERCISE = {
    "content": {"type": "multiple_choice", "prompt": "Eins?", "options": [{"id": "a", "text": "one"},
                                                                       {"id": "b", "text": "two"}]},
    "key": {"type": "multiple_choice", "correct": "a"},
    "cefr_level": "A1",
    "skill": "vocabulary",
}  # fmt: skip
OTHER_EXERCISE = {
    **EXERCISE,
    "content": {"type": "translation", "prompt": "Say it", "text": "two", "from_language": "en",
                "to_language": "de"},
    "key": {"type": "translation", "accept": ["zwei"]},
}  # fmt: skip


def small_course(level: str, lessons: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """A course of which each lesson has one training: lesson slug to item slug to item."""
    return {
        "slug": "small-course",
        "title": "Small",
        "description": "A course to publish again and again.",
        "language": "de",
        "taught_in": "en",
        "cefr_level": level,
        "lessons": [
            {
                "slug": lesson,
                "title": lesson,
                "intro": "An intro.",
                "can_do": "I can.",
                "trainings": [
                    {
                        "slug": f"{lesson}-t",
                        "title": "Training",
                        "items": [{"slug": slug, "item": item} for slug, item in items.items()],
                    }
                ],
            }
            for lesson, items in lessons.items()
        ],
    }


def publish_dying() -> None:
    """In a process of its own: tell what the catalogue shows, then publish, and die before one write."""
    from chalicelib.catalogue import service
    from chalicelib.catalogue.publishing import publish
    from chalicelib.catalogue.schemas import CourseContent
    from chalicelib.core.errors import NotFound
    from chalicelib.core.store import connection

    given = json.loads(sys.stdin.read())
    owner_id, left = given["owner_id"], given["writes"]
    for item_id in given["withdrawn"]:
        with pytest.raises(NotFound):
            service.exercise(owner_id, item_id)

    def whole(found: service.Found[Any]) -> list[Any]:
        return [row for _, row in found.read(None, 10_000, backwards=False)]

    items = whole(service.training_items(owner_id, None, None))
    for item in items:  # whatever a list shows can be followed
        exercise = service.exercise(owner_id, item.id)
        course = service.course(owner_id, exercise.course_id)
        assert exercise.lesson_id in [lesson.id for lesson in course.lessons]
    for course_id in {row.course_id for row in whole(service.lessons(owner_id, None))}:
        assert service.course_details(owner_id, course_id).id in [
            course.id for course in whole(service.courses(owner_id, None, None))
        ]

    def count(model: Any, **_: Any) -> None:
        nonlocal left
        if model.name in ("BatchWriteItem", "TransactWriteItems", "UpdateItem"):
            if left == 0:
                os._exit(9)
            left -= 1

    connection().client.meta.events.register("before-call.dynamodb", count)
    publish(CourseContent.model_validate(given["content"]), owner_id, datetime.now(UTC))


def published_with_deaths(
    local_cloud: LocalCloud, owner_id: str, content: dict[str, Any], withdrawn: Sequence[str] = ()
) -> int:
    """Publish, dying before the first write, then before the second, and so on. How many deaths it took.

    Twice each: the second time there is less left to write. The items `withdrawn` must be out of reach
    before that.
    """
    for deaths in range(30):
        done = subprocess.run(
            [sys.executable, "-c", "from tests.system.test_catalogue import publish_dying as run; run()"],
            env=environment(local_cloud.cloud),
            cwd=REPOSITORY,
            input=json.dumps(
                {
                    "owner_id": owner_id,
                    "content": content,
                    "writes": deaths // 2,
                    "withdrawn": list(withdrawn),
                }
            ),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode == 0:
            return deaths
        assert done.returncode == 9, done.stderr
    raise AssertionError("it never came to an end")


def test_a_publication_that_dies_breaks_nothing_and_is_completed(
    local_cloud: LocalCloud, owner: Client
) -> None:
    owner_id = owner.get("/api/auth/me").body["data"]["institution_id"]
    totals = {path: owner.get(path).body["meta"]["total"] for path in LISTS[:4]}
    first = small_course("A1", {"one": {"a": EXERCISE, "b": EXERCISE}, "two": {"c": EXERCISE, "d": EXERCISE}})
    then = small_course("A2", {"two": {"e": EXERCISE, "c": OTHER_EXERCISE, "d": EXERCISE}})
    assert published_with_deaths(local_cloud, owner_id, first) >= 8
    before = {row["slug"]: row for row in owner.rows("/api/trainingItems?per_page=100")}
    assert published_with_deaths(local_cloud, owner_id, then) >= 10

    after = {row["slug"]: row for row in owner.rows("/api/trainingItems?per_page=100")}
    assert set(before) - set(after) == {"a", "b"}
    gone = [before[slug]["id"] for slug in "ab"]
    assert published_with_deaths(local_cloud, owner_id, then, withdrawn=gone) == 0
    assert {slug: (after[slug]["version"], after[slug]["type"]) for slug in "ecd"} == {
        "e": (1, "multiple_choice"), "c": (2, "translation"), "d": (1, "multiple_choice"),
    }  # fmt: skip
    assert (before["c"]["id"], before["d"]["id"]) == (after["c"]["id"], after["d"]["id"])
    grown = {path: owner.get(path).body["meta"]["total"] - total for path, total in totals.items()}
    assert list(grown.values()) == [1, 1, 1, 3]
    for path in LISTS[:4]:
        assert len(owner.rows(f"{path}?per_page=100")) == owner.get(path).body["meta"]["total"]
    for query in ("type=translation", "type=multiple_choice"):
        found = owner.get(f"/api/trainingItems?{query}&per_page=100").body
        assert found["meta"]["total"] == len(found["data"])
    for query, wanted in (("level=A1", False), ("level=A2", True), ("language=de&level=A1", False)):
        slugs = [row["slug"] for row in owner.rows(f"/api/courses?{query}")]
        assert ("small-course" in slugs) == wanted
