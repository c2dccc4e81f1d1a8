"""The CEFR estimate on simulated learners of known ability: `python -m tests.benchmarks.estimate`.

Prints the tables of docs/estimate.md and draws its plot. The truth is deliberately unlike the model: items
differ from their level, in how well they separate and in how easily they are guessed, and everybody slips.
"""

import math
import random
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from chalicelib.catalogue.items import CefrLevel
from chalicelib.learning.estimate import CUTS, LEVELS, Cell, Estimate, Evidence, estimate
from tests.benchmarks.table import table

PLOT = Path(__file__).parents[2] / "docs" / "estimate.svg"
DAY = date(2026, 11, 25)
COUNTS = (10, 20, 40, 80, 160, 320)
LEARNERS = 2000
_DIFFICULTY = {level: cut - 0.85 for level, cut in CUTS.items()}
_OPTIONS = (0, 4, 0, 3)  # produced, one of four, produced, one of three
_GROWTH_DAYS, _PLATEAU_DAYS, _ANSWERS_A_DAY = 180, 60, 5 / 3


@dataclass
class Learner:
    """Answers at random as somebody of an ability would; `answered` is what we know of it."""

    chance: random.Random

    def __post_init__(self) -> None:
        self.cells: dict[Cell, Evidence] = {}
        self.items: dict[CefrLevel, int] = {}

    def answer(self, ability: float, day: date = DAY) -> None:
        """An exercise of about the learner's level, as courses and reviews bring them."""
        chance, wanted = self.chance, ability + self.chance.gauss(0, 1)
        level = min(LEVELS, key=lambda one: abs(_DIFFICULTY[one] - wanted))
        options = chance.choice(_OPTIONS)
        difficulty, slope = _DIFFICULTY[level] + chance.gauss(0, 0.6), 0.9 * math.exp(chance.gauss(0, 0.25))
        guess = chance.uniform(0.6, 1.4) / options if options else 0.0
        right = guess + (1 - guess) * 0.97 / (1 + math.exp(-slope * (ability - difficulty)))
        self.record(level, options, float(chance.random() < right), day)

    def record(self, level: CefrLevel, options: int, score: float, day: date = DAY) -> None:
        cell = (level, options)
        self.cells[cell] = self.cells.get(cell, Evidence()).plus(day, score)
        self.items[level] = self.items.get(level, 0) + 1

    def estimate(self, day: date = DAY) -> Estimate:
        return estimate(self.cells, self.items, day)


def level_at(ability: float) -> int:
    """The number of the level that somebody of this ability is at; -1 below A1."""
    return sum(ability >= cut for cut in CUTS.values()) - 1


def number_of(level: CefrLevel | None) -> int:
    return LEVELS.index(level) if level else -1


@dataclass(frozen=True)
class Known:
    """What is said of learners whose ability is known, after `count` answers each. Shares of all learners,
    except that `over`, `exact` and `under` are shares of those of whom there is enough evidence.
    """

    count: int
    enough: float
    over: float
    over_by_two: float
    exact: float
    under: float
    likely_exact: float
    bias: float
    rmse: float
    covered: float


def known(learners: int, counts: Sequence[int] = COUNTS, *, sd_at_most: float = math.inf) -> list[Known]:
    """`sd_at_most` adds the rule that we do not have."""
    found: dict[int, list[tuple[float, Estimate]]] = {count: [] for count in counts}
    for seed in range(learners):
        learner = Learner(random.Random(seed))  # noqa: S311
        ability = learner.chance.uniform(-4.2, 4.4)
        for number in range(1, max(counts) + 1):
            learner.answer(ability)
            if number in found:
                found[number].append((ability, learner.estimate()))
    return [_known(count, pairs, sd_at_most) for count, pairs in found.items()]


