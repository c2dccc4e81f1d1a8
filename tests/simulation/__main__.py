"""One seed again, call by call: `python -m tests.simulation SEED EVENTS [MINUTES]`."""

import sys

from tests.simulation.storm import run


def main(seed: int, events: int, minutes: int | None = None) -> int:
    report = run(seed, events, minutes, trace=print)
    for name, number in sorted(report.counts.items()):
        print(f"{number:9} {name}")  # noqa: T201
    print(*report.faults, f"{report.digest:08x}", sep="\n")  # noqa: T201
    return len(report.faults)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])) > 0)
