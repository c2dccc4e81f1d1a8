"""Docstrings as the text of the document."""

import inspect
import re
from typing import Any

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z`*\"(])|\n\n")


def told(declared: Any) -> tuple[str, str]:
    """The first sentence of a docstring, without its full stop, and the rest."""
    text = declared.__doc__ and inspect.cleandoc(declared.__doc__)
    first, *rest = _SENTENCE_END.split(text or declared.__name__.replace("_", " ").capitalize(), maxsplit=1)
    return " ".join(first.split()).removesuffix("."), "".join(rest).strip()
