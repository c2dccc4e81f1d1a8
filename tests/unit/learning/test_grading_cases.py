"""The hard cases that the grading rules were chosen for, one by one."""

import pytest

from chalicelib.catalogue.items import (
    ClozeContent,
    ClozeKey,
    DictationContent,
    DictationKey,
    MatchingContent,
    MatchingKey,
    MultipleSelectContent,
    MultipleSelectKey,
    Option,
    OrderingContent,
    OrderingKey,
    TranslationContent,
    TranslationKey,
    TypedAnswer,
)
from chalicelib.core.errors import Invalid
from chalicelib.learning.grading import Grade, grade

TRANSLATION = TranslationContent(
    type="translation", prompt="Translate", text="…", from_language="en", to_language="de"
)
DICTATION = DictationContent(type="dictation", prompt="Listen", audio_url="https://media.example.org/a.mp3")
FOUR = tuple(Option(id=letter, text=letter.upper()) for letter in "abcd")


def typed(answer: str, accept: list[str], **rules: object) -> Grade:
    key = TranslationKey.model_validate({"type": "translation", "accept": accept, **rules})
    return grade(TRANSLATION, key, answer)


def select(answer: object) -> Grade:
    content = MultipleSelectContent(type="multiple_select", prompt="Pick", options=FOUR)
    return grade(content, MultipleSelectKey(type="multiple_select", correct=("a", "b")), answer)


def order(answer: object) -> Grade:
    content = OrderingContent(type="ordering", prompt="Order", tokens=FOUR[::-1])
    key = OrderingKey(type="ordering", orders=(("a", "b", "c", "d"),))
    return grade(content, key, answer)


OK, NEAR, WRONG = ("correct", 1.0), ("near_miss", 0.9), ("incorrect", 0.0)
INFLECTION = {"typos": "wrong", "diacritics": "strict"}


@pytest.mark.parametrize(
    ("number", "expected", "answer", "verdict", "rules"),
    [
        (1, "Straße", "STRASSE", OK, {}),
        (2, "Straße", "Strase", NEAR, {}),
        (3, "schön", "scho\u0308n", OK, {}),
        (4, "schön", "schoen", NEAR, {}),
        (4, "schön", "schoen", OK, {"umlaut_ascii": "accept"}),
        (4, "schön", "schoen", WRONG, {"umlaut_ascii": "wrong"}),
        (5, "neue", "neü", WRONG, {}),
        (6, "schon", "schön", WRONG, {}),
        (7, "Haus", "haus", NEAR, {"case": "near_miss"}),
        (7, "Haus", "haus", WRONG, {"case": "strict"}),
        (8, "Sie", "sie", NEAR, {"case": "near_miss"}),
        (9, "año", "ano", WRONG, {}),
        (10, "mañana", "man\u0303ana", OK, {}),
        (11, "café", "cafe", NEAR, {}),
        (12, "sí", "si", WRONG, {"diacritics": "strict"}),
        (13, "¿Cómo estás?", "Cómo estás", OK, {}),
        (14, "¿Cómo estás?", "Como estas", NEAR, {}),
        (15, "hablo", "habló", WRONG, {}),
        (16, "él", "el", WRONG, {}),
        (17, '"hi"', "„hi“", OK, {}),
        (17, '"hi"', "„hi“", OK, {"punctuation": "strict"}),
        (18, "hello", "hello\u00a0", OK, {}),
        (19, "hello", "hel\u200blo", OK, {}),
        (20, "l'eau", "l´eau", OK, {}),
        (21, "I'm", "I’m", OK, {}),
        (22, "its", "it's", WRONG, {}),
        (24, "don't", "dont", NEAR, {}),
        (25, "ice cream", "ice  cream", OK, {}),
        (26, "e-mail", "e–mail", OK, {}),
        (28, "zwölf", "12", WRONG, {}),
        (29, "the", "teh", WRONG, {}),
        (30, "because", "becuase", NEAR, {}),
        (31, "there", "their", WRONG, {"distractors": ["their"]}),
        (32, "der", "den", WRONG, {}),
        (33, "yes", "yes.", OK, {}),
        (34, "yes", "", WRONG, {}),
        (35, "x2", "x²", WRONG, {}),
        (36, "final", "ﬁnal", OK, {}),
    ],
)
def test_a_hard_case(
    number: int, expected: str, answer: str, verdict: tuple[str, float], rules: dict[str, object]
) -> None:
    graded = typed(answer, [expected], **rules)
    assert (graded.result, graded.score) == verdict, f"case {number}: {graded}"


