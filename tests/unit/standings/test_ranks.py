"""Ranks against a full sort."""

import random
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.standings import ranks
from chalicelib.standings.ranks import HIGHEST, Node


class Tree:
    """The counters in memory, and how many of them a rank reads."""

    def __init__(self) -> None:
        self.nodes: dict[Node, dict[int, int]] = {}
        self.written = 0

    def move(self, before: int | None, after: int | None) -> None:
        for node, counters in ranks.moves(before, after).items():
            self.written += 1
            kept = self.nodes.setdefault(node, {})
            for digit, count in counters.items():
                kept[digit] = kept.get(digit, 0) + count

    def rank(self, score: int) -> int:
        read = {node: self.nodes.get(node, {}) for node in ranks.nodes_of([score])}
        assert len(read) == 3
        return 1 + ranks.greater(score, read)


def sorted_ranks(scores: Iterable[int]) -> dict[int, int]:
    found: dict[int, int] = {}
    for place, score in enumerate(sorted(scores, reverse=True), start=1):
        found.setdefault(score, place)
    return found


near = st.integers(0, 400)
anywhere = st.integers(0, HIGHEST)


@settings(max_examples=200)
@given(st.lists(st.tuples(st.integers(0, 8), st.one_of(st.none(), near, anywhere)), max_size=60))
def test_a_rank_is_that_of_a_full_sort(history: list[tuple[int, int | None]]) -> None:
    tree, scores = Tree(), dict[int, int | None]()
    for learner, score in history:
        tree.move(scores.get(learner), score)
        scores[learner] = score
    present = [score for score in scores.values() if score is not None]
    for score, rank in sorted_ranks(present).items():
        assert tree.rank(score) == rank
    assert ranks.size(tree.nodes) == len(present)


@given(anywhere)
def test_a_score_that_stays_moves_nothing(score: int) -> None:
    assert ranks.moves(score, score) == {}


@given(anywhere, anywhere)
def test_a_move_is_undone_by_its_reverse(before: int, after: int) -> None:
    tree = Tree()
    tree.move(None, before)
    tree.move(before, after)
    tree.move(after, None)
    assert all(count == 0 for counters in tree.nodes.values() for count in counters.values())


@pytest.mark.parametrize("learners", [1_000, 20_000])
def test_an_answer_writes_a_few_counters_however_many_learners_there_are(learners: int) -> None:
    chance = random.Random(learners)  # noqa: S311
    tree = Tree()
    scores = [int(chance.lognormvariate(5, 1.5)) for _ in range(learners)]
    for score in scores:
        tree.move(None, score)
    tree.written = 0
    for _ in range(1000):
        learner = chance.randrange(learners)
        gained = chance.randint(5, 20)
        tree.move(scores[learner], scores[learner] + gained)
        scores[learner] += gained
    assert tree.written / 1000 < 1.5
    expected = sorted_ranks(scores)
    for learner in range(0, learners, max(1, learners // 200)):
        assert tree.rank(scores[learner]) == expected[scores[learner]]
