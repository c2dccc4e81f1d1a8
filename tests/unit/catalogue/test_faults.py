"""What is wrong with an exercise is told by the field that its author wrote, for every type."""

import json
from typing import Any

import pytest

from chalicelib.catalogue import schemas
from chalicelib.catalogue.items import ItemType
from chalicelib.core import bodies
from chalicelib.core.errors import Invalid

A, B, C = ({"id": name, "text": f"text {name}"} for name in "abc")
AUDIO = "https://media.example.org/x.mp3"
RIGHT: dict[ItemType, tuple[dict[str, Any], dict[str, Any]]] = {
    "multiple_choice": ({"options": [A, B]}, {"correct": "a"}),
    "multiple_select": ({"options": [A, B, C]}, {"correct": ["a", "b"]}),
    "cloze": ({"text": "Ich ___ Anna."}, {"gaps": [{"accept": ["bin"]}]}),
    "matching": ({"left": [A, B], "right": [A, B]}, {"pairs": {"a": "b", "b": "a"}}),
    "ordering": ({"tokens": [A, B]}, {"orders": [["b", "a"]]}),
    "translation": ({"text": "hello", "from_language": "en", "to_language": "de"}, {"accept": ["hallo"]}),
    "dictation": ({"audio_url": AUDIO}, {"accept": ["hallo"]}),
    "listening": (
        {"audio_url": AUDIO, "question": {"type": "multiple_choice", "prompt": "Who?", "options": [A, B]}},
        {"transcript": "Hallo", "question": {"type": "multiple_choice", "correct": "a"}},
    ),
    "speaking_self_assessed": ({"model_answer": "Hallo"}, {}),
    "flashcard": ({"front": "hello", "back": "hallo"}, {}),
}
FAULTS: list[tuple[ItemType, dict[str, Any], dict[str, Any], set[str]]] = [
    ("multiple_choice", {"options": [A, A]}, {}, {"content.options"}),
    ("multiple_choice", {"prompt": ""}, {}, {"content.prompt"}),
    ("multiple_choice", {}, {"correct": "z"}, {"key.correct"}),
    ("multiple_choice", {"colour": 1}, {"colour": 1}, {"content.colour", "key.colour"}),
    ("multiple_choice", {}, {"type": "cloze"}, {"key.gaps", "key.correct"}),
    ("multiple_choice", {"type": "riddle"}, {}, {"content"}),
    ("multiple_select", {}, {"correct": ["a", "b", "c"]}, {"key.correct"}),
    ("cloze", {"text": "No gap"}, {}, {"content.text"}),
    ("cloze", {"text": "___ and ___"}, {}, {"key.gaps"}),
    ("cloze", {}, {"gaps": [{"accept": ["..."]}]}, {"key.gaps.0.accept.0"}),
    ("cloze", {"word_bank": ["ist"]}, {}, {"key.gaps.0"}),
    ("matching", {}, {"pairs": {"a": "a", "b": "a"}}, {"key.pairs"}),
    ("ordering", {}, {"orders": [["b", "a"], ["a", "b"]]}, {"key.orders.1"}),
    ("translation", {"to_language": "German"}, {}, {"content.to_language"}),
    ("dictation", {"audio_url": "ftp://x"}, {}, {"content.audio_url"}),
    ("listening", {"question": {"type": "multiple_choice", "prompt": "Who?", "options": [A]}}, {},
     {"content.question.options"}),
    ("listening", {}, {"question": {"type": "multiple_choice", "correct": "z"}}, {"key.question.correct"}),
    ("speaking_self_assessed", {"model_answer": " "}, {}, {"content.model_answer"}),
    ("flashcard", {"back": None}, {}, {"content.back"}),
]  # fmt: skip


def read(kind: ItemType, content: dict[str, Any], key: dict[str, Any]) -> schemas.ItemCreate:
    right = RIGHT[kind]
    body = {
        "training_id": "trn_00000000000000000000000000", "slug": "x", "cefr_level": "A1", "skill": "reading",
        "content": {"type": kind, "prompt": "Do it", **right[0], **content},
        "key": {"type": kind, **right[1], **key},
    }  # fmt: skip
    return bodies.read(schemas.ItemCreate, json.dumps(body).encode(), "application/json")


@pytest.mark.parametrize("kind", RIGHT)
def test_every_type_can_be_written(kind: ItemType) -> None:
    assert read(kind, {}, {}).type == kind


@pytest.mark.parametrize(("kind", "content", "key", "fields"), FAULTS)
def test_a_fault_of_any_type_is_told_by_its_field(
    kind: ItemType, content: dict[str, Any], key: dict[str, Any], fields: set[str]
) -> None:
    with pytest.raises(Invalid) as refused:
        read(kind, content, key)
    assert set(refused.value.fields) == fields
    assert not [text for texts in refused.value.fields.values() for text in texts if "Value error" in text]


def test_every_type_has_a_fault_here() -> None:
    assert {kind for kind, *_ in FAULTS} == set(RIGHT)


def test_a_change_leaves_out_what_it_does_not_mean() -> None:
    def change(body: dict[str, Any]) -> schemas.ItemChange:
        return bodies.read(schemas.ItemChange, json.dumps(body).encode(), "application/json")

    assert change({}).model_fields_set == set()
    assert change({"points": 3}).model_fields_set == {"points"}
    with pytest.raises(Invalid) as refused:
        change({"points": None})
    assert list(refused.value.fields) == ["points"]
