"""What both ways of deploying are made of: a copy of the project with a stage's variables filled in, and
the package that Chalice builds of it.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from infra import bytecode, stacks
from infra.steps import Failed

APP = "talktiko"
GATEWAY = "infra/gateway.yaml"
RESOURCES = "infra/resources.yaml"
AUDITING = "infra/auditing.yaml"
PROJECT_FILES = ("app.py", "chalicelib", "requirements.txt", ".chalice")
ZIPPED_LIMIT = 50_000_000
"""Bytes that Lambda takes of one archive in a request."""
BY_PRODUCTS = ("__pycache__", "deployments", "deployed", ".mypy_cache")


def copy_project(project: Path, build: Path, stage: str, variables: Mapping[str, str]) -> None:
    """Copy the project to where its configuration may differ; Chalice's cache of built layers stays there."""
    for name in ("app.py", "chalicelib", "requirements.txt"):
        target = build / name
        shutil.rmtree(target, ignore_errors=True)
        if (project / name).is_dir():
            shutil.copytree(project / name, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(project / name, target)
    ignored = shutil.ignore_patterns("deployments", "deployed")
    shutil.copytree(project / ".chalice", build / ".chalice", ignore=ignored, dirs_exist_ok=True)
    config = json.loads((project / ".chalice" / "config.json").read_text())
    configured = config.setdefault("stages", {}).setdefault(stage, {})
    configured.setdefault("environment_variables", {}).update(variables)
    (build / ".chalice" / "config.json").write_text(json.dumps(config, indent=2))
    bytecode.add(build)


def chalice(build: Path, *arguments: str, environment: Mapping[str, str], quiet: bool = False) -> None:
    """Run the `chalice` of this environment on the copied project."""
    command = [str(Path(sys.executable).with_name("chalice")), "--project-dir", str(build), *arguments]
    output: dict[str, Any] = {"capture_output": True} if quiet else {"stdout": sys.stderr}
    done = subprocess.run(command, env=dict(environment), text=True, check=False, **output)
    if done.returncode:
        told = f":\n{(done.stdout + done.stderr)[-4000:]}" if quiet else "; it says why above."
        raise Failed(f"chalice {arguments[0]} failed{told}")


def package(project: Path, build: Path, stage: str, region: str, more_gateway: Sequence[Path] = ()) -> Path:
    """Build template and archives of the copied project; the folder they are in."""
    folder = build / "package"
    shutil.rmtree(folder, ignore_errors=True)
    merge: dict[str, Any] = {}
    for path in (project / GATEWAY, *more_gateway):
        if path.exists():
            _merge(merge, {"Resources": stacks.load(path)["Resources"]})
    (build / "merge.json").write_text(stacks.dump(merge))
    shell = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
    merging = ["--stage", stage, "--merge-template", str(build / "merge.json")]
    environment = {**shell, "AWS_DEFAULT_REGION": region}
    chalice(build, "package", *merging, str(folder), environment=environment, quiet=True)
    template = json.loads((folder / "sam.json").read_text())
    (folder / "sam.json").write_text(json.dumps(_with_plain_names(template, stage), indent=1))
    return folder


def sizes(folder: Path) -> dict[str, tuple[int, int]]:
    """Bytes of each archive, zipped and unpacked."""
    found = {}
    for path in sorted(folder.glob("*.zip")):
        with zipfile.ZipFile(path) as archive:
            found[path.name] = (path.stat().st_size, sum(item.file_size for item in archive.infolist()))
    return found


def _merge(into: dict[str, Any], more: Mapping[str, Any]) -> None:
    for key, value in more.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value


def _with_plain_names(template: dict[str, Any], stage: str) -> dict[str, Any]:
    """Name functions as `chalice deploy` does, so that log groups and permissions can name them too.

    Chalice names the API's log group after a resource that does not exist (`${ApiHandler}`): that group
    stands in infra/resources.yaml.
    """
    template["Resources"].pop("ApiHandlerLogGroup", None)
    for logical, resource in template["Resources"].items():
        if resource["Type"] == "AWS::Serverless::Function":
            suffix = "" if logical == "APIHandler" else re.sub(r"(?=[A-Z])", "-", logical).lower()
            resource["Properties"].setdefault("FunctionName", f"{APP}-{stage}{suffix}")
    return template
