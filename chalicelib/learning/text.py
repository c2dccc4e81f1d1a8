"""Comparing a typed answer with an expected one, as a patient teacher would.

Both sides pass the same clean-up, then words are aligned and each pair is judged by the item's rules:
the same word, a near miss (accent left out, capital letter, slip of the pen) or another word.
Marks that the learner adds are never forgiven: hablo/habló and schon/schön are different words.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Literal

from chalicelib.catalogue.items import TypedAnswer

Code = Literal[
    "missing_accent",
    "extra_accent",
    "other_letter",
    "missing_apostrophe",
    "extra_apostrophe",
    "umlaut_ascii",
    "capital_letter",
    "spelling",
    "spacing",
    "punctuation",
    "wrong_word",
    "missing_word",
    "extra_word",
    "no_answer",
]

WRONG = 10
"""Cost of a wrong, missing or extra word; a near miss costs NEAR, the same word nothing."""
NEAR = 1

_LOOKALIKES = str.maketrans(
    {
        **dict.fromkeys("’‘‚‛ʼʹ′`´＇", "'"),
        **dict.fromkeys("“”„‟«»″＂", '"'),
        **dict.fromkeys("‐‑‒–—―−﹘﹣－", "-"),
        **dict.fromkeys("\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\u2061\u2062\u2063\u2064\ufeff"),
        **dict.fromkeys("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"),
    }
)
_INVERTED = str.maketrans(dict.fromkeys("¿¡"))
_AT_WORD_EDGES = '.,;:!?…"()'
_GLUED = re.compile(r"(?<=[^\W\d_])[,;!?…]+(?=[^\W\d_])")
_WORDS = re.compile(r"[\w'-]+")
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue"})
_LETTERS_OF_THEIR_OWN = {"ñ"}


def tidy(text: str) -> str:
    """The same text with one form of each letter, quote, dash and space, and without invisible signs.

    NFC, not NFKC: x² is not x2.
    """
    mapped = unicodedata.normalize("NFC", text).translate(_LOOKALIKES)
    return unicodedata.normalize("NFC", " ".join(mapped.split()))


def without_punctuation(text: str) -> str:
    """Tidied text without the signs that stand around words. Idempotent."""
    spaced = _GLUED.sub(" ", tidy(text.translate(_INVERTED)))
    stripped = (word.strip(_AT_WORD_EDGES) for word in spaced.split())
    return tidy(" ".join(word for word in stripped if word.strip("-'")))


def _carries_mark(letter: str) -> bool:
    return any(unicodedata.combining(part) for part in unicodedata.normalize("NFD", letter))


def _without_marks(text: str) -> str:
    parts = unicodedata.normalize("NFD", text.replace("'", ""))
    return unicodedata.normalize("NFC", "".join(part for part in parts if not unicodedata.combining(part)))


@dataclass(frozen=True)
class Word:
    """A word in the forms in which it is compared."""

    text: str
    """As written, tidied."""
    folded: str
    """Without regard to case; ß is ss."""
    base: str
    """Folded, and without accents and apostrophes."""
    marks: frozenset[tuple[str, int]]
    """Each accented letter and apostrophe with its number."""


@lru_cache(maxsize=1024)
def _word(text: str) -> Word:
    folded = unicodedata.normalize("NFC", text.casefold())
    marks = Counter(letter for letter in folded if letter == "'" or _carries_mark(letter))
    return Word(text, folded, _without_marks(folded), frozenset(marks.items()))


def words(text: str) -> tuple[Word, ...]:
    """The words of a text, punctuation dropped."""
    return tuple(_word(word) for word in without_punctuation(text).split())


_authored_words = lru_cache(maxsize=2048)(words)  # keys are few and short, and asked for again and again


def folded_words(authored: Iterable[str]) -> frozenset[str]:
    """Every word of these texts of a key without regard to case."""
    return frozenset(word.folded for text in authored for word in _authored_words(text))


@dataclass(frozen=True)
class Difference:
    """One thing that sets the answer apart. `near` tells a near miss from a mistake."""

    code: Code
    near: bool
    expected: str | None
    given: str | None


def edits(left: str, right: str, limit: int) -> int:
    """Optimal string alignment distance (a swap of neighbours is one edit); `limit` + 1 when it is more."""
    if abs(len(left) - len(right)) > limit:
        return limit + 1
    before: list[int] = []
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, start=1):
        previous, before_previous = row, before
        row = [i]
        for j, b in enumerate(right, start=1):
            cost = min(previous[j] + 1, row[j - 1] + 1, previous[j - 1] + (a != b))
            if i > 1 and j > 1 and a == right[j - 2] and left[i - 2] == b:
                cost = min(cost, before_previous[j - 2] + 1)
            row.append(cost)
        before = previous
        if min(row) > limit and min(previous) > limit:
            return limit + 1
    return min(row[-1], limit + 1)


def slips_allowed(word: str) -> int:
    """How many edits a word forgives: short words and numbers none."""
    if len(word) < 5 or any(letter.isdigit() for letter in word):
        return 0
    return 1 if len(word) <= 8 else 2


def _marks_missing(expected: Word, given: Word) -> Counter[str]:
    return Counter(dict(expected.marks)) - Counter(dict(given.marks))


def _mark_differences(expected: Word, given: Word, rules: TypedAnswer) -> list[Difference]:
    """What sets two words apart whose base letters are the same, or nearly."""
    missing, extra = _marks_missing(expected, given), _marks_missing(given, expected)
    pair = (expected.text, given.text)
    found = []
    if not _LETTERS_OF_THEIR_OWN.isdisjoint([*missing, *extra]):
        found.append(Difference("other_letter", False, *pair))
    elif any(mark != "'" for mark in extra):
        found.append(Difference("extra_accent", False, *pair))
    elif any(mark != "'" for mark in missing):
        # Two letters or fewer: él/el, sí/si, tú/tu are told apart by the accent alone.
        near = rules.diacritics == "near_miss" and len(expected.base) > 2
        found.append(Difference("missing_accent", near, *pair))
    if "'" in extra:
        found.append(Difference("extra_apostrophe", False, *pair))
    elif "'" in missing:
        found.append(Difference("missing_apostrophe", rules.punctuation != "strict", *pair))
    return found


def _with_ss(text: str) -> str:
    return text.replace("ß", "ss").replace("ẞ", "SS")


def _case_differences(expected: Word, given: Word, rules: TypedAnswer) -> list[Difference]:
    if rules.case == "ignore":
        return []
    if expected.folded == given.folded:
        same = _with_ss(expected.text) == _with_ss(given.text)
    else:
        same = expected.text[0].isupper() == given.text[0].isupper()
    if same:
        return []
    return [Difference("capital_letter", rules.case == "near_miss", expected.text, given.text)]


def _slip_differences(expected: Word, spelled_out: Word, given: Word, rules: TypedAnswer) -> list[Difference]:
    """A slip of the pen with the marks that differ too, or another word."""
    wrong = [Difference("wrong_word", False, expected.text, given.text)]
    limit = slips_allowed(expected.base)
    if rules.typos == "wrong" or limit == 0:
        return wrong
    targets = [expected] if rules.umlaut_ascii == "wrong" else [expected, spelled_out]
    for target in targets:
        if edits(target.base, given.base, limit) <= limit:
            slip = Difference("spelling", True, expected.text, given.text)
            return [slip, *_mark_differences(target, given, rules)]
    return wrong


def word_differences(
    expected: Word, given: Word, rules: TypedAnswer, known: frozenset[str]
) -> list[Difference]:
    """What sets `given` apart from `expected`; nothing when they are the same word.

    `known` are folded words that are words of their own and never a slip.
    """
    case = _case_differences(expected, given, rules)
    if given.folded == expected.folded:
        return case
    if given.folded in known:
        return [Difference("wrong_word", False, expected.text, given.text)]
    spelled_out = _word(expected.text.translate(_UMLAUTS))
    if given.folded == spelled_out.folded:
        if rules.umlaut_ascii == "accept":
            return case
        near = rules.umlaut_ascii == "near_miss"
        return [Difference("umlaut_ascii", near, expected.text, given.text), *case]
    if given.base == expected.base:
        return [*_mark_differences(expected, given, rules), *case]
    found = _slip_differences(expected, spelled_out, given, rules)
    return [*found, *case] if found[0].near else found


def _cost(differences: Sequence[Difference]) -> int:
    if not differences:
        return 0
    return NEAR if all(difference.near for difference in differences) else WRONG


@dataclass(frozen=True)
class Comparison:
    """How far an answer is from one expected text."""

    expected: str
    cost: int
    """Sum over the words: WRONG per wrong, missing or extra word, NEAR per near miss."""
    differences: tuple[Difference, ...]

    @property
    def same(self) -> bool:
        return not self.differences

    @property
    def near(self) -> bool:
        """Nothing differs but what the rules forgive."""
        return all(difference.near for difference in self.differences)


Judge = Callable[[Word, Word], list[Difference]]


def _align(expected: Sequence[Word], given: Sequence[Word], judge: Judge) -> tuple[int, list[Difference]]:
    """The cheapest way to turn the given words into the expected ones. Quadratic: bound lengths first."""

    def between(i: int, j: int) -> list[Difference]:
        return judge(expected[i - 1], given[j - 1])

    table = [[j * WRONG for j in range(len(given) + 1)]]
    for i in range(1, len(expected) + 1):
        above, row = table[-1], [i * WRONG]
        for j in range(1, len(given) + 1):
            paired = above[j - 1] + _cost(between(i, j))
            row.append(min(paired, above[j] + WRONG, row[j - 1] + WRONG))
        table.append(row)
    found: list[list[Difference]] = []
    i, j = len(expected), len(given)
    while i or j:
        if i and j and table[i][j] == table[i - 1][j - 1] + _cost(between(i, j)):
            i, j = i - 1, j - 1
            found.append(between(i + 1, j + 1))
        elif i and table[i][j] == table[i - 1][j] + WRONG:
            i -= 1
            found.append([Difference("missing_word", False, expected[i].text, None)])
        else:
            j -= 1
            found.append([Difference("extra_word", False, None, given[j].text)])
    return table[-1][-1], [difference for pair in reversed(found) for difference in pair]


def _punctuation(text: str) -> str:
    return _WORDS.sub("w", tidy(text))


def _punctuation_differences(expected: str, given: str, rules: TypedAnswer) -> list[Difference]:
    if rules.punctuation == "ignore" or _punctuation(expected) == _punctuation(given):
        return []
    return [Difference("punctuation", rules.punctuation == "near_miss", tidy(expected), tidy(given))]


def _written_apart(expected: Sequence[Word], given: Sequence[Word]) -> bool:
    """The same letters with spaces elsewhere."""
    apart = len(expected) != len(given)
    return apart and "".join(w.folded for w in expected) == "".join(w.folded for w in given)


def _compare(
    expected: str, given: str, written: Sequence[Word], rules: TypedAnswer, judge: Judge
) -> Comparison:
    wanted = _authored_words(expected)
    if not written:
        return Comparison(expected, WRONG * len(wanted), (Difference("no_answer", False, expected, None),))
    if _written_apart(wanted, written) and rules.typos == "near_miss":
        return Comparison(expected, NEAR, (Difference("spacing", True, tidy(expected), tidy(given)),))
    if len(written) > 2 * len(wanted) + 4:
        # More is wrong than is asked for: no need to say what.
        return Comparison(expected, WRONG * len(written), (Difference("extra_word", False, expected, None),))
    cost, found = _align(wanted, written, judge)
    if sum(difference.code == "spelling" for difference in found) > (len(wanted) + 3) // 4:
        found = [_as_mistake(difference) for difference in found]
        cost += WRONG
    marks = [] if cost >= WRONG else _punctuation_differences(expected, given, rules)
    return Comparison(expected, cost + sum(_cost([mark]) for mark in marks), (*found, *marks))


def _as_mistake(difference: Difference) -> Difference:
    """More than one slip in four words is not a slip any more."""
    if difference.code != "spelling":
        return difference
    return Difference("spelling", False, difference.expected, difference.given)


def nearest(given: str, rules: TypedAnswer, known: frozenset[str] = frozenset()) -> Comparison:
    """The accepted answer that `given` is nearest to; the first of equals.

    The words of every accepted answer and distractor are known: one of them written for another is a
    mistake, never a slip.
    """
    known = known | folded_words([*rules.distractors, *rules.accept])
    written = words(given)

    @cache
    def judge(wanted: Word, word: Word) -> list[Difference]:
        return word_differences(wanted, word, rules, known)

    compared = [_compare(expected, given, written, rules, judge) for expected in rules.accept]
    return min(compared, key=lambda comparison: (not comparison.same, not comparison.near, comparison.cost))
