"""What a person at the keyboard is told: each step and how long it took, and what went wrong."""

import contextlib
import sys
import time
from collections.abc import Iterator


class Failed(Exception):
    """Something that person can act on; the message says what."""


@contextlib.contextmanager
def step(what: str, *, talkative: bool = False) -> Iterator[None]:
    """Tell what is being done, and how long it took. `talkative`: it prints lines of its own meanwhile."""
    began = time.monotonic()
    print(f"  {what} ...", end="\n" if talkative else "", file=sys.stderr, flush=True)
    again = f"  {what}:" if talkative else ""
    try:
        yield
    except BaseException:
        print(f"{again} failed", file=sys.stderr, flush=True)
        raise
    print(f"{again} {time.monotonic() - began:.1f} s", file=sys.stderr, flush=True)
