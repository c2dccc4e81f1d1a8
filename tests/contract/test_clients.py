"""Typed clients are generated from `openapi.json` and compile strictly. None is committed."""

import json
import shutil
from pathlib import Path

import pytest

from tests.contract.clients import DOCUMENT, generate_python_client, run
from tests.contract.conftest import HERE, Tool

TSCONFIG = {
    "compilerOptions": {
        "strict": True,
        "noUncheckedIndexedAccess": True,
        "noEmit": True,
        "target": "es2022",
        "module": "esnext",
        "moduleResolution": "bundler",
        "lib": ["es2022", "dom", "dom.iterable"],
        "types": [],
    },
    "files": ["usage.ts"],
}
MYPY = """
[mypy]
strict = True

# The generator's own words, the same for every document: it hands on `*args: object` in `__exit__`.
[mypy-talktiko_client.client]
disable_error_code = arg-type
"""
USAGE = """
from talktiko_client import AuthenticatedClient
from talktiko_client.api.courses_and_content import list_courses
from talktiko_client.api.learning_progress import record_attempt
from talktiko_client.models import AttemptCreate, CoursePage, Problem, Tombstone, ValidationProblem

client = AuthenticatedClient("https://api.talktiko.com", "tlk_...")
courses = list_courses.sync(client=client, language="de", level="A1")
if isinstance(courses, CoursePage):
    total: int | None = courses.meta.total
    titles: list[str] = [one.title for one in courses.data if not isinstance(one, Tombstone)]

answered = record_attempt.sync("itm_01M895G01K9KEFCACRY5T3662G", client=client,
                               body=AttemptCreate(answer=["um", "mit"], duration_ms=4200))
if isinstance(answered, ValidationProblem):
    faults: dict[str, list[str]] = answered.errors.additional_properties
elif isinstance(answered, Problem):
    detail: str = answered.detail
elif answered is not None:
    score: float = answered.data.attempt.score

AttemptCreate(answer="a")
client.no_such_thing
"""


@pytest.fixture(scope="module")
def python_client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("python")
    (folder / "mypy.ini").write_text(MYPY)
    (folder / "usage.py").write_text(USAGE)
    generate_python_client(folder)
    return folder


def test_the_python_client_is_typed(python_client: Path) -> None:
    checked = run("mypy", "-p", "talktiko_client", "-m", "usage", cwd=python_client)
    too_little, unknown, _ = checked.stdout.splitlines()
    assert too_little.startswith('usage.py:22: error: Missing positional argument "duration_ms"')
    assert unknown.startswith('usage.py:23: error: "AuthenticatedClient" has no attribute "no_such_thing"')


def test_the_typescript_client_is_typed(node_tool: Tool, tmp_path: Path) -> None:
    (tmp_path / "tsconfig.json").write_text(json.dumps(TSCONFIG))
    shutil.copy(HERE / "usage.ts", tmp_path)
    generated = node_tool(
        "openapi-ts", "--input", str(DOCUMENT), "--output", "client", "--no-log-file", cwd=tmp_path
    )
    assert generated.returncode == 0, generated.stdout + generated.stderr
    compiled = node_tool("tsc", "--project", "tsconfig.json", cwd=tmp_path)
    assert compiled.returncode == 0, compiled.stdout
