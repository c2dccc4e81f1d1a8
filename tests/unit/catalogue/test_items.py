import json
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from chalicelib.catalogue.items import Content, Item, Key, OrderingContent, TypedAnswer
from chalicelib.core.settings import settings

LETTERS = [{"id": letter, "text": letter.upper()} for letter in "abc"]


def authored(content: dict[str, Any], key: dict[str, Any], **more: Any) -> Item:
    return Item.model_validate(
        {
            "content": {"prompt": "Do it", **content},
            "key": {"type": content["type"], **key},
            "cefr_level": "A1",
            "skill": "reading",
            **more,
        }
    )


CHOICE = {"type": "multiple_choice", "options": LETTERS}
SELECT = {"type": "multiple_select", "options": LETTERS}
CLOZE = {"type": "cloze", "text": "Ich ___ Anna und ______ aus Bern."}
MATCHING = {"type": "matching", "left": LETTERS, "right": LETTERS}
ORDERING = {"type": "ordering", "tokens": LETTERS}
AUDIO = "https://media.example.org/a.mp3"
LISTENING = {"type": "listening", "audio_url": AUDIO, "question": {"prompt": "Which?", **CHOICE}}
CHOOSE = {"type": "multiple_choice", "correct": "a"}


def test_an_item_has_the_type_of_its_content_and_counts_its_gaps() -> None:
    item = authored(CLOZE, {"gaps": [{"accept": ["heiße"]}, {"accept": ["komme"]}]})
    assert item.type == "cloze"
    assert item.content.type == "cloze"
    assert item.content.gap_count == 2
    assert item.points == 10