def test_hard_cases_23_and_27_another_way_to_say_it_is_right_where_the_item_lists_it() -> None:
    assert typed("do not", ["don't", "do not"]).score == 1
    assert typed("12", ["zwölf", "12"]).score == 1


@pytest.mark.parametrize(
    ("picks", "score"),
    [(["a"], 0.5), (["a", "b", "c", "d"], 0.0), (["b", "a"], 1.0), ([], 0.0), (["c"], 0.0)],
)
def test_hard_cases_37_and_38_a_wrong_pick_takes_away_what_a_right_one_gives(
    picks: list[str], score: float
) -> None:
    assert select(picks).score == score


@pytest.mark.parametrize(
    ("answer", "result", "score"),
    [
        ("abdc", "partial", 0.8333),
        ("abcd", "correct", 1.0),
        ("dcba", "incorrect", 0.0),
        ("bcda", "partial", 0.5),
    ],
)
def test_hard_case_39_ordering_counts_inversions(answer: str, result: str, score: float) -> None:
    graded = order(list(answer))
    assert (graded.result, graded.score) == (result, score)


@pytest.mark.parametrize(
    ("answer", "result", "score"),
    [
        ("Ich komme aus Bern.", "correct", 1.0),
        ("ich komme Bern", "partial", 0.75),
        ("Ich komme aus aus Bern", "partial", 0.75),
        ("Ich kommme aus Bern", "near_miss", 0.975),
        ("Ich wohne in Köln", "partial", 0.25),
        ("nichts davon stimmt hier und das ist auch noch viel zu lang", "incorrect", 0.0),
        ("", "incorrect", 0.0),
    ],
)
def test_hard_case_40_dictation_counts_words(answer: str, result: str, score: float) -> None:
    key = DictationKey(type="dictation", accept=("Ich komme aus Bern.",))
    graded = grade(DICTATION, key, answer)
    assert (graded.result, graded.score) == (result, score)


@pytest.mark.parametrize("expected", ["sábado  domingo ", "sábado\u00a0domingo"])
def test_grade_1_the_key_passes_the_same_clean_up_as_the_answer(expected: str) -> None:
    assert typed("sábado domingo", [expected], punctuation="strict", case="strict").score == 1


def test_grade_2_the_feedback_names_what_differed() -> None:
    graded = typed("buenos dias, soy ana", ["Buenos días, soy Ana"])
    assert (graded.result, graded.score) == ("near_miss", 0.9)
    assert [(entry.code, entry.expected, entry.given) for entry in graded.feedback] == [
        ("missing_accent", "días", "dias")
    ]
    assert "días" in graded.feedback[0].message


def test_grade_3_an_inverted_mark_inside_a_sentence_is_optional() -> None:
    assert typed("Hola, cómo estás", ["Hola, ¿cómo estás?"]).score == 1


@pytest.mark.parametrize("answer", ["abc", "abcdd", "abcdx", "abca", "abcx"])
def test_grade_4_an_ordering_that_is_no_permutation_is_refused(answer: str) -> None:
    with pytest.raises(Invalid) as refused:
        order(list(answer))
    assert next(iter(refused.value.fields)).split(".")[0] == "answer"


def test_grade_5_select_refuses_repeated_picks_and_counts_wrong_ones() -> None:
    with pytest.raises(Invalid) as refused:
        select(["a", "a"])
    assert list(refused.value.fields) == ["answer.1"]
    assert select(["a", "b", "c"]).score == 0.5


def test_grade_6_a_blank_gap_keeps_its_place() -> None:
    content = ClozeContent(type="cloze", prompt="Count", text="___, ___, ___")
    key = ClozeKey(type="cloze", gaps=tuple(TypedAnswer(accept=(word,)) for word in ("uno", "dos", "tres")))
    graded = grade(content, key, ["uno", " ", "tres"])
    assert (graded.result, graded.score) == ("partial", 0.6667)
    assert [(entry.at, entry.code) for entry in graded.feedback] == [
        ("0", "right"),
        ("1", "no_answer"),
        ("2", "right"),
    ]


