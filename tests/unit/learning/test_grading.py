"""What holds for every item and every answer."""

import time
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.catalogue.items import SELF_ASSESSED, Item, ItemType, TypedAnswer
from chalicelib.core.errors import Invalid
from chalicelib.learning import text
from chalicelib.learning.folding import PASS_MARK
from chalicelib.learning.grading import LONGEST_ANSWER, grade, inversions

LETTERS = "abcd"


def options(letters: str = LETTERS) -> list[dict[str, str]]:
    return [{"id": letter, "text": f"Option {letter}"} for letter in letters]


def item(content: dict[str, Any], key: dict[str, Any]) -> Item:
    kind = content["type"]
    return Item.model_validate(
        {
            "content": {"prompt": "Answer", **content},
            "key": {"type": kind, **key},
            "cefr_level": "A1",
            "skill": "grammar",
        }
    )


CHOICE = item({"type": "multiple_choice", "options": options()}, {"correct": "c", "explanation": "Because."})
SELECT = item({"type": "multiple_select", "options": options()}, {"correct": ["b", "d"]})
CLOZE = item(
    {"type": "cloze", "text": "Ich ___ Anna und ich ___ aus Zürich. Wie ___ du?"},
    {"gaps": [{"accept": ["heiße", "bin"]}, {"accept": ["komme"]}, {"accept": ["heißt"], "typos": "wrong"}]},
)
MATCHING = item(
    {"type": "matching", "left": options(), "right": options("wxyz")},
    {"pairs": dict(zip("abcd", "wxyz", strict=True))},
)
ORDERING = item({"type": "ordering", "tokens": options("dcab")}, {"orders": [list("abcd"), list("bacd")]})
TRANSLATION = item(
    {"type": "translation", "text": "My name is Anna.", "from_language": "en", "to_language": "de"},
    {"accept": ["Ich heiße Anna.", "Mein Name ist Anna."], "case": "near_miss"},
)
DICTATION = item(
    {"type": "dictation", "audio_url": "https://media.example.org/a.mp3"}, {"accept": ["Schöne Grüße!"]}
)
AUDIO = "https://media.example.org/a.mp3"
LISTENING = item(
    {
        "type": "listening",
        "audio_url": AUDIO,
        "question": {"type": "cloze", "prompt": "What do you hear?", "text": "Der Zug hat ___ Minuten ___."},
    },
    {
        "transcript": "Achtung: Der Zug hat zehn Minuten Verspätung.",
        "question": {"type": "cloze", "gaps": [{"accept": ["zehn", "10"]}, {"accept": ["Verspätung"]}]},
        "explanation": "die Verspätung, delay",
    },
)
SPEAKING = item({"type": "speaking_self_assessed", "model_answer": "Ich heiße Anna.", "audio_url": AUDIO}, {})
FLASHCARD = item({"type": "flashcard", "front": "the sister", "back": "die Schwester"}, {})
ITEMS = {
    each.type: each
    for each in (
        *(CHOICE, SELECT, CLOZE, MATCHING, ORDERING, TRANSLATION, DICTATION),
        *(LISTENING, SPEAKING, FLASHCARD),
    )
}
assert set(ITEMS) == set(get_args(ItemType))
every_item = pytest.mark.parametrize("each", ITEMS.values(), ids=ITEMS.keys())

words = st.sampled_from([*"abcdwxyz", "heiße", "Heisse", "komme", "Ich heiße Anna", "", " ", "\ud800", "é"])
scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | words | st.text(max_size=30)
)
json_values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=5) | st.dictionaries(words | st.text(max_size=5), inner, max_size=5)
    ),
    max_leaves=8,
)


@every_item
@given(answer=json_values)
@settings(max_examples=150, deadline=None)
def test_any_json_is_graded_or_refused(each: Item, answer: object) -> None:
    try:
        graded = grade(each.content, each.key, answer)
    except Invalid as refused:
        assert all(name.split(".")[0] == "answer" for name in refused.fields)  # noqa: PT017
        assert answer is not None
    else:
        assert 0 <= graded.score <= 1
        assert round(graded.score, 4) == graded.score
        assert (graded.score == 1) == (graded.result == "correct")
        assert (graded.score == 0) == (graded.result == "incorrect")


@every_item
@given(texts=st.lists(st.text(max_size=40), min_size=3, max_size=3))
@settings(max_examples=100, deadline=None)
def test_any_text_is_graded(each: Item, texts: list[str]) -> None:
    if each.type in ("cloze", "translation", "dictation"):
        answer: object = texts if each.type == "cloze" else texts[0]
        assert 0 <= grade(each.content, each.key, answer).score <= 1


