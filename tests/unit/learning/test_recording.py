"""Any order, duplication and interleaving of answers gives the same totals."""

import itertools
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.catalogue.items import Item
from chalicelib.catalogue.service import Exercise
from chalicelib.core.errors import Invalid
from chalicelib.core.store import Table
from chalicelib.institutions.service import Learner
from chalicelib.learning import folding, models, recording
from chalicelib.learning.folding import percent, xp_of
from chalicelib.learning.grading import grade
from chalicelib.learning.recording import Submission
from chalicelib.learning.reviews import rating_of

T = TypeVar("T", bound=Table)
NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
LEARNER = Learner(
    "mem_01KAXG7Y0000000000000000A1", "ins_01KAXG7Y0000000000000000A1", ZoneInfo("Europe/Berlin")
)
ACTOR: Any = SimpleNamespace(member_id=LEARNER.id, institution_id=LEARNER.institution_id)
LESSONS = (("lsn_1", 2), ("lsn_2", 1))


def exercise(item: int) -> Exercise:
    """Three items in two lessons."""
    content = {"type": "multiple_select", "prompt": "Which?", "options": [
        {"id": "a", "text": "A"}, {"id": "b", "text": "B"}, {"id": "c", "text": "C"}]}  # fmt: skip
    authored = Item.model_validate(
        {"content": content, "key": {"type": "multiple_select", "correct": ["a", "b"]},
         "cefr_level": "A1", "skill": "vocabulary", "points": 10}
    )  # fmt: skip
    lesson, size = LESSONS[0] if item < 2 else LESSONS[1]
    return Exercise(
        item_id=f"itm_{item}", version=1, training_id="trn_1", lesson_id=lesson, course_id="crs_1",
        item=authored, language="de", lesson_item_count=size, course_item_count=3, course_lesson_count=2,
    )  # fmt: skip


class Learned:
    """What a learner's partition holds, in memory."""

    def __init__(self) -> None:
        self.rows: dict[str, Any] = {}
        self.told: list[str] = []

    def put(self, item: Any, *_: Any) -> None:
        self.rows[item.sk] = item

    def row(self, model: type[T], sk: str) -> T:
        return self.rows.setdefault(sk, model(LEARNER.id, sk))  # type: ignore[no-any-return]

    def answer(
        self, item: int, answer: list[str], at: datetime, *, imported: bool = False
    ) -> folding.Changes:
        work = exercise(item)
        day = at.astimezone(LEARNER.zone).date()
        state = models.State(
            learner=self.row(models.LearnerItem, "LEARNER"),
            item=self.row(models.ItemItem, f"ITEM#{work.item_id}"),
            item_day=self.row(models.ItemDayItem, f"ITEM#{work.item_id}#{day}"),
            lesson=self.row(models.LessonItem, f"LESSON#crs_1#{work.lesson_id}"),
            course=self.row(models.CourseItem, "COURSE#crs_1"),
            day=self.row(models.DayItem, f"DAY#{day}"),
        )
        graded = grade(work.item.content, work.item.key, answer)
        answered = folding.Answered(
            f"att_{at:%d%H}{answer}", work, graded, rating_of(graded.score), 400_000, at, imported
        )
        changes = folding.fold(state, LEARNER, answered, NOW)
        assert changes.xp >= 0
        self.told += ["lesson"] * changes.lesson_completed + ["course"] * changes.course_completed
        self.told += [one.code for one in changes.unlocked if one.code != "first_level"]
        return changes

    def totals(self) -> dict[str, Any]:
        """Everything that must not depend on the order of answers."""
        shown = {}
        for sk, row in self.rows.items():
            names = {*row.attribute_values} - {"completed_at", "achievements", "reached", "version"}
            shown[sk] = {name: row.attribute_values[name] for name in names}
        return {"rows": shown, "told": sorted(self.told)}


answers = st.tuples(
    st.integers(0, 2),
    st.sampled_from([["a", "b"], ["a"], ["c"], ["a", "b", "c"]]),
    st.integers(0, 5 * 24).map(lambda hours: NOW - timedelta(hours=hours)),
)


@settings(max_examples=200)
@given(st.lists(answers, min_size=1, max_size=12), st.randoms())
def test_any_order_gives_the_same_totals(given_answers: list[Any], random: Any) -> None:
    shuffled = list(given_answers)
    random.shuffle(shuffled)
    one, other = Learned(), Learned()
    for answer in given_answers:
        one.answer(*answer)
    for answer in shuffled:
        other.answer(*answer)
    assert one.totals() == other.totals()