@pytest.mark.parametrize(
    ("expected", "answer", "verdict", "rules"),
    [
        ("schön", "schon", WRONG, {"distractors": ["schon"]}),
        ("castellano", "castellaño", WRONG, {}),
        ("mañana", "manana", WRONG, {}),
        ("Frühstück", "Fruehstueck", WRONG, {"umlaut_ascii": "wrong"}),
        ("Mutter", "Butter", WRONG, {"distractors": ["Butter"]}),
        ("Mutter", "Muter", NEAR, {}),
        ("Mutter", "Muter", WRONG, INFLECTION),
        ("einen", "einem", WRONG, INFLECTION),
        ("Ich komme aus Bern", "Ich kome aus Berrn", WRONG, {}),
        ("Meine Schwester arbeitet morgen", "Meine Schwestr arbeitet morgen", NEAR, {}),
        ("Meine Schwester arbeitet morgen", "Meine Schwestr arbeitt morgen", WRONG, {}),
        ("hablamos", "hablámo", WRONG, {}),
        ("schönes", "shoenes", NEAR, {}),
        ("schönes", "shoenes", WRONG, {"umlaut_ascii": "wrong"}),
        ("Guten Tag", "Gutentag", NEAR, {}),
        ("Guten Tag", "Gutentag", WRONG, INFLECTION),
        ("2026", "2025", WRONG, {}),
        ("12345", "12346", WRONG, {}),
        ("Hallo! Ich bin Ben.", "Hallo, ich bin Ben", OK, {}),
        ("Hallo, ich bin Ben", "Hallo,ich bin Ben", OK, {}),
        ("Wie geht es dir?", "Wie geht es dir", NEAR, {"punctuation": "near_miss"}),
        ("Wie geht es dir?", "Wie geht es dir", WRONG, {"punctuation": "strict"}),
        ("Wie geht es dir?", "Wie geht es dir ?", OK, {"punctuation": "ignore"}),
        ("3,50 Euro", "350 Euro", WRONG, {}),
        ("don't", "dont", WRONG, {"punctuation": "strict"}),
        ("Ich habe keine Schwester", "Ich habe Schwester", WRONG, {}),
        ("Äpfel", "aepfel", NEAR, {"case": "near_miss", "umlaut_ascii": "accept"}),
        ("Straße", "STRASSE", NEAR, {"case": "near_miss"}),
        ("Straße", "Strasse", OK, {"case": "strict"}),
    ],
)
def test_beyond_the_table(
    expected: str, answer: str, verdict: tuple[str, float], rules: dict[str, object]
) -> None:
    graded = typed(answer, [expected], **rules)
    assert (graded.result, graded.score) == verdict, graded


@pytest.mark.parametrize(
    ("expected", "answer", "verdict"),
    [
        ("¡Qué bien!", "Qué bien", OK),
        ("¡Qué bien!", "Que bien", NEAR),
        ("¡Hola! ¿Cómo estás?", "hola cómo estás", OK),
        ("groß", "GROẞ", OK),
        ("weiß", "weis", NEAR),
        ("scho\u0308n", "schön", OK),
        ("man\u0303ana", "manana", WRONG),
        ("ÄPFEL", "a\u0308pfel", OK),
        ("naïve", "naive", NEAR),
        ("«hola»", '"hola"', OK),
        ("‚ja‘", "'ja'", OK),
        ("rock 'n' roll", "rock ‘n’ roll", OK),
        ("10.30 Uhr", "10.30 Uhr.", OK),
        ("10.30 Uhr", "10:30 Uhr", WRONG),
        ("3. Mai", "3 Mai", OK),
        ("1,5", "1.5", WRONG),
        ("1.000", "1000", WRONG),
        ("-3", "3", WRONG),
        ("21", "12", WRONG),
        ("50 %", "50%", NEAR),
    ],
)
def test_marks_accents_quotes_and_numbers(expected: str, answer: str, verdict: tuple[str, float]) -> None:
    """Numbers are never a slip; another way to write one is right where the item lists it."""
    graded = typed(answer, [expected])
    assert (graded.result, graded.score) == verdict, graded


def test_a_word_of_another_accepted_answer_is_never_a_slip() -> None:
    assert typed("deine Vater", ["dein Vater"], typos="near_miss").score == 0
    accepted = ["meinen Hund", "meiner Katze"]
    assert typed("meiner Hund", accepted).score == 0


def test_a_wrong_answer_is_shown_the_nearest_right_one() -> None:
    graded = typed("Mein Name ist Ben", ["Ich heiße Anna", "Mein Name ist Anna"])
    assert graded.correct_answer == "Mein Name ist Anna"
    assert [(entry.code, entry.expected, entry.given) for entry in graded.feedback] == [
        ("wrong_word", "Anna", "Ben")
    ]


