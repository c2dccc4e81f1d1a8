"""Courses as a teacher writes them: a folder with `course.yaml` and one file per lesson.

    german-a1/course.yaml        what the course is, and its lesson files in order
    german-a1/1-greetings.yaml   a lesson: intro, can-do statement, trainings with their items

Positions follow the order in the files. Every value is read as text, so that 12, 8:30 and No stay what
they are. Options may be written short, as `{a: Guten Morgen, b: Gute Nacht}`; the `type` of an item
stands once. Beside each item stand answers that were thought of, with the score that each must get; cards
and speaking, which learners rate themselves, need neither those nor a key.

What is to be heard stands as `audio` in the content: a text in the language that is taught, one with a voice
of its own, or the lines of a dialogue; `recordings.py` says how it becomes a file.

    audio: Guten Morgen!
    audio: {voice: de+f3, text: Guten Morgen!}
    audio: [{voice: de+f3, text: Guten Morgen!}, {voice: de+m3, text: Morgen!}]

A dictation's right answer is what is spoken, and so is the model of a speaking item, unless the file says
otherwise. A listening item has its question in
the content, in the shape of its type, and the key of that question as its key:

    type: listening
    content:
      prompt: Listen to the announcement.
      audio: Der Zug nach Bonn fährt heute von Gleis drei.
      question: {type: multiple_choice, prompt: Which platform?, options: {a: "2", b: "3"}}
    key: {correct: b}
"""

from collections.abc import Callable, Hashable, Iterator
from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from chalicelib.catalogue.items import SELF_ASSESSED, CefrLevel, Item, LanguageCode
from infra.demo.recordings import Spoken

COURSES = Path(__file__).parent / "courses"
PRIVATE = Path(__file__).parent / "private"