@every_item
def test_the_answer_shown_as_right_is_right(each: Item) -> None:
    shown = grade(each.content, each.key, None).correct_answer
    graded = grade(each.content, each.key, shown)
    assert (graded.result, graded.score) == ("correct", 1)
    assert graded.correct_answer == shown


@every_item
def test_not_knowing_is_accepted_and_worth_nothing(each: Item) -> None:
    graded = grade(each.content, each.key, None)
    assert (graded.result, graded.score) == ("incorrect", 0)
    assert graded.feedback[0].code == "not_known"


def test_the_explanation_is_told_last_whatever_the_answer() -> None:
    for answer in ("a", "c", None):
        assert grade(CHOICE.content, CHOICE.key, answer).feedback[-1].message == "Because."


@pytest.mark.parametrize(
    ("each", "answer", "field"),
    [
        (CHOICE, "x", "answer"),
        (CHOICE, ["c"], "answer"),
        (CHOICE, True, "answer"),
        (SELECT, "b", "answer"),
        (SELECT, ["b", 1], "answer.1"),
        (SELECT, ["b", "x"], "answer.1"),
        (SELECT, ["b", "d", "b"], "answer.2"),
        (SELECT, ["b"] * 10_000, "answer"),
        (CLOZE, ["heiße", "komme"], "answer"),
        (CLOZE, ["heiße", "komme", "heißt", ""], "answer"),
        (CLOZE, ["heiße", None, "heißt"], "answer.1"),
        (CLOZE, ["heiße", "x" * (LONGEST_ANSWER + 1), "heißt"], "answer.1"),
        (CLOZE, "heiße", "answer"),
        (MATCHING, [["a", "w"]], "answer"),
        (MATCHING, {"q": "w"}, "answer"),
        (MATCHING, {"a": "q"}, "answer.a"),
        (MATCHING, {"a": None}, "answer.a"),
        (MATCHING, {"a": "w", "b": "w"}, "answer"),
        (ORDERING, ["a", "b", "c"], "answer"),
        (ORDERING, ["a", "b", "c", "c"], "answer.3"),
        (ORDERING, ["a", "b", "c", "x"], "answer.3"),
        (TRANSLATION, 12, "answer"),
        (TRANSLATION, "x" * (LONGEST_ANSWER + 1), "answer"),
        (TRANSLATION, "\ud83d", "answer"),
        (DICTATION, {"text": "Schöne Grüße"}, "answer"),
        (LISTENING, "zehn", "answer"),
        (LISTENING, ["zehn", 3], "answer.1"),
        (SPEAKING, "perfect", "answer"),
        (SPEAKING, "Good", "answer"),
        (FLASHCARD, ["good"], "answer"),
        (FLASHCARD, 1, "answer"),
    ],
)
def test_an_answer_of_the_wrong_shape_is_refused(each: Item, answer: object, field: str) -> None:
    with pytest.raises(Invalid) as refused:
        grade(each.content, each.key, answer)
    assert list(refused.value.fields) == [field]


def test_listening_is_graded_as_its_question_and_tells_what_was_said() -> None:
    graded = grade(LISTENING.content, LISTENING.key, ["10", "Bahnhof"])
    assert (graded.result, graded.score, graded.correct_answer) == ("partial", 0.5, ["10", "Verspätung"])
    assert [(one.code, one.message) for one in graded.feedback[-2:]] == [
        ("transcript", "Achtung: Der Zug hat zehn Minuten Verspätung."),
        ("explanation", "die Verspätung, delay"),
    ]


@pytest.mark.parametrize("each", [SPEAKING, FLASHCARD], ids=lambda each: each.type)
@pytest.mark.parametrize(
    ("rating", "result", "score"),
    [("again", "incorrect", 0), ("hard", "partial", 0.6), ("good", "correct", 1), ("easy", "correct", 1)],
)
def test_learners_rate_themselves_and_hard_passes(each: Item, rating: str, result: str, score: float) -> None:
    graded = grade(each.content, each.key, rating)
    assert (graded.result, graded.score) == (result, score)
    assert (graded.score >= PASS_MARK) == (rating != "again")
    assert [(one.code, one.given) for one in graded.feedback] == [("self_assessed", rating)]
    assert each.type in SELF_ASSESSED


