"""Any order, duplication and interleaving of answers gives the same totals."""

import itertools
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.catalogue.items import Item
from chalicelib.catalogue.service import Exercise
from chalicelib.core.errors import Invalid
from chalicelib.institutions.service import Learner
from chalicelib.learning import service
from chalicelib.learning.grading import grade
from chalicelib.learning.models import State
from chalicelib.learning.service import Submission, percent, xp_of

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
        item=authored, lesson_item_count=size, course_item_count=3, course_lesson_count=2,
    )  # fmt: skip


class Learned:
    """What a learner's partition holds, in memory."""

    def __init__(self) -> None:
        self.rows: dict[str, Any] = {}
        self.told: list[str] = []

    def put(self, item: Any, *_: Any) -> None:
        self.rows[item.sk] = item

    def answer(self, item: int, answer: list[str], occurred_at: datetime) -> None:
        work = exercise(item)
        day = occurred_at.astimezone(LEARNER.zone).date()
        state = State(
            learner=self.rows.get("LEARNER"),
            best=self.rows.get(f"ITEM#{work.item_id}"),
            best_of_day=self.rows.get(f"DAY#{day}#{work.item_id}"),
            lesson=self.rows.get(f"LESSON#crs_1#{work.lesson_id}"),
            course=self.rows.get("COURSE#crs_1"),
        )
        graded = grade(work.item.content, work.item.key, answer)
        fold = service._Fold(state, LEARNER, work, graded, occurred_at, NOW)
        attempt = fold.attempt("att_1", ACTOR, Submission(work.item_id, answer, 1000, occurred_at, None))
        fold.write(self)  # type: ignore[arg-type]
        assert attempt.changes["xp"] >= 0
        self.told += ["lesson"] * fold.lesson_completed + ["course"] * fold.course_completed

    def totals(self) -> dict[str, Any]:
        course, learner = self.rows["COURSE#crs_1"], self.rows["LEARNER"]
        lessons = {sk: int(row.items_passed) for sk, row in self.rows.items() if sk.startswith("LESSON#")}
        return {
            "xp": int(learner.xp), "attempts": int(learner.attempts), "days": learner.active_days,
            "lessons": lessons, "passed": int(course.items_passed), "course_xp": int(course.xp),
            "completed": int(course.lessons_completed), "started": course.started_at,
            "last": course.last_activity_at, "told": sorted(self.told),
        }  # fmt: skip


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
    assert learned.totals()["xp"] == sum(best.values())


def test_a_completion_is_told_once() -> None:
    learned = Learned()
    for item in (0, 1, 1, 0, 2, 2):
        learned.answer(item, ["a", "b"], NOW)
    assert learned.told == ["lesson", "lesson", "course"]


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
        service._checked_time(NOW + offset, NOW)
    assert list(refused.value.fields) == ["occurred_at"]


def test_a_clock_that_is_five_minutes_off_is_believed() -> None:
    for offset in (timedelta(minutes=5), timedelta(minutes=-5)):
        assert service._checked_time(NOW + offset, NOW) == NOW + offset


def test_a_submission_sent_again_is_the_same() -> None:
    sent = Submission("itm_1", {"a": "2", "b": "1"}, 10, NOW, "att_1")
    again = Submission("itm_1", {"b": "1", "a": "2"}, 10, NOW.astimezone(ZoneInfo("Asia/Tokyo")), "att_1")
    assert sent.digest() == again.digest()
    others = [Submission("itm_1", ["a"], 10, NOW, "att_1"), Submission("itm_1", ["a"], 11, NOW, "att_1")]
    assert len({one.digest() for one in itertools.chain([sent], others)}) == 3
