"""A rank among any number of scores in three small reads: counters in a tree.

A score is three digits to the base of 128. The root counts how many scores begin with each digit, a node of
the second level those that begin with two, a leaf those with all three. How many scores are greater is the
sum of the counters right of one's own on the way down.
"""

from collections.abc import Iterable, Mapping

BASE = 128
HIGHEST = BASE**3 - 1

Node = tuple[int, int]
"""Level (0 is the root) and the digits above it, as one number."""
Counters = Mapping[Node, Mapping[int, int]]


def path(score: int) -> list[tuple[Node, int]]:
    """The nodes on the way to a score, each with the digit that the way goes on with."""
    first, rest = divmod(score, BASE * BASE)
    second, third = divmod(rest, BASE)
    return [((0, 0), first), ((1, first), second), ((2, first * BASE + second), third)]


def moves(before: int | None, after: int | None) -> dict[Node, dict[int, int]]:
    """What to add to which counters when a score changes; None is no score.

    A node that the score stays under is left alone, so the root is nearly cold.
    """
    found: dict[Node, dict[int, int]] = {}
    for score, sign in ((before, -1), (after, 1)):
        for node, digit in path(score) if score is not None else ():
            counters = found.setdefault(node, {})
            counters[digit] = counters.get(digit, 0) + sign
    changed = {node: {d: n for d, n in counters.items() if n} for node, counters in found.items()}
    return {node: counters for node, counters in changed.items() if counters}


def nodes_of(scores: Iterable[int]) -> set[Node]:
    """Every node that the ranks of these scores need."""
    return {node for score in scores for node, _ in path(score)}


def greater(score: int, counters: Counters) -> int:
    """How many scores are greater."""
    return sum(
        count
        for node, digit in path(score)
        for other, count in counters.get(node, {}).items()
        if other > digit
    )


def size(counters: Counters) -> int:
    """How many scores there are; the root must be among the counters."""
    return sum(counters.get((0, 0), {}).values())
