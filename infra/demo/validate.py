"""Check course folders: `python -m infra.demo.validate [folder ...]`; all of the demo courses by default.

Every file must load, every answer that is listed beside an item must get the score that is listed, and what
is to be heard must have its recording. All courses together must use every recording that is kept.
Prints `file: item: what differs` for each fault and ends with status 1 when there is any.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from chalicelib.catalogue.items import Item
from chalicelib.core.errors import Invalid
from chalicelib.learning.grading import grade
from infra.demo.courses import (
    COURSES,
    PRIVATE,
    BrokenCourse,
    CourseFile,
    ItemFile,
    ScoredAnswer,
    course_folders,
    load_course,
)
from infra.demo.recordings import Spoken, orphans, recording_fault


def demo_folders() -> list[Path]:
    """Every course that `make run` loads."""
    return [*course_folders(COURSES), *course_folders(PRIVATE)]


def item_faults(entry: ItemFile) -> Iterator[str]:
    """What is wrong with one item: its recording, and its answers.

    Right answers and near misses are accepted, others not.
    """
    item = entry.item
    if entry.spoken is not None:
        if fault := recording_fault(entry.spoken):
            yield fault
        if item.type == "dictation":
            heard = ScoredAnswer(answer=entry.spoken.text, score=1)
            yield from _answer_faults(item, "what is spoken", heard, accepted=True)
    own = ScoredAnswer(answer=grade(item.content, item.key, None).correct_answer, score=1)
    yield from _answer_faults(item, "the key's own answer", own, accepted=True)
    for number, answer in enumerate(entry.accepted):
        yield from _answer_faults(item, f"accepted.{number}", answer, accepted=True)
    for number, answer in enumerate(entry.rejected):
        yield from _answer_faults(item, f"rejected.{number}", answer, accepted=False)


def _answer_faults(item: Item, place: str, listed: ScoredAnswer, *, accepted: bool) -> Iterator[str]:
    shown = json.dumps(listed.answer, ensure_ascii=False)
    try:
        graded = grade(item.content, item.key, listed.answer)
    except Invalid as refused:
        yield f"{place}: {shown} is refused: {refused.detail}"
        return
    if graded.score != round(listed.score, 4):
        yield f"{place}: {shown} gets {graded.score}, listed as {listed.score}"
    if (graded.result in ("correct", "near_miss")) != accepted:
        yield f"{place}: {shown} is graded {graded.result} and belongs in the other list"


def course_faults(course: CourseFile) -> list[str]:
    """Every fault of a course that loads."""
    return [
        f"{lesson.source}: {entry.slug}: {fault}"
        for lesson, entry in course.items()
        for fault in item_faults(entry)
    ]


def spoken_in(course: CourseFile) -> Iterator[Spoken]:
    """Everything that is to be heard in a course."""
    return (entry.spoken for _, entry in course.items() if entry.spoken is not None)


def check(folder: Path) -> list[str]:
    """Every fault found in a course folder."""
    try:
        return course_faults(load_course(folder))
    except BrokenCourse as broken:
        return broken.faults


def check_orphans(folders: Sequence[Path]) -> list[str]:
    """Recordings that none of these courses uses, once all of them load."""
    try:
        wanted = [spoken for folder in folders for spoken in spoken_in(load_course(folder))]
    except BrokenCourse:
        return []
    return [f"{file}: no course uses this recording" for file in orphans(wanted)]


def main(arguments: Sequence[str]) -> int:
    folders = [Path(argument) for argument in arguments] or demo_folders()
    faults = [fault for folder in folders for fault in check(folder)]
    if not arguments:
        faults += check_orphans(folders)
    for fault in faults:
        print(fault)
    if not folders:
        print("No course found.")
    if folders and not faults:
        print(f"{len(folders)} course(s): every listed answer gets its score.")
    return 0 if folders and not faults else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
