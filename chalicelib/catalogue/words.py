"""Words of texts, as searches compare them: without accents, capitals and punctuation."""

import re
import unicodedata

WORDS_AT_MOST = 100
_LETTERS_AT_MOST = 40
_WORD = re.compile(r"[^\W_]+")


def words_of(text: str) -> list[str]:
    """The different words of a text, the first hundred, as they first occur."""
    return list(dict.fromkeys(_words(text)))[:WORDS_AT_MOST]


def title_key(title: str) -> str:
    """A title as lists sort it."""
    return " ".join(_words(title))


def _words(text: str) -> list[str]:
    parts = unicodedata.normalize("NFKD", text).casefold()
    plain = "".join(part for part in parts if not unicodedata.combining(part))
    return [word[:_LETTERS_AT_MOST] for word in _WORD.findall(plain)]
