"""Grading: what an answer is worth, and what to tell the learner about it.

Pure functions of content, key and answer. An answer of the wrong shape is refused (`Invalid` naming
`answer`), a wrong answer is graded. `None` means "I don't know": taken, and worth nothing.

    type             score
    multiple_choice  1 or 0
    multiple_select  (right picks - wrong picks) / right options, at least 0
    cloze            mean of the gaps
    matching         share of right pairs
    ordering         1 - inversions / most inversions possible, over the nearest right order
    translation      1, 0.9 for a near miss, or 0
    dictation        1 - word edits / words, at least 0; a near miss is a tenth of an edit
    listening        as its question
    speaking_self_assessed, flashcard
                     again 0, hard 0.6, good and easy 1: what learners say of themselves
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Literal

from pydantic import ConfigDict, Field

from chalicelib.catalogue.items import (
    ClozeContent,
    ClozeKey,
    Content,
    DictationContent,
    DictationKey,
    FlashcardContent,
    FlashcardKey,
    Key,
    ListeningContent,
    ListeningKey,
    MatchingContent,
    MatchingKey,
    MultipleChoiceContent,
    MultipleChoiceKey,
    MultipleSelectContent,
    MultipleSelectKey,
    Option,
    OrderingContent,
    OrderingKey,
    Rating,
    SpeakingContent,
    SpeakingKey,
    TranslationContent,
    TranslationKey,
)
from chalicelib.core.errors import Invalid
from chalicelib.core.types import Schema
from chalicelib.learning import text
from chalicelib.learning.text import Comparison, Difference

LONGEST_ANSWER = 2000
"""Characters per typed text. Refused before any alignment, which is quadratic."""
NEAR_MISS = Fraction(9, 10)
RATINGS: dict[Rating, Fraction] = {
    "again": Fraction(0),
    "hard": Fraction(6, 10),
    "good": Fraction(1),
    "easy": Fraction(1),
}
"""`hard` was known, so it passes; spaced repetition reads the rating back from its score but for `easy`."""

Result = Literal["correct", "near_miss", "partial", "incorrect"]
Answer = str | list[str] | dict[str, str]
FeedbackCode = (
    text.Code
    | Literal["right", "wrong_choice", "missed", "wrong_pair", "wrong_order", "self_assessed", "not_known"]
    | Literal["transcript", "explanation"]
)


class Feedback(Schema):
    """One thing to tell the learner, for a program by `code` and for a person by `message`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    code: FeedbackCode = Field(examples=["missing_accent"])
    message: str = Field(max_length=13_000, examples=["Mind the accent: días, not dias."])
    at: str | None = Field(
        default=None,
        max_length=16,
        description="Which part it is about: the number of the gap (from 0), or the id of the option",
        examples=["0"],
    )
    expected: str | None = Field(default=None, max_length=6000, examples=["días"])
    given: str | None = Field(default=None, max_length=6000, examples=["dias"])


class Grade(Schema):
    """What an answer is worth."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    result: Result
    score: float = Field(ge=0, le=1, description="Rounded to four places", examples=[0.9])
    feedback: tuple[Feedback, ...] = Field(max_length=2100)
    correct_answer: Answer = Field(
        description="A right answer in the shape of the item's answers; the one nearest to what was typed",
        examples=["Buenos días, soy Ana"],
    )


def grade(content: Content, key: Key, answer: object) -> Grade:
    """Grade an answer, given as parsed JSON. Raises Invalid when its shape is not this item's."""
    match content, key:
        case MultipleChoiceContent(), MultipleChoiceKey():
            graded = _grade_choice(content, key, answer)
        case MultipleSelectContent(), MultipleSelectKey():
            graded = _grade_select(content, key, answer)
        case ClozeContent(), ClozeKey():
            graded = _grade_cloze(content, key, answer)
        case MatchingContent(), MatchingKey():
            graded = _grade_matching(content, key, answer)
        case OrderingContent(), OrderingKey():
            graded = _grade_ordering(content, key, answer)
        case TranslationContent(), TranslationKey():
            graded = _grade_translation(key, answer)
        case DictationContent(), DictationKey():
            graded = _grade_dictation(key, answer)
        case (SpeakingContent(), SpeakingKey()) | (FlashcardContent(), FlashcardKey()):
            graded = _grade_rating(answer)
        case ListeningContent(), ListeningKey():
            graded = _told_more(grade(content.question, key.question, answer), "transcript", key.transcript)
        case _:
            raise TypeError(f"a key of type {key.type} cannot grade content of type {content.type}")
    return _told_more(graded, "explanation", key.explanation)