@pytest.mark.parametrize(
    ("content", "key", "says"),
    [
        (CHOICE, {"correct": "x"}, "no option x"),
        (CHOICE, {"correct": "a", "type": "multiple_select"}, "correct"),
        (SELECT, {"correct": ["a", "x"]}, "no option x"),
        (SELECT, {"correct": ["a", "a"]}, "twice"),
        (SELECT, {"correct": ["a", "b", "c"]}, "must be wrong"),
        (SELECT, {"correct": []}, "at least 1"),
        (CLOZE, {"gaps": [{"accept": ["heiße"]}]}, "2 gaps, the key 1"),
        (CLOZE, {"gaps": [{"accept": ["heiße"]}, {"accept": []}]}, "at least 1"),
        (CLOZE, {"gaps": [{"accept": ["heiße"]}, {"accept": ["?!"]}]}, "pattern"),
        (
            {**CLOZE, "word_bank": ["heiße", "bin"]},
            {"gaps": [{"accept": ["heiße"]}, {"accept": ["komme"]}]},
            "gaps.1: no accepted answer is in the word bank",
        ),
        (MATCHING, {"pairs": {"a": "a", "b": "b"}}, "exactly one partner"),
        (MATCHING, {"pairs": {"a": "a", "b": "b", "c": "x"}}, "no right entry x"),
        (MATCHING, {"pairs": {"a": "a", "b": "b", "c": "b"}}, "not reusable"),
        (
            LISTENING,
            {"transcript": "A", "question": {**CHOOSE, "correct": "x"}},
            "question.correct: there is no",
        ),
        (
            LISTENING,
            {"transcript": "A", "question": {**CHOOSE, "explanation": "Why"}},
            "beside the question's",
        ),
        (LISTENING, {"transcript": " ", "question": CHOOSE}, "pattern"),
        (LISTENING, {"question": CHOOSE}, "transcript"),
        (LISTENING, {"transcript": "A", "question": {"type": "flashcard"}}, "expected tags"),
        (LISTENING, {"transcript": "A", "question": {"type": "ordering", "orders": [["a"]]}}, "cannot grade"),
        ({"type": "flashcard", "front": "A", "back": "B"}, {"correct": "good"}, "Extra inputs"),
        (ORDERING, {"orders": [["a", "b"]]}, "each token exactly once"),
        (ORDERING, {"orders": [["c", "b", "b"]]}, "each token exactly once"),
        (ORDERING, {"orders": [["c", "b", "a"], ["a", "b", "c"]]}, "orders.1: the tokens are shown"),
    ],
)
def test_a_key_that_does_not_fit_is_refused(content: dict[str, Any], key: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        authored(content, key)


def test_a_key_of_another_type_is_refused() -> None:
    with pytest.raises(ValidationError, match="cannot grade content of type multiple_choice"):
        authored(CHOICE, {"type": "multiple_select", "correct": ["a"]})


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({**CHOICE, "options": [*LETTERS, LETTERS[0]]}, "id a stands there twice"),
        ({**CHOICE, "options": [*LETTERS, {"id": "d", "text": "A "}]}, "the text 'A' stands there twice"),
        ({**CHOICE, "options": LETTERS[:1]}, "at least 2"),
        ({**CHOICE, "options": [*LETTERS, {"id": "D!", "text": "D"}]}, "pattern"),
        ({**CHOICE, "prompt": " "}, "pattern"),
        ({**CHOICE, "prompt": "x" * 501}, "at most 500"),
        ({**CHOICE, "correct": "a"}, "Extra inputs"),
        ({**CLOZE, "text": "Ich heiße Anna."}, "one to twelve gaps"),
        ({**CLOZE, "text": "___ " * 13}, "one to twelve gaps"),
        ({"type": "dictation", "audio_url": "http://media.example.org/a.mp3"}, "pattern"),
        ({"type": "dictation", "audio_url": "http://127.0.0.1.example.org/a.mp3"}, "pattern"),
        ({"type": "dictation", "audio_url": "http://localhost:80@example.org/a.mp3"}, "pattern"),
        ({"type": "dictation", "audio_url": "https://media.example.org/a b.mp3"}, "pattern"),
        ({**LISTENING, "question": LISTENING}, "expected tags"),
        (
            {**LISTENING, "question": {"prompt": "Say", "type": "dictation", "audio_url": AUDIO}},
            "expected tags",
        ),
        ({"type": "speaking_self_assessed"}, "model_answer"),
        ({"type": "flashcard", "front": "A", "back": " "}, "pattern"),
        ({"type": "translation", "text": "Hi", "from_language": "English", "to_language": "de"}, "pattern"),
        ({"type": "crossword"}, "type"),
    ],
)
def test_content_that_makes_no_exercise_is_refused(content: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        TypeAdapter(Content).validate_python({"prompt": "Do it", **content})


def test_a_recording_on_this_machine_is_for_the_local_stage_only(monkeypatch: pytest.MonkeyPatch) -> None:
    content: TypeAdapter[Content] = TypeAdapter(Content)
    here = {"type": "dictation", "prompt": "Write", "audio_url": "http://localhost:4610/media/a.mp3"}
    there = {**here, "audio_url": AUDIO}
    monkeypatch.setenv("STAGE", "local")
    settings.cache_clear()
    content.validate_python(here)
    monkeypatch.setenv("STAGE", "prod")
    settings.cache_clear()
    try:
        content.validate_python(there)
        with pytest.raises(ValidationError, match="must begin with https"):
            content.validate_python(here)
    finally:
        settings.cache_clear()


def test_reusable_partners_and_repeated_tokens_are_allowed() -> None:
    authored({**MATCHING, "reusable": True}, {"pairs": {"a": "a", "b": "b", "c": "b"}})
    tokens = [{"id": "a", "text": "die"}, {"id": "b", "text": "die"}]
    assert OrderingContent.model_validate({"type": "ordering", "prompt": "Order", "tokens": tokens})
    with pytest.raises(ValidationError, match="shown in this order"):
        authored({"type": "ordering", "tokens": tokens}, {"orders": [["b", "a"]]})


@pytest.mark.parametrize("points", [0, 101])
def test_points_have_bounds(points: int) -> None:
    with pytest.raises(ValidationError, match="points"):
        authored(CHOICE, {"correct": "a"}, points=points)


def test_items_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        TypedAnswer(accept=("ja",)).case = "strict"  # type: ignore[misc]


def schema_parts(schema: Any) -> list[dict[str, Any]]:
    if isinstance(schema, dict):
        return [schema, *(part for inner in schema.values() for part in schema_parts(inner))]
    if isinstance(schema, list):
        return [part for inner in schema for part in schema_parts(inner)]
    return []


@pytest.mark.parametrize("union", [Content, Key])
def test_every_text_and_list_has_a_largest_size(union: Any) -> None:
    for part in schema_parts(TypeAdapter(union).json_schema()):
        if part.get("type") == "string" and not {"const", "enum"} & set(part):
            assert "maxLength" in part, part
        if part.get("type") == "array":
            assert "maxItems" in part, part


def test_what_a_learner_sees_tells_nothing_of_the_key() -> None:
    shown = json.dumps(TypeAdapter(Content).json_schema())
    for name in ("correct", "accept", "gaps", "pairs", "orders", "transcript", "explanation"):
        assert f'"{name}":' not in shown
    item = authored(CHOICE, {"correct": "a", "explanation": "Secret reason"})
    assert "Secret" not in item.content.model_dump_json()
