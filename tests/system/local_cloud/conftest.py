"""An empty local cloud: MiniStack as the launcher starts it, nothing deployed."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.local.cloud import Cloud, free_port, reset, start


@pytest.fixture(scope="session")
def bare_cloud(states: Path) -> Iterator[Cloud]:
    """Started from a shell that holds a secret."""
    cloud = Cloud(states / "bare", free_port())
    with pytest.MonkeyPatch.context() as shell:
        shell.setenv("DEVELOPERS_SECRET", "hunter2-of-the-shell")
        start(cloud)
    yield cloud
    reset(cloud)
