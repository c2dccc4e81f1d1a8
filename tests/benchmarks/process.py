"""A measurement in a process of its own: of its CPU, of its memory, without what others have imported."""

import json
import os
import subprocess
import sys
from typing import Any

from tests.benchmarks import canned


def result(module: str, *arguments: str, **environment: str) -> Any:
    """The JSON that `python -m module` writes last to standard error. Its output, the logs, goes nowhere.

    Raises `RuntimeError`, with all that it wrote to standard error, when it fails.
    """
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        env=os.environ | canned.ENVIRONMENT | environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    return json.loads(done.stderr.splitlines()[-1])
