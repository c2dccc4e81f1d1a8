"""The bytecode that goes into the package."""

import os
import subprocess
import sys
from pathlib import Path

from infra import bytecode


def test_requirements_and_ours_are_compiled_and_checked_against_their_source(tmp_path: Path) -> None:
    ours = tmp_path / "chalicelib" / "greeting.py"
    ours.parent.mkdir()
    ours.write_text("TEXT = 'hello'")
    (tmp_path / "requirements.txt").write_text("# a comment\npython-ulid==4.1.0\n")
    bytecode.add(tmp_path)
    assert [path.name for path in (tmp_path / "vendor").rglob("*.py")] == []
    assert [path.name for path in (tmp_path / "vendor" / "ulid").rglob("__init__.*.pyc")]

    def told() -> list[str]:
        script = "from chalicelib import greeting; print(greeting.TEXT)"
        run = [sys.executable, "-B", "-v", "-c", script]
        done = subprocess.run(run, cwd=tmp_path, env=os.environ, capture_output=True, text=True, check=True)
        return [done.stdout.strip(), *(line for line in done.stderr.splitlines() if "greeting" in line)]

    assert any("matches" in line for line in told())
    ours.write_text("TEXT = 'hullo'")
    assert told()[0] == "hullo"
