"""`make run`: the whole system on this machine, with demo data, and its main job shown once."""

import importlib
import importlib.util
import json
import os
import sys
from collections.abc import Callable
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from infra.local.cloud import REGION, Cloud, LocalCloudError, from_environment, log_groups, start, step
from infra.local.deploy import deploy

DOCS_PATH = "/docs"
VARIABLES = ("WEBHOOK_RETRY_SCHEDULE", "LOG_LEVEL")


def up(cloud: Cloud, environment: dict[str, str] | None = None) -> dict[str, Any]:
    """Start, deploy and load the demo data; whatever is done already is left alone.

    Returns what `run.json` holds, for tests, tours and tools.
    """
    start(cloud)
    deploy(cloud, environment)
    accounts = _load_demo(cloud)
    facts = {
        "base_url": cloud.base_url,
        "docs_url": f"{cloud.base_url}{DOCS_PATH}",
        "aws_endpoint_url": cloud.endpoint_url,
        "region": REGION,
        "log_groups": log_groups(cloud),
        "accounts": accounts,
    }
    (cloud.state / "run.json").write_text(json.dumps(facts, indent=2) + "\n")
    return facts


def _optional(module: str, function: str) -> Callable[..., Any] | None:
    """A part of infra/ that the checkout may lack."""
    try:
        found = importlib.util.find_spec(module)
    except ModuleNotFoundError:
        return None
    return getattr(importlib.import_module(module), function) if found else None


def _load_demo(cloud: Cloud) -> list[dict[str, str]]:
    load = _optional("infra.demo.load", "load")
    if load is None:
        return []
    with step("loading the demo data"):
        accounts: list[dict[str, str]] = load(cloud)
    return accounts


def _check_prerequisites() -> None:
    if not (3, 11) <= sys.version_info[:2] < (3, 14):
        version = ".".join(map(str, sys.version_info[:3]))
        raise LocalCloudError(
            f"Python {version} runs this; it needs 3.11, 3.12 or 3.13. Try: make PYTHON=python3.12"
        )
    if sys.platform == "win32":
        raise LocalCloudError("The local cloud needs Linux, macOS or WSL.")


def _summary(facts: dict[str, Any]) -> str:
    lines = ["", f"API   {facts['base_url']}/api"]
    lines += [f"      {who['role']:<10} {who['email']}  {who['password']}" for who in facts["accounts"]]
    if facts["accounts"]:
        account = facts["accounts"][0]
        body = json.dumps({"email": account["email"], "password": account["password"]})
        lines += [
            "",
            "Try it:",
            f"  curl -s {facts['base_url']}/api/auth/sign-in -H 'Content-Type: application/json' -d '{body}'",
        ]
    lines += ["", "It runs in the background: make logs, make stop, make reset."]
    return "\n".join(lines)


def main() -> int:
    try:
        _check_prerequisites()
        cloud = from_environment()
    except LocalCloudError as error:
        print(error, file=sys.stderr)
        return 1
    try:
        facts = up(cloud, {name: os.environ[name] for name in VARIABLES if os.environ.get(name)})
        tour = _optional("infra.local.tour", "main")
        if tour is not None:
            tour()
    except LocalCloudError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except (BotoCoreError, ClientError, OSError) as error:
        print(f"\n{error}\nThe local cloud's log may say more: {cloud.log_file}", file=sys.stderr)
        print("If its state is broken, make reset forgets the data and starts afresh.", file=sys.stderr)
        return 1
    print(_summary(facts))
    return 0


if __name__ == "__main__":
    sys.exit(main())
