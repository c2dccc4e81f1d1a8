"""The exercise types of a training: what a learner sees, and what grades the answer.

`content` is public and may be shown to anyone who may see the course. `key` never leaves the server.
Both are unions told apart by `type`; an `Item` holds one of each and refuses a key that does not fit.

    type                    answer                  key
    multiple_choice         "a"                     the right option
    multiple_select         ["a", "c"]              the right options
    cloze                   ["bin", "habe"]         one typed answer per gap
    matching                {"a": "2", "b": "1"}    the right partner of each left entry
    ordering                ["c", "a", "b"]         one or more right orders
    translation             "text"                  one typed answer
    dictation               "text"                  what is said, compared word by word
    listening               as its question         what is said, and the key of its question
    speaking_self_assessed  "good"                  none: learners say themselves how it went
    flashcard               "good"                  none, likewise
"""

import re
from collections.abc import Iterable, Sequence
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from chalicelib.core.settings import settings
from chalicelib.core.types import Schema

CefrLevel = Literal["A1", "A2", "B1", "B2", "C1", "C2"]
Skill = Literal["reading", "listening", "writing", "speaking", "grammar", "vocabulary"]
ItemType = Literal[
    "multiple_choice",
    "multiple_select",
    "cloze",
    "matching",
    "ordering",
    "translation",
    "dictation",
    "listening",
    "speaking_self_assessed",
    "flashcard",
]
Rating = Literal["again", "hard", "good", "easy"]
SELF_ASSESSED: frozenset[ItemType] = frozenset({"speaking_self_assessed", "flashcard"})
"""What learners rate themselves. It earns XP and calls for review, but is no evidence of a CEFR level."""

GAP = re.compile(r"_{3,}")

OptionId = Annotated[
    str,
    Field(
        min_length=1,
        max_length=16,
        pattern=r"^[a-z0-9][a-z0-9_-]*$",
        description="Unique within the list that it stands in",
        examples=["a"],
    ),
]
OptionText = Annotated[str, Field(min_length=1, max_length=200, pattern=r"\S")]
Prompt = Annotated[
    str,
    Field(
        min_length=1,
        max_length=500,
        pattern=r"\S",
        description="What to do, in the language of instruction",
        examples=["How do you greet your teacher in the morning?"],
    ),
]
Hint = Annotated[
    str | None,
    Field(max_length=300, description="Help that a learner may ask for before answering"),
]
LanguageCode = Annotated[
    str, Field(min_length=2, max_length=8, pattern=r"^[a-z]{2,3}(-[A-Z]{2})?$", examples=["de"])
]
CardText = Annotated[str, Field(min_length=1, max_length=300, pattern=r"\S")]
AnswerText = Annotated[
    str, Field(min_length=1, max_length=200, pattern=r"[^\W_]", examples=["ich heiße Anna"])
]


def _reachable(url: str) -> str:
    """A recording on this very machine is for a laptop only."""
    if url.startswith("http:") and not settings().loopback_allowed:
        raise ValueError("must begin with https://")
    return url


AudioUrl = Annotated[
    str,
    Field(
        max_length=2000,
        pattern=r"^(https://|http://(127\.0\.0\.1|localhost)(:[0-9]+)?/)\S+$",
        description="A recording, as a file that a browser plays; https, but for a local stage",
        examples=["https://media.example.org/guten-tag-5f0c1d2e3a4b5968.mp3"],
    ),
    AfterValidator(_reachable),
]


