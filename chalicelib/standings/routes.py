"""/api/stats, /api/gamification/leaderboard, /api/gamification/settings."""

import base64
import hashlib

from chalice.app import Blueprint

from chalicelib.catalogue import service as catalogue
from chalicelib.core.clock import rfc3339
from chalicelib.core.errors import Invalid, NotFound
from chalicelib.core.http import Call, endpoint
from chalicelib.learning import service as learning
from chalicelib.standings import entering, models, schemas
from chalicelib.standings.boards import PLATFORM, course_scope
from chalicelib.standings.entering import Row

api = Blueprint(__name__)


@endpoint(api, "GET", "/api/stats", abilities=["progress:read"], returns=schemas.PlatformStats)
def platform_stats(call: Call) -> schemas.PlatformStats:
    """Platform-wide statistics; answers of the last minute may be missing."""
    counted, offered = models.totals(), catalogue.public_totals()
    return schemas.PlatformStats(
        as_of=rfc3339(call.now),
        courses=offered.courses,
        lessons=offered.lessons,
        training_items=offered.items,
        learners=counted["learners"],
        answers=counted["answers"],
        lessons_completed=counted["lessons_completed"],
        courses_completed=counted["courses_completed"],
        study_hours=counted["study_ms"] // 3_600_000,
    )


@endpoint(api, "GET", "/api/gamification/leaderboard", abilities=["progress:read"],
          query=schemas.LeaderboardQuery, returns=schemas.Leaderboard, refuses=[NotFound])  # fmt: skip
def leaderboard(call: Call, query: schemas.LeaderboardQuery) -> schemas.Leaderboard:
    """The best of a week, a month or of all time, and your own place among your neighbours."""
    caller = call.caller
    if (query.course is None) == (query.scope == "course"):
        raise Invalid({"course": ["goes with the scope course, and only with that"]})
    scope = PLATFORM if query.scope == "platform" else caller.institution_id
    if query.course is not None:
        catalogue.course(caller.institution_id, query.course)
        scope = course_scope(caller.institution_id, query.course)
    learner = learning.learner_for(caller, None)
    board = entering.board_of(query.period, scope, query.on or call.now.astimezone(learner.zone).date())
    found = entering.standings(
        board, learner.id, caller.institution_id, call.now, top=query.top, around=query.around
    )
    span = board.span

    def show(row: Row) -> schemas.LeaderboardRow:
        return _row(row, learner.id, caller.institution_id)

    return schemas.Leaderboard(
        period=query.period,
        scope=query.scope,
        course_id=query.course,
        from_=span.first,
        to=span.last,
        closes_at=span.closes_at and rfc3339(span.closes_at),
        as_of=rfc3339(call.now),
        participants=found.participants,
        top=[show(row) for row in found.top],
        above=[show(row) for row in found.above],
        you=found.own and show(found.own),
        below=[show(row) for row in found.below],
    )


@endpoint(api, "GET", "/api/gamification/settings", abilities=["progress:read"],
          returns=schemas.GamificationSettings)  # fmt: skip
def get_settings(call: Call) -> schemas.GamificationSettings:
    """Whether you are shown on leaderboards."""
    member = call.caller.member_id
    setting = models.setting_of(member)
    return schemas.GamificationSettings(learner_id=member, leaderboards=setting.leaderboards)


@endpoint(api, "PUT", "/api/gamification/settings", abilities=["progress:write"],
          body=schemas.GamificationSettingsUpdate, returns=schemas.GamificationSettings)  # fmt: skip
def update_settings(call: Call, body: schemas.GamificationSettingsUpdate) -> schemas.GamificationSettings:
    """Leave leaderboards, at once, or join them, within a minute. XP and streaks stay."""
    learner = learning.learner_for(call.caller, None)
    if body.leaderboards:
        today = call.now.astimezone(learner.zone).date()
        entering.show_on_boards(learner.institution_id, learner.id, today)
    else:
        entering.hide_from_boards(learner.institution_id, learner.id)
    return schemas.GamificationSettings(learner_id=learner.id, leaderboards=body.leaderboards)


def _row(row: Row, learner_id: str, institution_id: str) -> schemas.LeaderboardRow:
    return schemas.LeaderboardRow(
        rank=row.rank,
        xp=row.score,
        learner_id=row.learner_id if row.institution_id == institution_id else None,
        label=f"Learner {_mark(row.learner_id)}",
        is_you=row.learner_id == learner_id,
    )


def _mark(learner_id: str) -> str:
    """Tells people apart without telling who they are."""
    return base64.b32encode(hashlib.sha256(learner_id.encode()).digest())[:4].decode()
