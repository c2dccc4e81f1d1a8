"""Cold starts: import and first run, in the package that a function gets, each in a process of its own.

The package is measured with the bytecode that `infra.bytecode` adds to it, and without, as Chalice alone
builds it: Lambda keeps none, so every cold start would compile what it imports.
"""

import compileall
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from py_compile import PycInvalidationMode
from typing import Any

import chalice

from tests.benchmarks import canned
from tests.benchmarks.table import table

PROJECT = Path(__file__).parents[2]
TIMES = 9
HELLO = "hello-world Chalice app with one DynamoDB client"


@dataclass(frozen=True)
class Start:
    """A function and its first event."""

    name: str
    module: str
    function: str
    event: dict[str, Any]
    answers: canned.Answers


def starts() -> list[Start]:
    """The hello world first, then every function of the product."""
    listing = canned.token_list()
    return [
        Start(HELLO, "hello", "app", canned.request("/", {}, {}), {}),
        Start("API, list of 15 tokens", "app", "app", listing.event, listing.answers),
        *_workers(),
    ]


def _workers() -> Iterator[Start]:
    """Each worker with an empty batch, each sweeper where there is nothing to sweep."""
    from app import app

    fields = ("version", "account", "region", "detail", "detail-type", "source", "time", "id", "resources")
    for source in app.event_sources:
        module, _, function = source.handler_string.rpartition(".")
        event = {"Records": [], **dict.fromkeys(fields, "")}
        yield Start(source.name, module, function, event, canned.NOTHING)


def run(times: int = TIMES) -> str:
    """A table of medians; the starts take turns, so that a slow minute is everyone's.

    As deployed: ours with bytecode, the hello world as Chalice builds it.
    """
    measured = starts()
    with _packages() as packages:
        found = {(start.name, package): list[float]() for start in measured for package in packages}
        for _ in range(times):
            for package in packages:
                for start in measured:
                    found[start.name, package].append(_cpu_ms(package, start))
    plain, compiled = (
        {start.name: statistics.median(found[start.name, package]) for start in measured}
        for package in packages
    )
    rows = [
        [
            name,
            f"{compiled[name]:.0f}",
            f"{plain[name]:.0f}",
            f"{compiled[name] / compiled[HELLO]:.2f}",
            f"{plain[name] / plain[HELLO]:.2f}",
            f"{compiled[name] / plain[HELLO]:.2f}" if name != HELLO else "",
        ]
        for name in plain
    ]
    columns = ["CPU ms with bytecode", "without", "ratio with", "ratio without", "ratio as deployed"]
    return table(["cold start", *columns], rows)


@contextmanager
def _packages() -> Iterator[Sequence[Path]]:
    """Two folders: what a function gets, and the same with bytecode."""
    with tempfile.TemporaryDirectory() as folder:
        plain, compiled = Path(folder, "plain"), Path(folder, "compiled")
        install = [sys.executable, "-m", "uv", "pip", "install", "-q", "--python", sys.executable]
        wanted = ["-r", str(PROJECT / "requirements.txt"), f"boto3=={version('boto3')}"]  # the hello world's
        subprocess.run([*install, "--target", str(plain), *wanted], check=True)
        shutil.copytree(
            PROJECT / "chalicelib", plain / "chalicelib", ignore=shutil.ignore_patterns("__pycache__")
        )
        shutil.copytree(plain, compiled)
        compileall.compile_dir(compiled, quiet=2, invalidation_mode=PycInvalidationMode.CHECKED_HASH)
        for package in (plain, compiled):  # what Chalice adds where no bytecode can be added
            (package / "chalice").mkdir()
            for name in ("__init__.py", "app.py"):
                shutil.copy(Path(chalice.__file__).with_name(name), package / "chalice")
            shutil.copy(PROJECT / "app.py", package)
            shutil.copy(Path(__file__).parent / "apps" / "hello.py", package)
        yield plain, compiled


def _cpu_ms(package: Path, start: Start) -> float:
    python = getattr(sys, "_base_executable", sys.executable)  # without this environment's own packages
    script = Path(__file__).with_name("start.py")
    done = subprocess.run(
        [python, "-I", "-S", "-B", script, package, start.module, start.function],
        input=json.dumps({"event": start.event, "answers": start.answers}),
        env=canned.ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{start.name} did not start:\n{done.stdout}{done.stderr}")
    return float(done.stderr)
