"""`make bench`: cold starts, warm requests, the export path and sending webhooks, as Markdown."""

import sys

from tests.benchmarks import cold, export, sending, warm


def main() -> None:
    for run in (cold.run, warm.run, export.run, sending.run):
        sys.stdout.write(f"{run()}\n\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