def _known(count: int, pairs: Sequence[tuple[float, Estimate]], sd_at_most: float) -> Known:
    told = [
        number_of(one.proven) - level_at(ability)
        for ability, one in pairs
        if one.enough and one.sd <= sd_at_most
    ]
    errors = [one.ability - ability for ability, one in pairs]

    def share(of: Callable[[int], bool]) -> float:
        return sum(map(of, told)) / max(1, len(told))

    return Known(
        count=count,
        enough=len(told) / len(pairs),
        over=share(lambda gap: gap > 0),
        over_by_two=share(lambda gap: gap > 1),
        exact=share(lambda gap: gap == 0),
        under=share(lambda gap: gap < 0),
        likely_exact=_mean([number_of(one.likely) == level_at(ability) for ability, one in pairs]),
        bias=_mean(errors),
        rmse=math.sqrt(_mean([error * error for error in errors])),
        covered=_mean([abs(one.ability - ability) <= 1.645 * one.sd for ability, one in pairs]),
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def clickers(learners: int, count: int, options: int) -> tuple[float, float]:
    """Who clicks at random on exercises from A1 to B1: how many get any level, and a level as likely."""
    proven = likely = 0
    for seed in range(learners):
        learner = Learner(random.Random(seed))  # noqa: S311
        for number in range(count):
            learner.record(LEVELS[number % 3], options, float(learner.chance.random() < 1 / options))
        found = learner.estimate()
        proven, likely = proven + (found.proven is not None), likely + (found.likely is not None)
    return proven / learners, likely / learners


@dataclass(frozen=True)
class Grown:
    """Learners who grow from the middle of A2 to the middle of B1, and stay there. By day, over learners."""

    days: list[int]
    truth: list[float]
    estimates: list[list[float]]
    claims: list[list[int]]

    def at(self, day: int) -> tuple[float, float]:
        """Bias and RMSE on this day, in logits."""
        number = self.days.index(day)
        errors = [value - self.truth[number] for value in self.estimates[number]]
        return _mean(errors), math.sqrt(_mean([error * error for error in errors]))

    def claiming(self, day: int, level: int) -> float:
        """The share of learners of whom at least this level is proven."""
        return _mean([claim >= level for claim in self.claims[self.days.index(day)]])

    def overclaimed(self) -> float:
        """The share of all weekly looks at which a level was proven that was not there yet."""
        looks = [
            claim > level_at(truth)
            for claims, truth in zip(self.claims, self.truth, strict=True)
            for claim in claims
        ]
        return _mean(looks)


def growth(learners: int, step: int = 10) -> Grown:
    days = list(range(0, _GROWTH_DAYS + _PLATEAU_DAYS + 1, step))
    start = CUTS["A2"] + 0.75
    truth = [start + 1.5 * min(1, day / _GROWTH_DAYS) for day in days]
    found = Grown(days, truth, [[] for _ in days], [[] for _ in days])
    for seed in range(learners):
        learner = Learner(random.Random(seed))  # noqa: S311
        given = 0
        for day in range(days[-1] + 1):
            today = DAY + timedelta(days=day)
            while given < (day + 1) * _ANSWERS_A_DAY:
                learner.answer(start + 1.5 * min(1, day / _GROWTH_DAYS), today)
                given += 1
            if day % step == 0:
                one, number = learner.estimate(today), day // step
                found.estimates[number].append(one.ability)
                found.claims[number].append(number_of(one.proven))
    return found


def always_right(level: CefrLevel, count: int) -> Estimate:
    """Someone who is never wrong on exercises of this level, none of them guessable."""
    learner = Learner(random.Random(0))  # noqa: S311
    for _ in range(count):
        learner.record(level, 0, 1.0)
    return learner.estimate()


# What is shown of it


def known_table(rows: Sequence[Known]) -> str:
    return table(
        ["answers", "enough evidence", "level too high", "by two", "exact", "too low",
         "likely level exact", "bias", "RMSE", "inside the 90 % interval"],
        [
            [str(one.count), _percent(one.enough),
             *([_percent(one.over), _percent(one.over_by_two), _percent(one.exact), _percent(one.under)]
               if one.enough else ["–"] * 4),
             _percent(one.likely_exact), f"{one.bias:+.2f}", f"{one.rmse:.2f}", _percent(one.covered)]
            for one in rows
        ],
    )  # fmt: skip


def rule_table(with_rule: Sequence[Known], without: Sequence[Known]) -> str:
    return table(
        ["answers", "with the rule: told", "too high", "without it: told", "too high"],
        [
            [str(one.count), *map(_percent, (one.enough, one.over, other.enough, other.over))]
            for one, other in zip(with_rule, without, strict=True)
            if other.enough
        ],
    )  # fmt: skip


def clicker_table(learners: int) -> str:
    rows = []
    for options in (4, 3, 2):
        for count in (40, 160, 320):
            proven, likely = clickers(learners, count, options)
            rows.append([f"one of {options}", str(count), _percent(proven), _percent(likely)])
    return table(["choice", "clicks", "a level is proven", "a level is the likeliest"], rows)


def growth_table(grown: Grown) -> str:
    rows = []
    for day in (0, 60, 120, 180, 210, 240):
        bias, rmse = grown.at(day)
        truth = LEVELS[level_at(grown.truth[grown.days.index(day)])]
        proven = [_percent(grown.claiming(day, number_of(level))) for level in ("A2", "B1", "B2")]
        rows.append([str(day), truth, f"{bias:+.2f}", f"{rmse:.2f}", *proven])
    return table(["day", "true level", "bias", "RMSE", "A2 proven", "B1 proven", "B2 proven"], rows)


def _percent(share: float) -> str:
    text = f"{share * 100:.1f}"
    return f"{text.removesuffix('.0')} %"


def draw(rows: Sequence[Known], grown: Grown, file: Path = PLOT) -> None:
    """The same, to look at."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams |= {"svg.hashsalt": "talktiko", "svg.fonttype": "none", "font.size": 9,
                     "axes.spines.top": False, "axes.spines.right": False}  # fmt: skip
    from matplotlib import pyplot

    figure, (left, middle, right) = pyplot.subplots(1, 3, figsize=(13, 4), layout="constrained")
    counts = [one.count for one in rows]
    left.plot(counts, [one.rmse for one in rows], "o-", color="#1f4e79", label="RMSE")
    left.plot(counts, [one.bias for one in rows], "s--", color="#b3541e", label="bias")
    left.axhline(0, color="grey", linewidth=0.6)
    left.set(title="Error of the estimate (a level is 1.5)", xlabel="answers", ylabel="logits", xscale="log")
    left.set_xticks(counts, [str(count) for count in counts])
    left.minorticks_off()
    left.legend(frameon=False)

    told = [one for one in rows if one.enough]
    parts = {
        "too low": ([one.under for one in told], "#c9d6e3"),
        "exact": ([one.exact for one in told], "#5b8db8"),
        "too high": ([one.over for one in told], "#b3541e"),
    }
    middle.stackplot(
        [one.count for one in told],
        *[[100 * share for share in shares] for shares, _ in parts.values()],
        labels=list(parts),
        colors=[colour for _, colour in parts.values()],
    )
    middle.set(title="The proven level, of those with enough evidence", xlabel="answers",
               ylabel="% of learners", xscale="log", ylim=(0, 100))  # fmt: skip
    middle.set_xticks([one.count for one in told], [str(one.count) for one in told])
    middle.minorticks_off()
    middle.legend(loc="lower right", frameon=True)

    deciles = [statistics.quantiles(values, n=10) for values in grown.estimates]
    right.plot(grown.days, grown.truth, color="black", label="truth")
    right.plot(grown.days, [one[4] for one in deciles], color="#1f4e79", label="estimate, median")
    right.fill_between(grown.days, [one[0] for one in deciles], [one[-1] for one in deciles],
                       color="#1f4e79", alpha=0.2, label="10th to 90th percentile")  # fmt: skip
    for level in ("A2", "B1", "B2"):
        right.axhline(CUTS[level], color="grey", linewidth=0.6, linestyle=":")
        right.annotate(level, (2, CUTS[level] + 0.05), color="grey")
    right.set(title="A learner who grows by a level in 180 days", xlabel="day", ylabel="ability, logits")
    right.legend(loc="lower right", frameon=False)
    figure.savefig(file, metadata={"Date": None})
    pyplot.close(figure)


def main() -> None:
    rows, grown = known(LEARNERS), growth(LEARNERS // 4)
    silenced = known(LEARNERS, sd_at_most=0.7)
    right = [f"{count}: sd {always_right('B1', count).sd:.2f}" for count in (20, 40, 80)]
    for told in (
        f"{LEARNERS} learners of known ability:", known_table(rows),
        "With a rule that sd must be at most 0.7, and without:", rule_table(silenced, rows),
        f"Always right at B1, by answers: {', '.join(right)}",
        "Who clicks at random:", clicker_table(LEARNERS // 4),
        f"Who grows: too high at {_percent(grown.overclaimed())} of all looks.", growth_table(grown),
    ):  # fmt: skip
        sys.stdout.write(f"{told}\n\n")
        sys.stdout.flush()
    draw(rows, grown)


if __name__ == "__main__":
    main()
