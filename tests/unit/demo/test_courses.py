from collections import Counter
from pathlib import Path
from typing import get_args

import pytest

from chalicelib.catalogue.items import ItemType
from infra.demo.courses import COURSES, BrokenCourse, course_folders, load_course
from infra.demo.validate import check, demo_folders, main

COURSE = """
slug: tiny
title: Tiny
description: A course for tests.
language: de
taught_in: en
cefr_level: A1
lessons: [1.yaml]
"""
LESSON = """
slug: tiny-1
title: One
intro: No and 12 and 8:30 are texts.
can_do: I can test.
trainings:
  - slug: tiny-1-a
    title: A
    items:
      - slug: tiny-01
        type: multiple_choice
        skill: vocabulary
        content:
          prompt: Twelve?
          options: {a: 12, b: No, c: 8:30}
        key: {correct: a}
        accepted: [{answer: a, score: 1}]
        rejected: [{answer: b, score: 0}]
      - slug: tiny-02
        type: translation
        skill: writing
        points: 20
        content: {prompt: Say it, text: "No", from_language: en, to_language: de}
        key: {accept: [Nein]}
        accepted: [{answer: nein, score: 1}]
        rejected: [{answer: No, score: 0}]
"""


def written(folder: Path, lesson: str = LESSON, course: str = COURSE) -> Path:
    (folder / "course.yaml").write_text(course, encoding="utf-8")
    (folder / "1.yaml").write_text(lesson, encoding="utf-8")
    return folder


def test_a_course_loads_in_order_with_every_scalar_as_text(tmp_path: Path) -> None:
    course = load_course(written(tmp_path))
    assert (course.slug, course.language, course.taught_in) == ("tiny", "de", "en")
    (first, second) = (entry for _, entry in course.items())
    assert (first.position, second.position) == (1, 2)
    assert (first.item.cefr_level, first.item.points, second.item.points) == ("A1", 10, 20)
    content = first.item.content
    assert content.type == "multiple_choice"
    assert [(option.id, option.text) for option in content.options] == [
        ("a", "12"),
        ("b", "No"),
        ("c", "8:30"),
    ]
    assert check(tmp_path) == []


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("{correct: a}", "{correct: x}", "tiny-01 item: Value error, key.correct: there is no option x"),
        ("answer: a, score: 1", "answer: a, score: 0.5", 'tiny-01: accepted.0: "a" gets 1.0, listed as 0.5'),
        ("answer: b, score: 0", "answer: b, score: 0.2", 'tiny-01: rejected.0: "b" gets 0.0, listed as 0.2'),
        ("answer: b, score: 0", "answer: a, score: 1", "graded correct and belongs in the other list"),
        ("answer: a, score: 1", "answer: b, score: 0", "graded incorrect and belongs in the other list"),
        ("answer: a, score: 1", "answer: q, score: 1", 'tiny-01: accepted.0: "q" is refused'),
        ("answer: nein", "answer: nee", "tiny-02: accepted.0"),
        ("slug: tiny-02", "slug: tiny-01", "tiny-01: this item slug is taken in"),
        ("slug: tiny-02", "slug: Tiny 02", "slug: String should match pattern"),
        ("        rejected: [{answer: b, score: 0}]\n", "", "tiny-01 rejected: Field required"),
        ("type: multiple_choice", "type: crossword", "tiny-01 item content"),
        ("skill: vocabulary", "skil: vocabulary", "tiny-01 item skill: Field required"),
        ("title: One", "tittle: One", "1.yaml: tittle: Extra inputs are not permitted"),
        ("trainings:", "trainings: [", "1.yaml: "),
        ("{a: 12, b: No, c: 8:30}", "{a: 12, b: No, a: 13}", "a stands there twice"),
        ("points: 20", "skill: grammar", "skill stands there twice"),
        (
            "[{answer: a, score: 1}]",
            "[{answer: !!python/name:os.system , score: 1}]",
            'tiny-01: accepted.0: "" is refused',
        ),
        (LESSON, "just text", "1.yaml: must hold names and values"),
        ("    items:\n", "    things:\n", "tiny-1-a items"),
    ],
)
def test_a_fault_names_its_file_and_item(tmp_path: Path, old: str, new: str, says: str) -> None:
    assert old in LESSON
    faults = check(written(tmp_path, LESSON.replace(old, new, 1)))
    assert any(says in fault for fault in faults), faults
    assert all(fault.startswith(str(tmp_path)) for fault in faults)


def test_a_missing_lesson_file_or_list_is_a_fault(tmp_path: Path) -> None:
    written(tmp_path)
    (tmp_path / "1.yaml").unlink()
    with pytest.raises(BrokenCourse, match=r"1\.yaml"):
        load_course(tmp_path)
    written(tmp_path, course=COURSE.replace("lessons: [1.yaml]", "lessons: 1.yaml"))
    with pytest.raises(BrokenCourse, match="lessons must list"):
        load_course(tmp_path)


def test_the_validator_ends_with_1_on_any_fault(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(written(tmp_path))]) == 0
    written(tmp_path, LESSON.replace("score: 0}", "score: 0.5}"))
    assert main([str(tmp_path)]) == 1
    printed = capsys.readouterr().out.splitlines()
    assert printed[-2:] == [
        f'{tmp_path / "1.yaml"}: tiny-01: rejected.0: "b" gets 0.0, listed as 0.5',
        f'{tmp_path / "1.yaml"}: tiny-02: rejected.0: "No" gets 0.0, listed as 0.5',
    ]


@pytest.mark.parametrize("folder", demo_folders(), ids=lambda folder: folder.name)
def test_every_demo_course_grades_as_its_teacher_says(folder: Path) -> None:
    assert check(folder) == []


def test_every_demo_course_has_four_lessons_of_eight_items_and_every_type() -> None:
    courses = [load_course(folder) for folder in course_folders(COURSES)]
    assert {course.language for course in courses} == {"de", "en", "es"}
    for course in courses:
        assert len(course.lessons) >= 4, course.slug
        for lesson in course.lessons:
            assert len(lesson.trainings) >= 2, lesson.slug
            assert sum(len(training.items) for training in lesson.trainings) >= 8, lesson.slug
        assert {entry.item.type for _, entry in course.items()} == set(get_args(ItemType)), course.slug


def test_only_what_is_spoken_practises_speaking_and_only_what_is_heard_listening() -> None:
    for folder in course_folders(COURSES):
        for _, entry in load_course(folder).items():  # noqa: PERF102 (no dict)
            item = entry.item
            assert (item.skill == "speaking") == (item.type == "speaking_self_assessed"), entry.slug
            assert (item.skill == "listening") == (item.type in ("listening", "dictation")), entry.slug
            assert entry.spoken or item.type not in ("listening", "dictation"), entry.slug


@pytest.mark.parametrize("folder", course_folders(), ids=lambda folder: folder.name)
def test_the_right_choice_does_not_stand_in_the_same_place_each_time(folder: Path) -> None:
    keys = [entry.item.key for _, entry in load_course(folder).items()]
    asked = [key.question if key.type == "listening" else key for key in keys]
    places = Counter(key.correct for key in asked if key.type == "multiple_choice")
    assert max(places.values()) <= sum(places.values()) / 2