def _told_more(graded: Grade, code: FeedbackCode, message: str | None) -> Grade:
    if message is None:
        return graded
    last = Feedback(code=code, message=message)
    return graded.model_copy(update={"feedback": (*graded.feedback, last)})


def _graded(score: Fraction, feedback: Iterable[Feedback], correct_answer: Answer, *, near: bool) -> Grade:
    """`near` tells that nothing was worse than a near miss."""
    result: Result = "partial"
    if score == 1:
        result = "correct"
    elif near:
        result = "near_miss"
    elif score == 0:
        result = "incorrect"
    return Grade(
        result=result,
        score=round(float(score), 4),
        feedback=tuple(feedback),
        correct_answer=correct_answer,
    )


def _not_known(correct_answer: Answer) -> Grade:
    told = Feedback(code="not_known", message="Not known yet. Have a look at the right answer.")
    return _graded(Fraction(0), [told], correct_answer, near=False)


# Reading an answer


def _refused(message: str, part: object = None) -> Invalid:
    return Invalid({"answer" if part is None else f"answer.{part}": [message]})


def _typed_text(answer: object, part: int | None = None) -> str:
    if not isinstance(answer, str):
        raise _refused("must be a text", part)
    if len(answer) > LONGEST_ANSWER:
        raise _refused(f"may have at most {LONGEST_ANSWER} characters", part)
    try:
        answer.encode()
    except UnicodeEncodeError:
        raise _refused("holds half a character (a lone surrogate)", part) from None
    return answer


def _picked(answer: object, options: Sequence[Option], part: object = None) -> str:
    if not isinstance(answer, str):
        raise _refused("must be the id of an option, as a text", part)
    if answer not in {option.id for option in options}:
        raise _refused("is not an option of this item", part)
    return answer


def _list(answer: object, of: str) -> list[object]:
    if not isinstance(answer, list):
        raise _refused(f"must be a list of {of}")
    return answer


def _picked_once(answer: object, options: Sequence[Option]) -> list[str]:
    """Distinct option ids; checks the length first, so that a huge list costs nothing."""
    entries = _list(answer, "option ids")
    if len(entries) > len(options):
        raise _refused(f"may have at most {len(options)} entries")
    picks = [_picked(entry, options, number) for number, entry in enumerate(entries)]
    for number, pick in enumerate(picks):
        if pick in picks[:number]:
            raise _refused("stands there twice", number)
    return picks


def _gap_texts(answer: object, gaps: int) -> list[str]:
    entries = _list(answer, "texts, one per gap")
    if len(entries) != gaps:
        raise _refused(f"must have {gaps} entries, one per gap")
    return [_typed_text(entry, number) for number, entry in enumerate(entries)]


def _partners(answer: object, content: MatchingContent) -> dict[str, str]:
    """Left id to right id. Left entries may be missing: they have no partner yet."""
    if not isinstance(answer, dict):
        raise _refused("must be an object from left ids to right ids")
    left = {option.id for option in content.left}
    if any(entry not in left for entry in answer):
        raise _refused("names an entry that is not on the left of this item")
    partners = {entry: _picked(partner, content.right, entry) for entry, partner in answer.items()}
    if not content.reusable and len(set(partners.values())) < len(partners):
        raise _refused("gives a right entry to two left ones")
    return partners


def _ordered(answer: object, tokens: Sequence[Option]) -> list[str]:
    picks = _picked_once(answer, tokens)
    if len(picks) != len(tokens):
        raise _refused(f"must have {len(tokens)} entries, each token once")
    return picks


# Picking


def _grade_choice(content: MultipleChoiceContent, key: MultipleChoiceKey, answer: object) -> Grade:
    if answer is None:
        return _not_known(key.correct)
    pick = _picked(answer, content.options)
    text_of = {option.id: option.text for option in content.options}
    if pick == key.correct:
        told = _right(pick, text_of[pick])
    else:
        told = Feedback(
            code="wrong_choice",
            message=f"Not {text_of[pick]} but {text_of[key.correct]}",
            at=pick,
            expected=text_of[key.correct],
            given=text_of[pick],
        )
    return _graded(Fraction(pick == key.correct), [told], key.correct, near=False)


