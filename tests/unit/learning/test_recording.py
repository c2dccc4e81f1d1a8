"""Any order, duplication and interleaving of answers gives the same totals."""

import itertools
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.catalogue.items import Item
from chalicelib.catalogue.service import Exercise
from chalicelib.core.clock import instant
from chalicelib.core.errors import Invalid
from chalicelib.core.store import Table
from chalicelib.institutions.service import Learner
from chalicelib.learning import folding, models, recording, replay
from chalicelib.learning.estimate import Evidence
from chalicelib.learning.folding import percent, xp_of
from chalicelib.learning.grading import grade
from chalicelib.learning.periods import PERIODS, span_of
from chalicelib.learning.recording import Submission

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
        self.facts: list[models.AttemptItem] = []
        self.told: list[str] = []

    def row(self, model: type[T], sk: str) -> T:
        return self.rows.setdefault(sk, model(LEARNER.id, sk))  # type: ignore[no-any-return]

    def answer(
        self,
        item: int,
        answer: list[str],
        at: datetime,
        *,
        zone: str = "Europe/Berlin",
        recorded_at: datetime = NOW,
        imported: bool = False,
    ) -> folding.Changes:
        work, learner = exercise(item), Learner(LEARNER.id, LEARNER.institution_id, ZoneInfo(zone))
        attempt_id = f"att_{at:%d%H}{answer}{zone}{recorded_at}{imported}"
        sent = Submission(work.item_id, answer, 400_000, at, attempt_id, imported=imported)
        attempt = recording._attempt(learner, work, sent, at, recorded_at)
        attempt.actor_id, attempt.xp, attempt.changes = LEARNER.id, 0, {}
        day = date.fromisoformat(attempt.local_date)
        keys = models.state_keys(work.item_id, day, work.course_id, work.lesson_id)
        changes = folding.fold(models.state_in(self.row, keys), attempt)
        self.rows |= {one.sk: one for one in changes.completions}
        self.facts.append(attempt)
        assert changes.xp >= 0
        self.told += ["lesson"] * changes.lesson_completed + ["course"] * changes.course_completed
        self.told += [one.code for one in changes.unlocked if one.code != "first_level"]
        return changes

    def totals(self) -> dict[str, Any]:
        """Everything that must not depend on the order of answers."""
        shown = {}
        for sk, row in self.rows.items():
            if sk.startswith("COMPLETION#"):  # when it was completed; that it was is in `told`
                continue
            names = {*row.attribute_values} - {"completed_at", "achievements", "reached", "version", "latest"}
            shown[sk] = {name: row.attribute_values[name] for name in names}
        return {"rows": shown, "told": sorted(self.told)}


WEEK_CLOSES, MONTH_CLOSES = datetime(2026, 12, 1, 12, tzinfo=UTC), datetime(2026, 12, 2, 12, tzinfo=UTC)
answers = st.tuples(
    st.integers(0, 2),
    st.sampled_from([["a", "b"], ["a"], ["c"], ["a", "b", "c"]]),
    st.integers(0, 5 * 24).map(lambda hours: NOW - timedelta(hours=hours)),
)
circumstances = st.fixed_dictionaries(
    {
        "zone": st.sampled_from(["Europe/Berlin", "Pacific/Kiritimati", "Pacific/Pago_Pago", "Asia/Kolkata"]),
        "recorded_at": st.sampled_from([NOW, WEEK_CLOSES - timedelta(seconds=1), WEEK_CLOSES, MONTH_CLOSES]),
        "imported": st.booleans(),
    }
)
histories = st.lists(st.tuples(answers, circumstances), min_size=1, max_size=12)


def learned(history: list[Any]) -> Learned:
    found = Learned()
    for answer, how in history:
        found.answer(*answer, **how)
    return found


@settings(max_examples=200)
@given(histories, st.randoms())
def test_any_order_gives_the_same_totals(history: list[Any], random: Any) -> None:
    """From whatever zones, in time for leaderboards or not: XP, evidence, reviews, days, progress."""
    shuffled = list(history)
    random.shuffle(shuffled)
    assert learned(history).totals() == learned(shuffled).totals()


