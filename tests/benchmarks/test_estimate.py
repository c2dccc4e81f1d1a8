"""What docs/estimate.md tells, held to bounds."""

import pytest

from tests.benchmarks.estimate import LEARNERS, clickers, growth, known

pytestmark = pytest.mark.proof


def test_many_learners_are_told_their_level() -> None:
    by_count = {one.count: one for one in known(LEARNERS)}
    for one in by_count.values():
        assert one.over < 0.035
        assert one.over_by_two < 0.001
        assert one.covered > 0.85
    assert by_count[40].exact > 0.6
    assert by_count[320].exact > 0.88
    assert by_count[40].rmse < 0.6
    assert by_count[320].rmse < 0.2


@pytest.mark.parametrize("options", [2, 3, 4])
def test_nobody_is_given_a_level_for_clicking(options: int) -> None:
    assert clickers(LEARNERS, 160, options)[0] == 0


def test_a_learner_who_grows_is_not_flattered() -> None:
    assert growth(LEARNERS // 4).overclaimed() < 0.01