def _right(at: str, given: str) -> Feedback:
    return Feedback(code="right", message=f"Right: {given}", at=at, expected=given, given=given)


def _grade_select(content: MultipleSelectContent, key: MultipleSelectKey, answer: object) -> Grade:
    right = [option.id for option in content.options if option.id in key.correct]
    if answer is None:
        return _not_known(right)
    picks = _picked_once(answer, content.options)
    hits = sum(pick in right for pick in picks)
    score = Fraction(max(0, hits - (len(picks) - hits)), len(right))
    told = [entry for option in content.options if (entry := _pick_feedback(option, right, picks))]
    return _graded(score, told, right, near=False)


def _pick_feedback(option: Option, right: Sequence[str], picks: Sequence[str]) -> Feedback | None:
    if option.id not in picks:
        if option.id not in right:
            return None
        return Feedback(
            code="missed", message=f"Also right: {option.text}", at=option.id, expected=option.text
        )
    if option.id in right:
        return _right(option.id, option.text)
    return Feedback(
        code="wrong_choice", message=f"Does not belong here: {option.text}", at=option.id, given=option.text
    )


def _grade_matching(content: MatchingContent, key: MatchingKey, answer: object) -> Grade:
    if answer is None:
        return _not_known(dict(key.pairs))
    partners = _partners(answer, content)
    right_text = {option.id: option.text for option in content.right}
    told = []
    for entry in content.left:
        expected, given = key.pairs[entry.id], partners.get(entry.id)
        told.append(_pair_feedback(entry, right_text[expected], given and right_text[given]))
    hits = sum(partners.get(entry) == partner for entry, partner in key.pairs.items())
    return _graded(Fraction(hits, len(key.pairs)), told, dict(key.pairs), near=False)


def _pair_feedback(entry: Option, expected: str, given: str | None) -> Feedback:
    if given == expected:
        code: FeedbackCode = "right"
        message = f"Right: {entry.text} – {expected}"
    else:
        code = "no_answer" if given is None else "wrong_pair"
        message = f"{entry.text} belongs to: {expected}"
    return Feedback(code=code, message=message, at=entry.id, expected=expected, given=given)


# Ordering


def _grade_ordering(content: OrderingContent, key: OrderingKey, answer: object) -> Grade:
    if answer is None:
        return _not_known(list(key.orders[0]))
    given = _ordered(answer, content.tokens)
    text_of = {token.id: token.text for token in content.tokens}
    places = [_places(given, order, text_of) for order in key.orders]
    fewest = min(range(len(places)), key=lambda number: inversions(places[number]))
    most = len(given) * (len(given) - 1) // 2
    score = 1 - Fraction(inversions(places[fewest]), most)
    nearest = key.orders[fewest]
    told = [] if score == 1 else [_order_feedback(given, nearest, text_of)]
    return _graded(score, told, list(nearest), near=False)


def _places(given: Sequence[str], order: Sequence[str], text_of: dict[str, str]) -> list[int]:
    """Where each given token belongs in `order`. Tokens with the same text stand in for each other."""
    free: dict[str, list[int]] = defaultdict(list)
    for place, token in enumerate(order):
        free[text_of[token]].append(place)
    return [free[text_of[token]].pop(0) for token in given]


def inversions(places: Sequence[int]) -> int:
    """How many pairs stand in the wrong order."""
    return sum(later < place for i, place in enumerate(places) for later in places[i + 1 :])


def _order_feedback(given: Sequence[str], order: Sequence[str], text_of: dict[str, str]) -> Feedback:
    """Where the order goes wrong first."""
    pairs = zip(given, order, strict=True)
    at = next(i for i, (mine, right) in enumerate(pairs) if text_of[mine] != text_of[right])
    expected, found = text_of[order[at]], text_of[given[at]]
    start = " ".join(text_of[token] for token in given[:at])
    message = (
        f"After {start} comes {expected}, not {found}" if at else f"It begins with {expected}, not {found}"
    )
    return Feedback(code="wrong_order", message=message, at=given[at], expected=expected, given=found)


