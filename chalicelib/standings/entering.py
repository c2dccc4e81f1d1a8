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

from chalicelib.core.clock import epoch
from chalicelib.core.errors import NotFound
from chalicelib.core.store import Stale, Transaction
from chalicelib.learning import service as learning
from chalicelib.learning.service import PERIODS, Period, Record, Span, span_of
from chalicelib.standings import models, ranks, service
from chalicelib.standings.boards import PLATFORM, Board, course_scope
from chalicelib.standings.models import Setting
from chalicelib.standings.schemas import StandingMessage

PAUSE_SECONDS = 60
"""While a learner goes on answering, its answers are entered together once in this time."""
_TRIES = 8
_BOARDS_AT_ONCE = 10
"""Eight actions a board at most, of a hundred in a transaction."""


def refresh(wanted: StandingMessage, now: datetime) -> None:
    """Enter what the learner has reached in the periods that hold this local day."""
    if _can_wait(wanted, now):
        return

    def update() -> None:
        first, last = days_around(wanted.day)
        setting = models.setting_of(wanted.learner_id)
        try:
            record = learning.record_of(
                wanted.learner_id, wanted.day, first, last, every_course=wanted.every_course
            )
        except NotFound:  # erased: what was counted stays counted
            return
        spans = [span_of(period, wanted.day) for period in PERIODS]
        enter(wanted.institution_id, wanted.learner_id, record, spans, setting, now)

    _until_settled(update)


def _can_wait(wanted: StandingMessage, now: datetime) -> bool:
    """Whether an answer of the same day was committed after this one, whose message enters both, and
    something was entered a moment ago.

    By the order of commits, not of times: a message is dropped only for another that comes later.
    """
    if wanted.attempt_id is None:
        return False
    latest = learning.latest_of(wanted.learner_id)
    if latest is None or latest.attempt_id == wanted.attempt_id or latest.local_date != wanted.day:
        return False
    return models.entered_at(wanted.learner_id) > epoch(now) - PAUSE_SECONDS


def enter_anew(learner_id: str, now: datetime) -> None:
    """Enter all that a learner has ever reached, by what it has done alone."""

    def update() -> None:
        try:
            institution_id, record = learning.record_anew(learner_id)
        except NotFound:  # erased meanwhile
            return
        spans = {span_of(period, day) for period in PERIODS for day in record.days}
        enter(institution_id, learner_id, record, spans, models.setting_of(learner_id), now)

    _until_settled(update)


def enter(
    institution_id: str,
    learner_id: str,
    record: Record,
    spans: Iterable[Span],
    setting: Setting,
    now: datetime,
) -> None:
    """Write what has changed. Raises `Stale` where another one came in between: again, then."""
    reached = {
        board: min(score, ranks.HIGHEST) if setting.shows(board) else 0
        for board, score in scores(institution_id, record, spans).items()
        if not board.is_gone(now)
    }
    counted, places = models.places_of(learner_id, reached)
    changed = [board for board, score in reached.items() if score != int(places[board.name].score or 0)]
    transaction = Transaction()
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
        now,
    )
    for start in range(0, len(changed), _BOARDS_AT_ONCE):
        if start:
            transaction.commit()
            transaction = Transaction()
        boards = changed[start : start + _BOARDS_AT_ONCE]
        for board in boards:
            place = places[board.name]
            models.move(transaction, board, learner_id, institution_id, place, reached[board] or None)
        if any(reached[board] for board in boards):
            models.if_still_shown(transaction, learner_id)
    transaction.commit()


def scores(institution_id: str, record: Record, spans: Iterable[Span]) -> dict[Board, int]:
    """What a learner has on each board of these periods."""
    found: dict[Board, int] = {}
    for span in spans:
        if span.period == "all":
            whole, by_course = record.xp, dict(record.course_xp)
        else:
            by_course = _sums(one.get(span.period, {}) for day, one in record.days.items() if span.holds(day))
            whole = sum(by_course.values())
        found[Board(span, PLATFORM)] = found[Board(span, institution_id)] = whole
        for course_id in record.course_xp:
            found[Board(span, course_scope(institution_id, course_id))] = by_course.get(course_id, 0)
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


def show_on_boards(institution_id: str, learner_id: str, today: date) -> None:
    """Let a learner be on leaderboards, from this week and month on; the worker enters it."""
    if not models.setting_of(learner_id).leaderboards:
        models.keep_setting(learner_id, Setting(leaderboards=True, since=today))
    service.wake(
        StandingMessage(institution_id=institution_id, learner_id=learner_id, day=today, every_course=True)
    )


def hide_from_boards(institution_id: str, learner_id: str) -> None:
    """Take a learner off every leaderboard, past ones too. Dying midway, it is safe to call again."""
    models.keep_setting(learner_id, Setting(leaderboards=False))

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


def standings(
    board: Board, learner_id: str, institution_id: str, now: datetime, *, top: int, around: int
) -> Standings:
    """Exact for all that is entered. The number of reads does not depend on how many are on the board."""
    if board.is_gone(now):
        return Standings(0, [], None, [], [])
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