@given(st.lists(answers, min_size=1, max_size=12))
def test_xp_is_the_best_answer_of_each_item_and_day(given_answers: list[Any]) -> None:
    learned = Learned()
    best: dict[Any, int] = {}
    for item, answer, at in given_answers:
        learned.answer(item, answer, at)
        work = exercise(item)
        xp = xp_of(10, grade(work.item.content, work.item.key, answer).score)
        key = (item, at.astimezone(LEARNER.zone).date())
        best[key] = max(best.get(key, 0), xp)
    assert learned.rows["LEARNER"].xp == sum(best.values()) == learned.rows["COURSE#crs_1"].xp
    assert sum(row.xp for sk, row in learned.rows.items() if sk.startswith("DAY#")) == sum(best.values())


@given(st.lists(st.tuples(answers, st.booleans()), min_size=1, max_size=12))
def test_imports_earn_xp_and_nothing_on_boards(given_answers: list[Any]) -> None:
    learned, without = Learned(), Learned()
    for answer, imported in given_answers:
        learned.answer(*answer, imported=imported)
        if not imported:
            without.answer(*answer)
    for sk, row in learned.rows.items():
        if sk.startswith("DAY#"):
            assert row.board_xp == (without.rows[sk].xp if sk in without.rows else 0)


def test_evidence_is_the_earliest_answer_of_an_item_and_day() -> None:
    """However late it comes: whoever has seen the solution proves nothing."""
    first, second = Learned(), Learned()
    first.answer(0, ["c"], NOW - timedelta(hours=2))
    second.answer(0, ["a", "b"], NOW - timedelta(hours=1))
    second.answer(0, ["c"], NOW - timedelta(hours=2))
    assert first.rows["LEARNER"].evidence == second.rows["LEARNER"].evidence
    assert first.rows["DAY#2026-11-25"].evidence == second.rows["DAY#2026-11-25"].evidence


def test_study_time_is_at_most_five_minutes_an_answer() -> None:
    learned = Learned()
    learned.answer(0, ["a", "b"], NOW)
    assert learned.rows["LEARNER"].study_ms == 300_000
    assert learned.rows["DAY#2026-11-25"].hours == {"13": 300_000}  # Berlin


def test_a_streak_is_extended_once_a_day() -> None:
    learned = Learned()
    extended = [learned.answer(0, ["a"], at).streak_extended for at in (NOW, NOW, NOW - timedelta(days=1))]
    assert extended == [True, False, True]


def test_a_completion_is_told_once() -> None:
    learned = Learned()
    for item in (0, 1, 1, 0, 2, 2):
        learned.answer(item, ["a", "b"], NOW)
    assert [one for one in learned.told if one in {"lesson", "course"}] == ["lesson", "lesson", "course"]
    assert {"first_answer", "first_lesson", "first_course"} <= set(learned.told)
    assert len(learned.told) == len(set(learned.told)) + 1  # two lessons


def test_a_lesson_or_course_without_items_is_not_done() -> None:
    assert percent(0, 0) == 0


@pytest.mark.parametrize(
    ("passed", "total", "shown"), [(0, 3, 0), (1, 3, 33), (2, 3, 66), (3, 3, 100), (4, 3, 100)]
)
def test_percent_is_whole_only_when_all_is_passed(passed: int, total: int, shown: int) -> None:
    assert percent(passed, total) == shown


def test_half_a_point_counts() -> None:
    assert [xp_of(5, score) for score in (0, 0.5, 0.9, 1)] == [0, 3, 5, 5]


@pytest.mark.parametrize("offset", [timedelta(minutes=6), timedelta(days=-91)])
def test_a_time_out_of_bounds_is_refused(offset: timedelta) -> None:
    with pytest.raises(Invalid) as refused:
        recording._checked_time(Submission("itm_1", None, 1, NOW + offset, None), NOW)
    assert list(refused.value.fields) == ["occurred_at"]


def test_a_clock_that_is_five_minutes_off_is_believed() -> None:
    for offset in (timedelta(minutes=5), timedelta(minutes=-5)):
        given = Submission("itm_1", None, 1, NOW + offset, None)
        assert recording._checked_time(given, NOW) == NOW + offset


def test_a_submission_sent_again_is_the_same() -> None:
    sent = Submission("itm_1", {"a": "2", "b": "1"}, 10, NOW, "att_1")
    again = Submission("itm_1", {"b": "1", "a": "2"}, 10, NOW.astimezone(ZoneInfo("Asia/Tokyo")), "att_1")
    assert sent.digest() == again.digest()
    others = [Submission("itm_1", ["a"], 10, NOW, "att_1"), Submission("itm_1", ["a"], 11, NOW, "att_1")]
    assert len({one.digest() for one in itertools.chain([sent], others)}) == 3
