"""The package as AWS would take it."""

import subprocess
import sys
from importlib.util import cache_from_source
from pathlib import Path
from zipfile import ZipFile

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


def test_the_package_holds_the_bytecode_of_its_sources(local_cloud: LocalCloud) -> None:
    """Without it a cold start takes more than twice the time."""
    package = local_cloud.cloud.state / "build" / "package"
    names = {name for archive in package.glob("*.zip") for name in ZipFile(archive).namelist()}
    for source in (
        "chalicelib/core/http.py",
        "pydantic/main.py",
        "botocore/client.py",
        "typing_extensions.py",
    ):
        [found] = [name for name in names if name.endswith(f"/{source}") or name == source]
        assert cache_from_source(found) in names
