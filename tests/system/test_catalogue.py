"""The catalogue over HTTP: lists and their links, what is cached, who sees what, and no answer key."""

import json
import subprocess
import sys
from collections.abc import Iterator
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


# Authoring

EXERCISE = {
    "content": {"type": "multiple_choice", "prompt": "Eins?", "options": [{"id": "a", "text": "one"},
                                                                       {"id": "b", "text": "two"}]},
    "key": {"type": "multiple_choice", "correct": "a"},
    "cefr_level": "A1",
    "skill": "vocabulary",
}  # fmt: skip


def test_a_course_is_written_published_learned_and_archived(owner: Client, learner: Client) -> None:
    def made(path: str, body: object) -> str:
        answer = owner.call("POST", path, body, Idempotency_Key=path)
        assert answer.status == 201, answer.body
        assert owner.call("POST", path, body, Idempotency_Key=path).headers["idempotent-replayed"] == "true"
        return str(answer.body["data"]["id"])

    course = made("/api/courses", {"slug": "first-course", "title": "First", "description": "A course.",
                                   "language": "de", "taught_in": "en", "cefr_level": "A1"})  # fmt: skip
    lesson = made(
        "/api/lessons",
        {"course_id": course, "slug": "l", "title": "L", "intro": "Hello.", "can_do": "I can."},
    )
    training = made("/api/trainings", {"lesson_id": lesson, "slug": "t", "title": "T"})
    item = made("/api/trainingItems", {"training_id": training, "slug": "i", **EXERCISE})
    assert learner.get(f"/api/courses/{course}").status == 404
    assert learner.get(f"/api/courses/{course}/draft").status == 403
    draft = owner.get(f"/api/trainingItems/{item}/draft")
    changed = owner.call("PUT", f"/api/trainingItems/{item}", {"points": 20}, If_Match=draft.headers["etag"])
    assert (changed.status, changed.headers["etag"] != draft.headers["etag"]) == (200, True)
    stale = owner.call("PUT", f"/api/trainingItems/{item}", {"points": 30}, If_Match=draft.headers["etag"])
    assert (stale.status, stale.headers["content-type"]) == (412, "application/problem+json")
    published = owner.call("POST", f"/api/courses/{course}/publish")
    assert (published.status, published.body["data"]["in_progress"]) == (200, False)
    graded = learner.call("POST", f"/api/trainingItems/{item}/attempts", {"answer": "a", "duration_ms": 5})
    assert (graded.status, graded.body["data"]["changes"]["xp"]) == (201, 20)
    assert course in [row["id"] for row in learner.rows("/api/courses?q=firs&language=de")]
    since = "2026-01-01T00:00:00Z"
    assert course in ids(learner.get(f"/api/courses?updated_since={since}&per_page=100"))
    archived = owner.call("POST", f"/api/courses/{course}/archive")
    assert (archived.status, archived.body["data"]["state"]) == (200, "archived")
    assert learner.get(f"/api/courses/{course}").status == 404
    assert learner.get(f"/api/courses/{course}/lesson-progress").status == 200
    gone = [row for row in learner.rows(f"/api/courses?updated_since={since}") if row["id"] == course]
    assert [row["deleted"] for row in gone] == [True]