Slug = Annotated[str, Field(max_length=60, pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
Title = Annotated[str, Field(min_length=1, max_length=120)]
LongText = Annotated[str, Field(min_length=1, max_length=2000)]
Position = Annotated[int, Field(ge=1)]


class BrokenCourse(Exception):
    """A course file that cannot be loaded. Each fault names its file, its place, and what is wrong."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ScoredAnswer(_Part):
    """An answer that a learner may give, and the score that it must get."""

    answer: str | list[str] | dict[str, str]
    score: float = Field(ge=0, le=1)


class ItemFile(_Part):
    """One exercise with its expected grades."""

    slug: Slug
    position: Position
    item: Item
    spoken: Spoken | None = Field(default=None, description="What its recording says")
    accepted: tuple[ScoredAnswer, ...] = Field(min_length=1)
    rejected: tuple[ScoredAnswer, ...] = Field(min_length=1)


class TrainingFile(_Part):
    """A block of exercises within a lesson."""

    slug: Slug
    position: Position
    title: Title
    items: tuple[ItemFile, ...] = Field(min_length=1)


class LessonFile(_Part):
    """One lesson. `can_do` says what the learner can do after it."""

    slug: Slug
    position: Position
    title: Title
    intro: LongText
    can_do: LongText
    trainings: tuple[TrainingFile, ...] = Field(min_length=1)
    source: Path = Field(description="The file that it was read from")


class CourseFile(_Part):
    """A whole course, in order. `language` is taught in the language `taught_in`."""

    slug: Slug
    title: Title
    description: LongText
    language: LanguageCode
    taught_in: LanguageCode
    cefr_level: CefrLevel
    lessons: tuple[LessonFile, ...] = Field(min_length=1)

    def items(self) -> Iterator[tuple[LessonFile, ItemFile]]:
        """Every item with the lesson that it belongs to."""
        for lesson in self.lessons:
            for training in lesson.trainings:
                for item in training.items:
                    yield lesson, item


def course_folders(under: Path = COURSES) -> list[Path]:
    """The folders that hold a course, by name."""
    return sorted(found.parent for found in under.glob("*/course.yaml"))


AudioUrl = Callable[[Spoken], str]


def _example_url(spoken: Spoken) -> str:
    return f"https://media.example.org/{spoken.file_name}"


def load_course(path: Path, audio_url: AudioUrl = _example_url) -> CourseFile:
    """Read the course in the folder `path`. Raises BrokenCourse with every fault of the first broken file.

    `audio_url` tells where a recording is served; whoever publishes nothing needs no true one.
    """
    file = path / "course.yaml"
    raw = _read(file)
    names = raw.get("lessons")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise BrokenCourse([f"{file}: lessons must list the names of the lesson files"])
    lessons = [_load_lesson(path / name, at, raw, audio_url) for at, name in enumerate(names, start=1)]
    course = _validated(CourseFile, {**raw, "lessons": lessons}, file)
    if faults := _repeated_slugs(course):
        raise BrokenCourse(faults)
    return course


def _load_lesson(file: Path, position: int, course: dict[str, Any], audio_url: AudioUrl) -> LessonFile:
    raw = {**_read(file), "position": position, "source": file}
    raw["trainings"] = _numbered(raw.get("trainings"))
    for training in raw["trainings"]:
        training["items"] = [
            _item(_with_audio(entry, course.get("language"), audio_url, file), course.get("cefr_level"))
            for entry in _numbered(training.get("items"))
        ]
    return _validated(LessonFile, raw, file)


class _TextLoader(yaml.CBaseLoader):
    """Makes text of every scalar, builds no objects, and refuses a name that stands twice in a mapping."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for name, _ in node.value:
            if str(name.value) in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"{name.value} stands there twice", problem_mark=name.start_mark
                )
            seen.add(str(name.value))
        return super().construct_mapping(node, deep)


def _read(file: Path) -> dict[str, Any]:
    try:
        raw = yaml.load(file.read_text(encoding="utf-8"), Loader=_TextLoader)  # noqa: S506 (see there)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise BrokenCourse([f"{file}: {error}"]) from error
    if not isinstance(raw, dict):
        raise BrokenCourse([f"{file}: must hold names and values"])
    return raw


def _numbered(entries: object) -> list[dict[str, Any]]:
    """The entries of a list, each with its position; what is no mapping is left to validation."""
    mappings = entries if isinstance(entries, list) else []
    return [
        {**(entry if isinstance(entry, dict) else {"slug": entry}), "position": position}
        for position, entry in enumerate(mappings, start=1)
    ]


def _with_audio(entry: dict[str, Any], language: object, audio_url: AudioUrl, file: Path) -> dict[str, Any]:
    """The entry with its `audio` as `spoken`, and in its content the address that this is served at."""
    content = entry.get("content")
    if not isinstance(content, dict) or "audio" not in content or "audio_url" in content:
        return entry
    audio = content["audio"]
    lines = [
        {"voice": language, **line} if isinstance(line, dict) else {"voice": language, "text": line}
        for line in (audio if isinstance(audio, list) else [audio])
    ]
    spoken = _validated(Spoken, {"lines": lines}, file, f"{entry.get('slug')} audio ")
    rest = {name: value for name, value in content.items() if name != "audio"}
    if entry.get("type") == "speaking_self_assessed":
        rest.setdefault("model_answer", spoken.text)
    return {**entry, "spoken": spoken, "content": {**rest, "audio_url": audio_url(spoken)}}


_ITEM_FIELDS = ("content", "key", "skill", "points")
_RATINGS = {
    "accepted": [{"answer": "good", "score": 1}, {"answer": "easy", "score": 1}],
    "rejected": [{"answer": "again", "score": 0}, {"answer": "hard", "score": 0.6}],
}


def _item(entry: dict[str, Any], cefr_level: object) -> dict[str, Any]:
    """An item file entry in the shape of ItemFile: the `type` told to content and key, options in full."""
    kind = entry.get("type")
    if kind in SELF_ASSESSED:
        entry = {"key": {}, **_RATINGS, **entry}
    item = {name: entry[name] for name in _ITEM_FIELDS if name in entry}
    item["cefr_level"] = entry.get("cefr_level", cefr_level)
    if isinstance(item.get("content"), dict):
        item["content"] = _content(kind, item["content"])
    if isinstance(item.get("key"), dict):
        item["key"] = _key(kind, entry)
    rest = {n: value for n, value in entry.items() if n not in (*_ITEM_FIELDS, "type", "cefr_level")}
    return {**rest, "item": item}


def _content(kind: object, content: dict[str, Any]) -> dict[str, Any]:
    full = {"type": kind, **{name: _options(name, value) for name, value in content.items()}}
    question = full.get("question")
    if isinstance(question, dict):
        full["question"] = _content(question.get("type"), question)
    return full


def _key(kind: object, entry: dict[str, Any]) -> dict[str, Any]:
    key, content, spoken = entry["key"], entry.get("content"), entry.get("spoken")
    if not isinstance(spoken, Spoken) or not isinstance(content, dict):
        return {"type": kind, **key}
    if kind == "listening":
        question = content.get("question")
        asked = question.get("type") if isinstance(question, dict) else None
        own = {name: value for name, value in key.items() if name == "explanation"}
        question_key = {name: value for name, value in key.items() if name not in own}
        return {"type": kind, "transcript": spoken.text, "question": {"type": asked, **question_key}, **own}
    if kind == "dictation":
        return {"type": kind, "accept": [spoken.text], **key}
    return {"type": kind, **key}


def _options(name: str, value: object) -> object:
    """Options written short, in full."""
    if name in ("options", "left", "right", "tokens") and isinstance(value, dict):
        return [{"id": option, "text": text} for option, text in value.items()]
    return value


_Model = TypeVar("_Model", bound=BaseModel)


def _validated(model: type[_Model], raw: dict[str, Any], file: Path, place: str = "") -> _Model:
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        raise BrokenCourse(
            [f"{file}: {place}{_place(raw, e['loc'])}: {e['msg']}" for e in error.errors()]
        ) from error


def _place(raw: object, location: tuple[int | str, ...]) -> str:
    """A validation location for a teacher: the slug of the innermost part, then the names below it."""
    place: list[str] = []
    for step in location:
        place.append(str(step))
        try:
            raw = raw[step]  # type: ignore[index]
        except (KeyError, IndexError, TypeError):
            raw = None  # the name of a union member, which is no step in the file
        if isinstance(raw, dict) and isinstance(raw.get("slug"), str):
            place = [raw["slug"]]
    return " ".join(place)


def _repeated_slugs(course: CourseFile) -> list[str]:
    """Faults for slugs that are not unique: items, trainings and lessons in the whole course."""
    first: dict[tuple[str, str], Path] = {}
    faults = []
    for kind, slug, source in _slugs(course):
        if (kind, slug) in first:
            faults.append(f"{source}: {slug}: this {kind} slug is taken in {first[kind, slug]}")
        first.setdefault((kind, slug), source)
    return faults


def _slugs(course: CourseFile) -> Iterator[tuple[str, str, Path]]:
    for lesson in course.lessons:
        yield "lesson", lesson.slug, lesson.source
        for training in lesson.trainings:
            yield "training", training.slug, lesson.source
            for item in training.items:
                yield "item", item.slug, lesson.source