def test_a_streak_counts_whole_for_whoever_flies_west() -> None:
    """The last of seven days is still to come where the last answer was given."""
    east = [((0, ["a"], NOW), {"zone": "Pacific/Kiritimati"})]
    west = [((0, ["a"], NOW - timedelta(days=back)), {"zone": "Pacific/Pago_Pago"}) for back in range(6)]
    assert "streak_7" in learned(west + east).told
    assert "streak_7" in learned(east + west).told


@given(histories)
def test_what_is_stored_folds_to_the_same_rows_again(history: list[Any]) -> None:
    """Versions, times of completion and achievements too: attempts are numbered in their order."""
    found = learned(history)
    facts = [models.AttemptItem.from_raw_data(fact.serialize()) for fact in reversed(found.facts)]
    again = replay.fold_all(sorted(facts, key=lambda fact: int(fact.number)))
    assert again.keys() == found.rows.keys()
    for sk, row in again.items():
        assert row.serialize() == found.rows[sk].serialize()


@given(histories)
def test_evidence_and_reviews_are_the_earliest_answers_of_item_and_day(history: list[Any]) -> None:
    found = learned(history)
    earliest: dict[Any, models.AttemptItem] = {}
    for fact in found.facts:
        key = (fact.item_id, fact.local_date)
        earliest[key] = min(fact, earliest.get(key, fact), key=lambda one: (one.occurred_at, one.sk))
    expected = Evidence()
    for fact in earliest.values():
        expected = expected.plus(date.fromisoformat(fact.local_date), float(fact.score))
    assert found.rows["LEARNER"].evidence == {
        "de": {"vocabulary": {"A1:4": [expected.count, expected.weight, expected.score]}}
    }
    for item_id in {fact.item_id for fact in found.facts}:
        days = {day: fact for (item, day), fact in earliest.items() if item == item_id}
        reviewed = found.rows[f"ITEM#{item_id}"].reviews
        assert {day: at for day, (at, _) in reviewed.items()} == {
            day: instant(datetime.fromisoformat(fact.occurred_at)) for day, fact in days.items()
        }


@given(histories)
def test_days_add_up_to_the_totals(history: list[Any]) -> None:
    found = learned(history)
    totals, days = found.rows["LEARNER"], [row for sk, row in found.rows.items() if sk.startswith("DAY#")]
    for name in ("attempts", "xp", "study_ms"):
        assert sum(getattr(day, name) for day in days) == getattr(totals, name), name
    assert sum(day.items for day in days) == len({(fact.item_id, fact.local_date) for fact in found.facts})
    assert sum(length for _, length in totals.active_days) == len(days)
    for day in days:
        assert sum(day.hours.values()) == day.study_ms
        assert sum(count for count, _ in day.types.values()) == day.attempts


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


@given(histories)
def test_boards_take_the_best_answers_that_came_in_time_and_no_imports(history: list[Any]) -> None:
    found = learned(history)
    best: dict[Any, int] = {}
    for fact in found.facts:
        day, recorded_at = date.fromisoformat(fact.local_date), datetime.fromisoformat(fact.recorded_at)
        for period in PERIODS if not fact.imported else ():
            closes_at = span_of(period, day).closes_at
            if closes_at is None or recorded_at < closes_at:
                key = (period, day, fact.item_id)
                best[key] = max(best.get(key, 0), xp_of(10, float(fact.score)))
    all_time = sum(xp for (period, *_), xp in best.items() if period == "all")
    assert found.rows["LEARNER"].board_xp == found.rows["COURSE#crs_1"].board_xp == all_time
    for sk, row in found.rows.items():
        for period in ("week", "month") if sk.startswith("DAY#") else ():
            expected = sum(xp for (one, day, _), xp in best.items() if (one, f"DAY#{day}") == (period, sk))
            assert row.boards[period] == {"crs_1": expected}


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