# Typing


_MESSAGES: dict[text.Code, str] = {
    "missing_accent": "Mind the mark on the letter: {expected}, not {given}",
    "extra_accent": "No mark on the letter here: {expected}, not {given}",
    "other_letter": "ñ and n are different letters: {expected}, not {given}",
    "missing_apostrophe": "Mind the apostrophe: {expected}, not {given}",
    "extra_apostrophe": "No apostrophe here: {expected}, not {given}",
    "umlaut_ascii": "Write it with its umlaut: {expected}, not {given}",
    "capital_letter": "Mind capital and small letters: {expected}, not {given}",
    "spelling": "Check the spelling: {expected}, not {given}",
    "spacing": "Mind the spaces: {expected}",
    "punctuation": "Mind the punctuation: {expected}",
    "wrong_word": "{expected} belongs here, not {given}",
    "missing_word": "A word is missing: {expected}",
    "extra_word": "There is a word too many: {given}",
    "no_answer": "There is no answer here: {expected}",
}
_MUCH_TOO_LONG = "That is much more than was asked for: {expected}"


def _typed_feedback(difference: Difference, at: str | None = None) -> Feedback:
    code, expected, given = difference.code, difference.expected, difference.given
    message = _MUCH_TOO_LONG if code == "extra_word" and given is None else _MESSAGES[code]
    return Feedback(
        code=code,
        message=message.format(expected=expected, given=given),
        at=at,
        expected=expected,
        given=given,
    )


def _typed_score(comparison: Comparison) -> Fraction:
    if comparison.same:
        return Fraction(1)
    return NEAR_MISS if comparison.near else Fraction(0)


def _grade_cloze(content: ClozeContent, key: ClozeKey, answer: object) -> Grade:
    if answer is None:
        return _not_known([gap.accept[0] for gap in key.gaps])
    given = _gap_texts(answer, len(key.gaps))
    known = text.folded_words(
        [*content.word_bank, *(accepted for gap in key.gaps for accepted in gap.accept)]
    )
    compared = [text.nearest(entry, gap, known) for entry, gap in zip(given, key.gaps, strict=True)]
    score = sum((_typed_score(gap) for gap in compared), Fraction(0)) / len(compared)
    told = [
        entry for number, gap in enumerate(compared) for entry in _gap_feedback(number, gap, given[number])
    ]
    return _graded(score, told, [gap.expected for gap in compared], near=all(gap.near for gap in compared))


def _gap_feedback(number: int, gap: Comparison, given: str) -> list[Feedback]:
    if gap.same:
        return [_right(str(number), given)]
    return [_typed_feedback(difference, str(number)) for difference in gap.differences]


def _grade_translation(key: TranslationKey, answer: object) -> Grade:
    if answer is None:
        return _not_known(key.accept[0])
    compared = text.nearest(_typed_text(answer), key)
    told = [_typed_feedback(difference) for difference in compared.differences]
    return _graded(_typed_score(compared), told, compared.expected, near=compared.near)


def _grade_dictation(key: DictationKey, answer: object) -> Grade:
    if answer is None:
        return _not_known(key.accept[0])
    compared = text.nearest(_typed_text(answer), key)
    return _graded(
        _dictation_score(compared),
        [_typed_feedback(difference) for difference in compared.differences],
        compared.expected,
        near=compared.near,
    )


def _dictation_score(compared: Comparison) -> Fraction:
    whole = text.WRONG * len(text.words(compared.expected))
    return max(Fraction(0), 1 - Fraction(compared.cost, whole))


# Rating oneself


def _grade_rating(answer: object) -> Grade:
    if answer is None:
        return _not_known("good")
    rating = next((name for name in RATINGS if name == answer), None)
    if rating is None:
        raise _refused("must be again, hard, good or easy")
    told = Feedback(code="self_assessed", message=_RATED[rating], given=rating)
    return _graded(RATINGS[rating], [told], "good", near=False)


_RATED: dict[Rating, str] = {
    "again": "Not yet. It comes again soon.",
    "hard": "Known, but it took an effort.",
    "good": "Known.",
    "easy": "Known without thinking.",
}
