"""The Python client, as `openapi.json` has it generated."""

import os
import subprocess
import sys
from pathlib import Path

DOCUMENT = Path(__file__).parents[2] / "openapi.json"
_BIN = Path(sys.executable).parent


def run(*command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """A command of the virtual environment."""
    environment = {**os.environ, "PATH": f"{_BIN}{os.pathsep}{os.environ['PATH']}"}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


def generate_python_client(folder: Path) -> None:
    """The package `talktiko_client`, in `folder`."""
    generated = run(
        "openapi-python-client", "generate", "--path", str(DOCUMENT), "--meta", "none",
        "--config", str(DOCUMENT.parent / "tests/contract/python-client.yaml"),
        "--output-path", "talktiko_client", "--fail-on-warning", cwd=folder,
    )  # fmt: skip
    assert generated.returncode == 0, generated.stdout + generated.stderr
