"""The package as AWS would take it."""

import subprocess
import sys
from pathlib import Path

from tests.conftest import LocalCloud

TEMPLATE_LIMIT = 1_000_000
ZIPPED_LIMIT = 50_000_000


def test_the_packaged_template_is_one_that_aws_takes(local_cloud: LocalCloud) -> None:
    package = local_cloud.cloud.state / "build" / "package"
    template = package / "sam.json"
    lint = Path(sys.executable).with_name("cfn-lint")
    done = subprocess.run([lint, "--", template], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert template.stat().st_size < TEMPLATE_LIMIT
    assert sum(archive.stat().st_size for archive in package.glob("*.zip")) < ZIPPED_LIMIT
