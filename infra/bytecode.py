"""Bytecode for the package: a function can keep none, so that each cold start would compile all it imports.

Chalice lays the folder `vendor` over the requirements that it installs. Here it holds the bytecode of these
requirements, compiled from this environment. Every file carries the hash of its source, and Python compiles
anew where that does not fit.
"""

import compileall
import shutil
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, distribution
from importlib.util import cache_from_source
from pathlib import Path
from py_compile import PycInvalidationMode, compile

from packaging.requirements import Requirement

_BY_HASH = PycInvalidationMode.CHECKED_HASH


def add(build: Path) -> None:
    """Add it to a copy of the project; that of the requirements only when they have changed."""
    compileall.compile_dir(build / "chalicelib", quiet=2, invalidation_mode=_BY_HASH)
    requirements, done = (build / "requirements.txt").read_text(), build / "bytecode.txt"
    of = f"{sys.version}\n{requirements}"
    if done.exists() and done.read_text() == of:
        return
    vendor = build / "vendor"
    shutil.rmtree(vendor, ignore_errors=True)
    lines = (line.strip() for line in requirements.splitlines())
    for installed in _with_theirs(Requirement(line) for line in lines if line and line[0] != "#"):
        for file in installed.files or []:
            if file.suffix == ".py" and ".." not in file.parts:
                target = vendor / cache_from_source(str(file))
                target.parent.mkdir(parents=True, exist_ok=True)
                compile(str(file.locate()), str(target), dfile=str(file), quiet=1, invalidation_mode=_BY_HASH)
    done.write_text(of)


def _with_theirs(wanted: Iterable[Requirement]) -> Iterator[Distribution]:
    """The installed distributions, and those that they need in turn."""
    waiting, seen = list(wanted), set[str]()
    while waiting:
        name = waiting.pop().name.lower()
        if name not in seen:
            seen.add(name)
            found = distribution(name)
            yield found
            theirs = map(Requirement, found.requires or [])
            waiting += [one for one in theirs if one.marker is None or one.marker.evaluate({"extra": ""})]