def test_content_and_key_of_different_types_are_a_fault_of_the_caller() -> None:
    with pytest.raises(TypeError):
        grade(CHOICE.content, SELECT.key, "a")


@given(picks=st.sets(st.sampled_from("abcd")), one_more=st.sampled_from("bd"))
def test_one_more_right_pick_never_costs_anything(picks: set[str], one_more: str) -> None:
    fewer = grade(SELECT.content, SELECT.key, sorted(picks))
    assert grade(SELECT.content, SELECT.key, sorted(picks | {one_more})).score >= fewer.score


@given(partners=st.permutations("wxyz"), kept=st.sets(st.sampled_from("abcd")))
def test_the_share_of_right_pairs_is_the_score(partners: list[str], kept: set[str]) -> None:
    answer = {left: partner for left, partner in zip("abcd", partners, strict=True) if left in kept}
    right = sum(ord(partner) - ord(left) == ord("w") - ord("a") for left, partner in answer.items())
    assert grade(MATCHING.content, MATCHING.key, answer).score == right / 4


@given(
    gaps=st.lists(st.sampled_from(["heiße", "heise", "komme", "heißt", "", "bin"]), min_size=3, max_size=3),
    place=st.integers(0, 2),
)
def test_a_gap_put_right_never_costs_anything(gaps: list[str], place: int) -> None:
    better = list(gaps)
    better[place] = ["heiße", "komme", "heißt"][place]
    before = grade(CLOZE.content, CLOZE.key, gaps).score
    assert grade(CLOZE.content, CLOZE.key, better).score >= before


@given(order=st.permutations("abcd"), place=st.integers(0, 2))
def test_swapping_neighbours_into_order_never_costs_anything(order: list[str], place: int) -> None:
    single = item({"type": "ordering", "tokens": options("dcab")}, {"orders": [list("abcd")]})
    better = list(order)
    better[place : place + 2] = sorted(better[place : place + 2])
    before = grade(single.content, single.key, order).score
    after = grade(single.content, single.key, better).score
    assert after > before or better == order


@given(st.permutations(range(6)))
def test_inversions_of_an_order_and_its_reverse_make_up_all_pairs(places: list[int]) -> None:
    assert inversions(places) + inversions(places[::-1]) == 15


@given(st.text(max_size=60))
def test_the_clean_up_changes_nothing_the_second_time(written: str) -> None:
    for clean in (text.tidy, text.without_punctuation):
        once = clean(written)
        assert clean(once) == once


@given(st.text(max_size=60), st.sampled_from([" ", "\u00a0", "\u200b", ".", "!", "¿", "\u00ad"]))
def test_what_the_clean_up_drops_makes_no_difference(written: str, noise: str) -> None:
    plain = text.without_punctuation(written)
    assert text.without_punctuation(f"{noise}{plain}{noise}") == plain


@given(st.text(alphabet="abcßäé", max_size=9), st.text(alphabet="abcßäé", max_size=9))
def test_edits_are_symmetric_and_cut_off_at_the_limit(left: str, right: str) -> None:
    exact = text.edits(left, right, 20)
    assert exact == text.edits(right, left, 20)
    assert (exact == 0) == (left == right)
    for limit in range(4):
        assert text.edits(left, right, limit) == min(exact, limit + 1)


@pytest.mark.parametrize(
    ("left", "right", "distance"),
    [("the", "teh", 1), ("ca", "abc", 3), ("kitten", "sitting", 3), ("", "ab", 2)],
)
def test_a_swap_of_neighbours_is_one_edit(left: str, right: str, distance: int) -> None:
    assert text.edits(left, right, 9) == distance


@pytest.mark.parametrize(
    ("word", "slips"), [("bank", 0), ("banks", 1), ("eightyyy", 1), ("ninelette", 2), ("a1234", 0)]
)
def test_longer_words_forgive_more(word: str, slips: int) -> None:
    assert text.slips_allowed(word) == slips


@pytest.mark.parametrize(
    "answer", ["a" * LONGEST_ANSWER, "a " * (LONGEST_ANSWER // 2), "heise annna " * 160, "é" * 2000]
)
def test_the_longest_answers_are_graded_within_bounds(answer: str) -> None:
    rules = TypedAnswer(accept=tuple(f"das ist mein bruder nummer{n} " * 5 for n in range(40)))
    began = time.process_time()
    assert not text.nearest(answer, rules).near
    assert time.process_time() - began < 2
    longest_kept = "mein bruda ist das " * 12
    assert not text.nearest(longest_kept, rules).near
    assert time.process_time() - began < 4
