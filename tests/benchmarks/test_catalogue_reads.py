"""What a page of each list of the catalogue costs, at any size of it. Prints the README's table."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pynamodb.connection import Connection

from chalicelib.catalogue import models, schemas, service, tree
from chalicelib.core import sealing
from chalicelib.core.paging import Listing, Page, PageQuery
from chalicelib.institutions.service import PUBLIC_INSTITUTION
from tests.benchmarks.counting import Cost, CountingStore

SCHOOL = "ins_00000000000000000000000001"
NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
SIZES = (10, 1_000, 10_000)
LANGUAGES, LEVELS, SKILLS = ("de", "en", "es"), ("A1", "A2", "B1"), ("grammar", "reading", "writing")
WORDS = ("first", "steps", "travel", "office", "family", "market", "health", "music", "river", "garden")


def content_of(number: int) -> schemas.CourseContent:
    """A course of one lesson with four items."""
    word = WORDS[number % len(WORDS)]
    option = {"prompt": f"Which is right, {number}?", "type": "multiple_choice"}
    options = [{"id": "a", "text": "eins"}, {"id": "b", "text": "zwei"}]
    return schemas.CourseContent.model_validate(
        {
            "slug": f"course-{number:05}",
            "title": f"Course {number:05}: {word}",
            "description": f"Words about {word}, and what is said with them. " * 3,
            "language": LANGUAGES[number % 3],
            "taught_in": "en",
            "cefr_level": LEVELS[number // 3 % 3],
            "lessons": [
                {
                    "slug": "l", "title": "A lesson", "intro": "Hello. " * 30, "can_do": "I can say it.",
                    "trainings": [
                        {
                            "slug": "t", "title": "A training",
                            "items": [
                                {
                                    "slug": f"i-{at}",
                                    "item": {
                                        "content": {**option, "options": options},
                                        "key": {"type": "multiple_choice", "correct": "a"},
                                        "cefr_level": LEVELS[at % 3], "skill": SKILLS[at % 3],
                                    },
                                }
                                for at in range(4)
                            ],
                        }
                    ],
                }
            ],
        }
    )  # fmt: skip


def records(number: int, owner_id: str) -> Iterator[Any]:
    """What a publication leaves behind for readers."""
    content = content_of(number)
    items = tree.items_of(content, owner_id)
    at = NOON + timedelta(seconds=number)
    grown = tree.grow(content, owner_id, dict.fromkeys(items, 1), None, "P#1", at)
    shown = {item_id: tree.shown(entry) for item_id, entry in items.items()}
    resources = {
        key: one.model_dump(mode="json") for key, one in tree.resources(grown.lessons, shown).items()
    }
    course = grown.course.model_dump(mode="json")
    for pk, sk in tree.course_rows(grown.course):
        yield models.RowItem(pk, sk, resource=course)
    for (pk, sk), (part_id, _) in tree.rows(grown.course, grown.lessons).items():
        yield models.RowItem(pk, sk, resource=resources[part_id])
    for (pk, sk), row in tree.word_rows(grown.course).items():
        yield models.RowItem(pk, sk, resource=row)
    yield models.CourseItem(
        grown.course.id, owner_id=owner_id, resource=course, lessons=grown.outline(), totals={}, edition=1,
        publication="P", digest="", changed_at="", published_at="",
    )  # fmt: skip
    for part_id in grown.parts():
        yield models.OriginItem(part_id, owner_id=owner_id, course_id=grown.course.id)
    yield from (lesson.item() for lesson in grown.lessons)
    for name, rows in grown.counts().items():
        yield models.CountItem(models.count_key(name), "COUNT", rows=rows)
    for item_id, one in shown.items():
        yield models.VersionItem(item_id, models.version_key(1), item="", shown=one, published_at="")


def ids_of(number: int, owner_id: str) -> dict[str, str]:
    slug = content_of(number).slug
    parts = {"lesson": ("lsn", "l"), "training": ("trn", "t")}
    return {name: models.part_id(prefix, owner_id, slug, own) for name, (prefix, own) in parts.items()} | {
        "course": models.course_id(owner_id, slug)
    }


Read = Callable[[dict[str, str]], service.Found[Any]]
LISTS: dict[str, Read] = {
    "courses": lambda _: service.courses(SCHOOL, schemas.CourseQuery()),
    "courses?language=&level=": lambda _: service.courses(
        SCHOOL, schemas.CourseQuery(language="de", level="A1")
    ),
    "courses?sort=-updated_at": lambda _: service.courses(SCHOOL, schemas.CourseQuery(sort="-updated_at")),
    "courses?q=": lambda _: service.courses(SCHOOL, schemas.CourseQuery(q="cour")),
    "courses?q=&language=&level=": lambda _: service.courses(
        SCHOOL, schemas.CourseQuery(q="travel wor", language="en", level="A1")
    ),
    "courses?updated_since=": lambda _: changes("COURSES", schemas.Course),
    "lessons": lambda _: service.lessons(SCHOOL, schemas.LessonQuery()),
    "lessons?course=": lambda ids: service.lessons(SCHOOL, schemas.LessonQuery(course=ids["course"])),
    "trainings": lambda _: service.trainings(SCHOOL, schemas.TrainingQuery()),
    "trainings?lesson=": lambda ids: service.trainings(SCHOOL, schemas.TrainingQuery(lesson=ids["lesson"])),
    "trainingItems": lambda _: service.training_items(SCHOOL, schemas.ItemQuery()),
    "trainingItems?type=&skill=&level=&language=": lambda _: service.training_items(
        SCHOOL,
        schemas.ItemQuery(type="multiple_choice", skill="grammar", level="A1", language="de"),
    ),
    "trainingItems?training=&type=": lambda ids: service.training_items(
        SCHOOL, schemas.ItemQuery(training=ids["training"], type="multiple_choice")
    ),
    "trainingItems?updated_since=": lambda _: changes("ITEMS", schemas.TrainingItem),
}


def changes(kind: str, model: type[Any]) -> service.Found[Any]:
    return service.Found(service.Changes(SCHOOL, kind, NOON, NOON), lambda rows: service.changed(model, rows))


@pytest.mark.proof
def test_a_page_costs_the_same_whatever_the_size_of_the_catalogue(monkeypatch: pytest.MonkeyPatch) -> None:
    store = CountingStore()
    monkeypatch.setattr(Connection, "_make_api_call", lambda _, name, asked: store.answer(name, asked))
    monkeypatch.setattr(sealing, "signing_key", lambda _: b"key")
    costs: dict[str, list[Cost]] = {name: [] for name in LISTS}
    made = 0
    for size in SIZES:
        for number in range(made, size):  # nine of ten are public ones
            store.put(records(number, SCHOOL if number % 10 == 0 else PUBLIC_INSTITUTION))
        made = size
        for name, read in LISTS.items():
            store.cost = Cost()
            found = read(ids_of(0, SCHOOL))
            page: Page[Any] = Listing("https://x/api", SCHOOL, PageQuery(per_page=15)).page(
                found.read, found.total, full=found.full
            )
            assert found.show(page.data) or "q=" in name
            costs[name].append(store.cost)
    lines = [f"| a page of 15 | {' | '.join(f'{size:,} courses' for size in SIZES)} |"]
    lines.append("| --- |" + " --- |" * len(SIZES))
    for name, found_costs in costs.items():
        told = [f"{one.calls} calls, {one.items} items, {one.bytes / 1024:.1f} KiB" for one in found_costs]
        lines.append(f"| `{name}` | {' | '.join(told)} |")
    print("", *lines, sep="\n")  # noqa: T201 (the README's table)
    for name, (small, middle, large) in costs.items():
        assert large.calls <= middle.calls <= small.calls + 1, name
        assert large.items <= max(middle.items, 2 * 250 + 17), name
        assert large.bytes <= middle.bytes * 1.2 or "q=" in name, name
