"""`make bench`: cold starts, warm requests and the export path, as Markdown."""

import sys

from tests.benchmarks import cold, export, warm


def main() -> None:
    for run in (cold.run, warm.run, export.run):
        sys.stdout.write(f"{run()}\n\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
