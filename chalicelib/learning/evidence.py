"""What an answer says of a learner's ability: which skill and level, and whether it could be guessed."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from chalicelib.catalogue.items import (
    SELF_ASSESSED,
    CefrLevel,
    ClozeContent,
    Content,
    Item,
    ListeningContent,
    MultipleChoiceContent,
    MultipleSelectContent,
)
from chalicelib.learning.estimate import Cell, Evidence, guess_class

_SELECT_OPTIONS = 4
"""A blind choice of several scores about as often as one of four."""


def guess_of(item: Item) -> int | None:
    """The guess class of its answers; None where the learner's own word is no evidence."""
    return None if item.type in SELF_ASSESSED else guess_class(_options(item.content))


def _options(content: Content) -> int:
    match content:
        case MultipleChoiceContent():
            return len(content.options)
        case MultipleSelectContent():
            return _SELECT_OPTIONS
        case ClozeContent():
            return len(content.word_bank)
        case ListeningContent():
            return _options(content.question)
        case _:
            return 0


def cell_name(level: str, guess: int) -> str:
    """As stored: `A2:4`."""
    return f"{level}:{guess}"


def cells_of(stored: Mapping[str, list[int]]) -> dict[Cell, Evidence]:
    """A skill's evidence as the learner's record holds it."""
    found: dict[Cell, Evidence] = {}
    for name, numbers in stored.items():
        level, _, guess = name.partition(":")
        found[_level(level), int(guess)] = Evidence(*numbers)
    return found


def change(stored: dict[str, Any], cell: Sequence[str], changed: Callable[[Evidence], Evidence]) -> None:
    """Put the changed evidence of one cell (language, skill, name) where it stands."""
    language, skill, name = cell
    cells = stored.setdefault(language, {}).setdefault(skill, {})
    evidence = changed(Evidence(*cells.get(name, ())))
    if evidence.count:
        cells[name] = [evidence.count, evidence.weight, evidence.score]
    else:
        cells.pop(name, None)


def _level(name: str) -> CefrLevel:
    return name  # type: ignore[return-value]