def test_missing_and_additional_words_are_named() -> None:
    missing = typed("Ich komme Bern", ["Ich komme aus Bern"]).feedback
    assert [(entry.code, entry.expected) for entry in missing] == [("missing_word", "aus")]
    additional = typed("Ich komme aus dem Bern", ["Ich komme aus Bern"]).feedback
    assert [(entry.code, entry.given) for entry in additional] == [("extra_word", "dem")]


def test_what_another_gap_asks_for_is_never_a_slip() -> None:
    content = ClozeContent(type="cloze", prompt="Fill in", text="___ Vater, ___ Hund")
    key = ClozeKey(type="cloze", gaps=(TypedAnswer(accept=("meinem",)), TypedAnswer(accept=("meinen",))))
    assert grade(content, key, ["meinen", "meinem"]).score == 0
    assert grade(content, key, ["meinemm", "meienn"]).score == 0.9


def test_a_word_of_the_word_bank_is_never_a_slip() -> None:
    content = ClozeContent(type="cloze", prompt="Fill in", text="___ Vater", word_bank=("meinem", "meinen"))
    key = ClozeKey(type="cloze", gaps=(TypedAnswer(accept=("meinem",)),))
    assert grade(content, key, ["meinen"]).score == 0


def test_matching_gives_the_share_of_right_pairs_and_names_each() -> None:
    content = MatchingContent(type="matching", prompt="Match", left=FOUR, right=FOUR)
    key = MatchingKey(type="matching", pairs={letter: letter for letter in "abcd"})
    graded = grade(content, key, {"a": "a", "b": "c", "c": "b"})
    assert (graded.result, graded.score) == ("partial", 0.25)
    assert [(entry.at, entry.code) for entry in graded.feedback] == [
        ("a", "right"),
        ("b", "wrong_pair"),
        ("c", "wrong_pair"),
        ("d", "no_answer"),
    ]
    with pytest.raises(Invalid):
        grade(content, key, {"a": "a", "b": "a"})


def test_a_reusable_partner_may_be_given_twice() -> None:
    content = MatchingContent(
        type="matching",
        prompt="der, die or das?",
        left=FOUR[:3],
        right=(Option(id="m", text="der"), Option(id="f", text="die")),
        reusable=True,
    )
    key = MatchingKey(type="matching", pairs={"a": "m", "b": "m", "c": "f"})
    assert grade(content, key, {"a": "m", "b": "m", "c": "f"}).score == 1
    assert grade(content, key, {"a": "m", "b": "m", "c": "m"}).score == 0.6667


def test_tokens_with_the_same_text_stand_in_for_each_other() -> None:
    texts = {"a": "die", "b": "Mutter", "c": "die", "d": "und", "e": "Tochter"}
    content = OrderingContent(
        type="ordering", prompt="Order", tokens=tuple(Option(id=i, text=t) for i, t in texts.items())
    )
    key = OrderingKey(type="ordering", orders=(("a", "b", "d", "c", "e"),))
    assert grade(content, key, ["c", "b", "d", "a", "e"]).score == 1


def test_ordering_takes_any_right_order_and_tells_where_it_goes_wrong() -> None:
    tokens = tuple(
        Option(id=i, text=t) for i, t in {"w": "wohne", "h": "heute", "i": "ich", "b": "in Bern"}.items()
    )
    content = OrderingContent(type="ordering", prompt="Order", tokens=tokens)
    key = OrderingKey(type="ordering", orders=(("i", "w", "h", "b"), ("h", "w", "i", "b")))
    assert grade(content, key, ["h", "w", "i", "b"]).score == 1
    graded = grade(content, key, ["i", "h", "w", "b"])
    assert (graded.score, graded.correct_answer) == (0.8333, ["i", "w", "h", "b"])
    assert [(entry.code, entry.at, entry.expected) for entry in graded.feedback] == [
        ("wrong_order", "h", "wohne")
    ]


def test_a_slip_and_a_mark_in_one_word_are_both_named() -> None:
    feedback = typed("hablámo", ["hablamos"]).feedback
    assert [entry.code for entry in feedback] == ["spelling", "extra_accent"]
    assert [entry.code for entry in typed("fútbl", ["fútbol"]).feedback] == ["spelling"]
    assert [entry.code for entry in typed("futbl", ["fútbol"]).feedback] == ["spelling", "missing_accent"]
