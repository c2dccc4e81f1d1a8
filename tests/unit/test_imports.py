"""What each function imports, since a cold start pays for all of it.

A list of modules, not a time: how long it takes is measured by `make bench`.
"""

import json
import subprocess
import sys
from functools import cache

import pytest

WORKERS = {
    "chalicelib.catalogue.worker": {"catalogue"},
    "chalicelib.events.worker": {"events", "institutions", "standings", "webhooks"},
    "chalicelib.exports.worker": {"exports", "learning", "catalogue", "institutions", "webhooks"},
    "chalicelib.personal_data.worker": {
        "personal_data", "auth", "institutions", "learning", "catalogue", "standings", "exports", "webhooks"
    },
    "chalicelib.standings.worker": {"standings", "learning", "catalogue", "institutions"},
    "chalicelib.webhooks.worker": {"webhooks"},
}  # fmt: skip
"""A worker's module, and the slices that it needs."""
HEAVY = {
    "argon2", "boto3", "cryptography", "jinja2", "jwt", "pylti1p3", "s3transfer", "stripe",
    "chalicelib.catalogue.publishing", "chalicelib.core.openapi", "chalicelib.documentation.pages",
}  # fmt: skip
"""Used on few paths, and imported there."""
_SCRIPT = """
import json, sys
__import__(sys.argv[1])
from pydantic import BaseModel
def models(of):
    for model in of.__subclasses__():
        yield model
        yield from models(model)
complete = (model for model in models(BaseModel) if model.__pydantic_complete__)
built = [f"{model.__module__}.{model.__qualname__}" for model in complete]
print(json.dumps([sorted(sys.modules), built]))
"""


@cache
def started(module: str) -> tuple[list[str], list[str]]:
    """The modules, and the schemas that are built, where a process has imported only `module`."""
    done = subprocess.run([sys.executable, "-c", _SCRIPT, module], capture_output=True, text=True, check=True)
    modules, built = json.loads(done.stdout)
    return modules, built


@pytest.mark.parametrize("module", ["app", *WORKERS])
def test_what_few_paths_need_is_imported_there(module: str) -> None:
    assert not HEAVY & set(started(module)[0])


@pytest.mark.parametrize("module", ["app", *WORKERS])
def test_schemas_are_built_at_their_first_use(module: str) -> None:
    """Those that derive from `core.types.Schema` are. Importing uses two: `Page[…]` needs `Page` itself."""
    built = {name for name in started(module)[1] if name.startswith("chalicelib.")}
    assert built <= {"chalicelib.core.settings.Settings", "chalicelib.core.paging.Page"}


@pytest.mark.parametrize(("module", "slices"), WORKERS.items())
def test_a_worker_loads_its_slice_alone(module: str, slices: set[str]) -> None:
    ours = [name.split(".") for name in started(module)[0] if name.startswith("chalicelib.")]
    assert {parts[1] for parts in ours} == slices | {"core"}
    assert not {"routes", "http", "openapi"} & {part for parts in ours for part in parts}


def test_every_worker_is_looked_at() -> None:
    from app import app

    assert {source.handler_string.rpartition(".")[0] for source in app.event_sources} == set(WORKERS)
