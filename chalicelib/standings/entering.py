"""What is wider than one learner: leaderboards and the platform's totals.

An event only says that a learner has done something. What counts is read from the learner's own records,
and the difference to what was entered before is written, in one transaction. So an event that comes twice,
late or out of order changes nothing, and what one event failed to bring the next one brings.
"""

import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from chalicelib.core.errors import NotFound
from chalicelib.core.store import Stale, Transaction
from chalicelib.learning import service as learning
from chalicelib.learning.service import Record
from chalicelib.standings import models, ranks
from chalicelib.standings.boards import PERIODS, PLATFORM, Board, Period, course_scope, span_of

_TRIES = 8


def refresh(institution_id: str, learner_id: str, day: date, now: datetime) -> None:
    """Enter what the learner has reached in the periods that hold this local day."""

    def update() -> None:
        first, last = days_around(day)
        try:
            record = learning.record_of(learner_id, day, first, last)
        except NotFound:  # erased: what was counted stays counted
            return
        enter(institution_id, learner_id, record, day, now, shows=models.shows_on_boards(learner_id))

    _until_settled(update)


def enter(
    institution_id: str, learner_id: str, record: Record, day: date, now: datetime, *, shows: bool
) -> None:
    """One transaction, none where nothing has changed. Raises `Stale` where another one came in between."""
    transaction = Transaction()
    reached = scores(institution_id, record, day)
    still_open = [board for board in reached if board.span.closes_at is None or now < board.span.closes_at]
    counted, places = models.places_of(learner_id, still_open)
    for board in still_open:
        score = min(reached[board], ranks.HIGHEST) if shows else 0
        place = places[board.name]
        if (score or None) != (None if place.score is None else int(place.score)):
            models.move(transaction, board, learner_id, institution_id, place, score or None)
    models.count(
        transaction,
        counted,
        {
            "learners": int(record.answers > 0),
            "answers": record.answers,
            "lessons_completed": record.lessons_completed,
            "courses_completed": record.courses_completed,
            "study_ms": record.study_ms,
        },
    )
    transaction.commit()


def scores(institution_id: str, record: Record, day: date) -> dict[Board, int]:
    """What a learner has on each board of the periods that hold this day."""
    found: dict[Board, int] = {}
    for period in PERIODS:
        span = span_of(period, day)
        if period == "all":
            whole, by_course = record.xp, dict(record.course_xp)
        else:
            by_course = _sums(courses for one, courses in record.days.items() if span.holds(one))
            whole = sum(by_course.values())
        found[Board(span, PLATFORM)] = found[Board(span, institution_id)] = whole
        for course_id in record.days.get(day, ()):
            found[Board(span, course_scope(institution_id, course_id))] = by_course[course_id]
    return found


def days_around(day: date) -> tuple[date, date]:
    """The first and the last day of the periods that hold this one."""
    bounds = [
        bound
        for period in PERIODS
        for bound in (span_of(period, day).first, span_of(period, day).last)
        if bound
    ]
    return min(bounds), max(bounds)


def _sums(many: Iterable[Mapping[str, int]]) -> dict[str, int]:
    summed: dict[str, int] = {}
    for one in many:
        for name, number in one.items():
            summed[name] = summed.get(name, 0) + number
    return summed


def show_on_boards(institution_id: str, learner_id: str, today: date, now: datetime) -> None:
    """Let a learner be on leaderboards, from this week and month on."""
    models.keep_setting(learner_id, leaderboards=True)
    refresh(institution_id, learner_id, today, now)


def hide_from_boards(institution_id: str, learner_id: str) -> None:
    """Take a learner off every leaderboard, past ones too. Dying midway, it is safe to call again."""
    models.keep_setting(learner_id, leaderboards=False)

    def update() -> None:
        for place in models.all_places_of(learner_id):
            transaction = Transaction()
            models.move(transaction, Board.named(place.board), learner_id, institution_id, place, None)
            transaction.commit()

    _until_settled(update)


@dataclass(frozen=True)
class Row:
    """A learner's place. Equal scores share a rank, and the next one comes after all of them."""

    rank: int
    score: int
    learner_id: str
    institution_id: str


@dataclass(frozen=True)
class Standings:
    """The best of a board, and the learner among its neighbours."""

    participants: int
    top: list[Row]
    own: Row | None
    above: list[Row]
    below: list[Row]


def standings(board: Board, learner_id: str, institution_id: str, *, top: int, around: int) -> Standings:
    """Exact for all that is entered. The number of reads does not depend on how many are on the board."""
    best = models.entries(board, top)
    score = models.score_of(learner_id, board)
    above: list[models.EntryItem] = []
    below: list[models.EntryItem] = []
    if score is not None:
        own = (score, learner_id)
        above = models.entries(board, around, beyond=own, upwards=True)[::-1]
        below = models.entries(board, around, beyond=own)
    neighbours = {entry.score for entry in (*above, *below)}
    counters = models.counters_of(board, {*neighbours, *([] if score is None else [score])})

    def placed(entries: Sequence[models.EntryItem]) -> list[Row]:
        return [
            Row(1 + ranks.greater(e.score, counters), e.score, e.learner_id, e.institution_id)
            for e in entries
        ]

    return Standings(
        participants=ranks.size(counters),
        top=_from_the_top(best),
        own=None
        if score is None
        else Row(1 + ranks.greater(score, counters), score, learner_id, institution_id),
        above=placed(above),
        below=placed(below),
    )


def _from_the_top(entries: Sequence[models.EntryItem]) -> list[Row]:
    rows: list[Row] = []
    for number, entry in enumerate(entries, start=1):
        rank = rows[-1].rank if rows and rows[-1].score == entry.score else number
        rows.append(Row(rank, entry.score, entry.learner_id, entry.institution_id))
    return rows


def board_of(period: Period, scope: str, day: date) -> Board:
    return Board(span_of(period, day), scope)


def _until_settled(update: Callable[[], Any]) -> None:
    for attempt in range(_TRIES):
        try:
            update()
        except Stale:
            time.sleep(random.uniform(0.5, 1.0) * 0.02 * 2**attempt)  # noqa: S311 (jitter)
        else:
            return
    raise Stale