class Frozen(Schema):
    """Immutable, and without fields that nobody declared."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Option(Frozen):
    """One entry to pick, match or put in order."""

    id: OptionId
    text: OptionText = Field(description="What the learner reads", examples=["Guten Morgen!"])


class _Content(Frozen):
    prompt: Prompt
    hint: Hint = None


def _repeated(values: Iterable[str]) -> set[str]:
    seen: set[str] = set()
    return {value for value in values if value in seen or seen.add(value)}  # type: ignore[func-returns-value]


def _check_distinct(name: str, options: Sequence[Option], *, texts: bool = True) -> None:
    if twice := _repeated(option.id for option in options):
        raise ValueError(f"{name}: id {min(twice)} stands there twice")
    if texts and (twice := _repeated(option.text.strip() for option in options)):
        raise ValueError(f"{name}: the text {min(twice)!r} stands there twice")


class MultipleChoiceContent(_Content):
    """One right option among several."""

    type: Literal["multiple_choice"]
    options: tuple[Option, ...] = Field(
        min_length=2,
        max_length=8,
        examples=[[{"id": "a", "text": "Guten Morgen!"}, {"id": "b", "text": "Gute Nacht!"}]],
    )

    @model_validator(mode="after")
    def _options_differ(self) -> Self:
        _check_distinct("options", self.options)
        return self


class MultipleSelectContent(_Content):
    """Any number of right options, at least one; a wrong pick takes away what a right one gives."""

    type: Literal["multiple_select"]
    options: tuple[Option, ...] = Field(min_length=3, max_length=12)

    @model_validator(mode="after")
    def _options_differ(self) -> Self:
        _check_distinct("options", self.options)
        return self


class ClozeContent(_Content):
    """A text with gaps to type into."""

    type: Literal["cloze"]
    text: str = Field(
        min_length=3,
        max_length=1500,
        description="Each run of three or more underscores is one gap",
        examples=["Ich ___ Anna und ich ___ aus Bern."],
    )
    word_bank: tuple[OptionText, ...] = Field(
        default=(), max_length=20, description="Words to choose from, where the item offers them"
    )

    @property
    def gap_count(self) -> int:
        return len(GAP.findall(self.text))

    @model_validator(mode="after")
    def _has_gaps(self) -> Self:
        if not 1 <= self.gap_count <= 12:
            raise ValueError("text: write one to twelve gaps, each as ___")
        return self


class MatchingContent(_Content):
    """Each entry on the left gets a partner from the right."""

    type: Literal["matching"]
    left: tuple[Option, ...] = Field(min_length=2, max_length=10)
    right: tuple[Option, ...] = Field(
        min_length=2, max_length=12, description="May hold more entries than are needed"
    )
    reusable: bool = Field(
        default=False, description="Whether a right entry may be the partner of several left ones"
    )

    @model_validator(mode="after")
    def _entries_differ(self) -> Self:
        _check_distinct("left", self.left)
        _check_distinct("right", self.right)
        return self


class OrderingContent(_Content):
    """Parts to put in order. Parts with the same text are interchangeable."""

    type: Literal["ordering"]
    tokens: tuple[Option, ...] = Field(
        min_length=2, max_length=12, description="In the order in which they are shown, which is never right"
    )

    @model_validator(mode="after")
    def _tokens_differ(self) -> Self:
        _check_distinct("tokens", self.tokens, texts=False)
        return self


class TranslationContent(_Content):
    """A text to say in the other language."""

    type: Literal["translation"]
    text: str = Field(
        min_length=1,
        max_length=300,
        pattern=r"\S",
        description="What to translate",
        examples=["My name is Anna."],
    )
    from_language: LanguageCode = Field(examples=["en"])
    to_language: LanguageCode = Field(examples=["de"])


class DictationContent(_Content):
    """A recording to write down."""

    type: Literal["dictation"]
    audio_url: AudioUrl


Question = Annotated[
    MultipleChoiceContent | MultipleSelectContent | ClozeContent | MatchingContent | OrderingContent,
    Field(discriminator="type"),
]


class ListeningContent(_Content):
    """A recording, and a question about it, which is answered as any of its type."""

    type: Literal["listening"]
    audio_url: AudioUrl
    question: Question


class SpeakingContent(_Content):
    """Something to say aloud. The learner then compares it with the model and rates it."""

    type: Literal["speaking_self_assessed"]
    model_answer: CardText = Field(
        description="A good way to say it, to show once the learner has spoken",
        examples=["Guten Tag, mein Name ist Anna Berg."],
    )
    audio_url: AudioUrl | None = Field(default=None, description="The model, spoken")


class FlashcardContent(_Content):
    """A card to turn over. The learner then rates how well it was known."""

    type: Literal["flashcard"]
    front: CardText = Field(examples=["the sister"])
    back: CardText = Field(examples=["die Schwester, die Schwestern"])
    example: CardText | None = Field(
        default=None,
        description="The word in a sentence, beside the back",
        examples=["Das ist meine Schwester."],
    )
    audio_url: AudioUrl | None = Field(default=None, description="The side in the language that is taught")


Content = Annotated[
    MultipleChoiceContent
    | MultipleSelectContent
    | ClozeContent
    | MatchingContent
    | OrderingContent
    | TranslationContent
    | DictationContent
    | ListeningContent
    | SpeakingContent
    | FlashcardContent,
    Field(discriminator="type"),
]


class TypedAnswer(Frozen):
    """What counts as right where the learner types, and how strictly spelling is taken.

    `near_miss` is worth 0.9. A mark that the learner adds (habló for hablo, schön for schon) is always
    wrong, and so is ñ for n: only marks that are missing can be near misses.
    """

    accept: tuple[AnswerText, ...] = Field(
        min_length=1, max_length=40, description="Every right answer, the one to show first"
    )
    distractors: tuple[AnswerText, ...] = Field(
        default=(), max_length=40, description="Other words that never pass as a slip of the pen"
    )
    case: Literal["ignore", "near_miss", "strict"] = Field(
        default="ignore", description="A capital letter for a small one, or the reverse"
    )
    punctuation: Literal["ignore", "near_miss", "strict"] = Field(
        default="ignore", description="Full stops, commas, question marks and their like"
    )
    umlaut_ascii: Literal["accept", "near_miss", "wrong"] = Field(
        default="near_miss", description="ae, oe, ue written for ä, ö, ü"
    )
    diacritics: Literal["near_miss", "strict"] = Field(
        default="near_miss", description="An accent or umlaut left out; strict where it is the lesson"
    )
    typos: Literal["near_miss", "wrong"] = Field(
        default="near_miss",
        description="One slip in a word of 5 to 8 letters, two from 9 on; wrong where endings are the lesson",
    )


class _Key(Frozen):
    explanation: str | None = Field(
        default=None, max_length=500, description="Why it is so; shown after the answer"
    )


class MultipleChoiceKey(_Key):
    """Grades multiple_choice."""

    type: Literal["multiple_choice"]
    correct: OptionId


class MultipleSelectKey(_Key):
    """Grades multiple_select."""

    type: Literal["multiple_select"]
    correct: tuple[OptionId, ...] = Field(min_length=1, max_length=12)


class ClozeKey(_Key):
    """Grades cloze: one typed answer per gap, in the order of the text."""

    type: Literal["cloze"]
    gaps: tuple[TypedAnswer, ...] = Field(min_length=1, max_length=12)


class MatchingKey(_Key):
    """Grades matching: left id to right id."""

    type: Literal["matching"]
    pairs: dict[OptionId, OptionId] = Field(min_length=2, max_length=10, examples=[{"a": "2", "b": "1"}])


class OrderingKey(_Key):
    """Grades ordering: every order that is right, the one to show first."""

    type: Literal["ordering"]
    orders: tuple[Annotated[tuple[OptionId, ...], Field(max_length=12)], ...] = Field(
        min_length=1, max_length=12, examples=[[["c", "a", "b"]]]
    )


class TranslationKey(_Key, TypedAnswer):
    """Grades translation."""

    type: Literal["translation"]


class DictationKey(_Key, TypedAnswer):
    """Grades dictation: the share of words that were heard and written right."""

    type: Literal["dictation"]


QuestionKey = Annotated[
    MultipleChoiceKey | MultipleSelectKey | ClozeKey | MatchingKey | OrderingKey,
    Field(discriminator="type"),
]


class ListeningKey(_Key):
    """Grades listening by the key of its question. The explanation stands here, not there."""

    type: Literal["listening"]
    transcript: str = Field(
        min_length=1, max_length=1000, pattern=r"\S", description="What is said; shown after the answer"
    )
    question: QuestionKey


class SpeakingKey(_Key):
    """speaking_self_assessed has nothing to grade by."""

    type: Literal["speaking_self_assessed"]


class FlashcardKey(_Key):
    """A flashcard has nothing to grade by."""

    type: Literal["flashcard"]


Key = Annotated[
    MultipleChoiceKey
    | MultipleSelectKey
    | ClozeKey
    | MatchingKey
    | OrderingKey
    | TranslationKey
    | DictationKey
    | ListeningKey
    | SpeakingKey
    | FlashcardKey,
    Field(discriminator="type"),
]


def _ids(options: Iterable[Option]) -> set[str]:
    return {option.id for option in options}


def _choice_fault(content: MultipleChoiceContent, key: MultipleChoiceKey) -> str | None:
    return None if key.correct in _ids(content.options) else f"correct: there is no option {key.correct}"


def _select_fault(content: MultipleSelectContent, key: MultipleSelectKey) -> str | None:
    options = _ids(content.options)
    if _repeated(key.correct):
        return "correct: an option stands there twice"
    if strange := set(key.correct) - options:
        return f"correct: there is no option {min(strange)}"
    return "correct: at least one option must be wrong" if set(key.correct) == options else None


def _cloze_fault(content: ClozeContent, key: ClozeKey) -> str | None:
    if len(key.gaps) != content.gap_count:
        return f"gaps: the text has {content.gap_count} gaps, the key {len(key.gaps)}"
    bank = {word.casefold() for word in content.word_bank}
    for number, gap in enumerate(key.gaps):
        if bank and bank.isdisjoint(word.casefold() for word in gap.accept):
            return f"gaps.{number}: no accepted answer is in the word bank"
    return None


def _matching_fault(content: MatchingContent, key: MatchingKey) -> str | None:
    if set(key.pairs) != _ids(content.left):
        return "pairs: each left entry needs exactly one partner"
    if strange := set(key.pairs.values()) - _ids(content.right):
        return f"pairs: there is no right entry {min(strange)}"
    if _repeated(key.pairs.values()) and not content.reusable:
        return "pairs: a right entry has two partners, but the content is not reusable"
    return None


def _ordering_fault(content: OrderingContent, key: OrderingKey) -> str | None:
    text_of = {token.id: token.text for token in content.tokens}
    shown = list(text_of.values())
    for number, order in enumerate(key.orders):
        if sorted(order) != sorted(text_of):
            return f"orders.{number}: use each token exactly once"
        if [text_of[token] for token in order] == shown:
            return f"orders.{number}: the tokens are shown in this order already"
    return None


def _listening_fault(content: ListeningContent, key: ListeningKey) -> str | None:
    if key.question.explanation is not None:
        return "question.explanation: stands beside the question's key, not in it"
    fault = _fault(content.question, key.question)
    return fault and f"question.{fault}"


def _fault(content: Content, key: Key) -> str | None:
    """What keeps this key from grading this content; None when it fits."""
    fault: str | None
    match content, key:
        case MultipleChoiceContent(), MultipleChoiceKey():
            fault = _choice_fault(content, key)
        case MultipleSelectContent(), MultipleSelectKey():
            fault = _select_fault(content, key)
        case ClozeContent(), ClozeKey():
            fault = _cloze_fault(content, key)
        case MatchingContent(), MatchingKey():
            fault = _matching_fault(content, key)
        case OrderingContent(), OrderingKey():
            fault = _ordering_fault(content, key)
        case ListeningContent(), ListeningKey():
            fault = _listening_fault(content, key)
        case (
            (TranslationContent(), TranslationKey())
            | (DictationContent(), DictationKey())
            | (SpeakingContent(), SpeakingKey())
            | (FlashcardContent(), FlashcardKey())
        ):
            fault = None
        case _:
            fault = f"a key of type {key.type} cannot grade content of type {content.type}"
    return fault


class Item(Frozen):
    """One training item as authored: immutable once published."""

    content: Content
    key: Key
    cefr_level: CefrLevel
    skill: Skill
    points: int = Field(default=10, ge=1, le=100, description="XP for a fully right answer")

    @property
    def type(self) -> ItemType:
        return self.content.type

    @model_validator(mode="after")
    def _key_fits(self) -> Self:
        if fault := _fault(self.content, self.key):
            raise ValueError(f"key.{fault}")
        return self
