"""A learner's numbers worked out anew from what the learner has done, to compare or to rebuild with."""

from collections.abc import Iterable
from datetime import date
from typing import TypeVar

from chalicelib.core.errors import NotFound
from chalicelib.core.store import RawItem, Table
from chalicelib.learning import folding, models
from chalicelib.learning.models import AttemptItem, ReadItem

_T = TypeVar("_T", bound=Table)
_READS = 3


def fold_all(facts: Iterable[AttemptItem | ReadItem]) -> dict[str, Table]:
    """The rows that follow from a learner's facts, by their sort keys."""
    rows: dict[str, Table] = {}
    for fact in facts:
        learner_id = fact.pk

        def row(model: type[_T], sk: str, learner_id: str = learner_id) -> _T:
            found = rows.setdefault(sk, model(learner_id, sk))
            if not isinstance(found, model):
                raise TypeError(sk)
            return found

        if isinstance(fact, ReadItem):
            lesson_keys = models.lesson_keys(fact.course_id, fact.lesson_id)
            changes = folding.complete(models.lesson_state_in(row, lesson_keys), fact)
        else:
            day = date.fromisoformat(fact.local_date)
            keys = models.state_keys(fact.item_id, day, fact.course_id, fact.lesson_id)
            changes = folding.fold(models.state_in(row, keys), fact)
        rows.update({one.sk: one for one in changes.completions})
    return rows


def differences(learner_id: str) -> list[str]:
    """The sort keys of rows that do not follow from the facts, or are missing.

    Whoever answers meanwhile is read again; of whoever has been erased there is nothing to compare.
    """
    found: list[str] = []
    for _ in range(_READS):
        try:
            rows = fold_all(models.facts_of(learner_id))
        except NotFound:
            return []
        stored = models.derived_rows(learner_id)
        found = sorted(sk for sk in {*rows, *stored} if not _same(rows.get(sk), stored.get(sk)))
        if not found:
            break
    return found


def _same(row: Table | None, stored: RawItem | None) -> bool:
    """As values: a number may have been written in another way."""
    if row is None or stored is None:
        return False
    kept, expected = (type(row).from_raw_data(dict(raw)) for raw in (stored, row.serialize()))
    return bool(kept.attribute_values == expected.attribute_values)
