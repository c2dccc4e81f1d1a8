"""`make run`: the whole system on this machine, with demo data, and its main job shown once."""

import json
import os
import sys
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from infra.demo.load import load
from infra.local import tour
from infra.local.cloud import REGION, Cloud, LocalCloudError, from_environment, log_groups, start
from infra.local.deploy import deploy
from infra.steps import Failed, step

DOCS_PATH = "/docs"
VARIABLES = ("WEBHOOK_RETRY_SCHEDULE", "CORS_ORIGINS", "LOG_LEVEL")


def up(cloud: Cloud, environment: dict[str, str] | None = None) -> dict[str, Any]:
    """Start, deploy and load the demo data; whatever is done already is left alone.

    Returns what `run.json` holds, for tests, tours and tools.
    """
    start(cloud)
    deploy(cloud, environment)
    with step("loading the demo data"):
        accounts = load(cloud)
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


def _check_prerequisites() -> None:
    if not (3, 11) <= sys.version_info[:2] < (3, 14):
        version = ".".join(map(str, sys.version_info[:3]))
        raise LocalCloudError(
            f"Python {version} runs this; it needs 3.11, 3.12 or 3.13. Try: make PYTHON=python3.12"
        )
    if sys.platform == "win32":
        raise LocalCloudError("The local cloud needs Linux, macOS or WSL.")


def _summary(facts: dict[str, Any]) -> str:
    account = facts["accounts"][0]
    body = json.dumps({name: account[name] for name in ("email", "password", "institution_id")})
    people = [
        f"      {who['role']:<10} {who['email']}  {who['password']}  {who['institution_id']}"
        for who in facts["accounts"]
    ]
    sign_in = f"{facts['base_url']}/api/auth/sign-in"
    return "\n".join(
        [
            "",
            f"API   {facts['base_url']}/api",
            f"Docs  {facts['docs_url']}",
            *people,
            "",
            "Try it:",
            f"  curl -s {sign_in} -H 'Content-Type: application/json' -d '{body}'",
            "",
            "It runs in the background: make logs, make tour, make stop, make reset.",
        ]
    )


def main() -> int:
    try:
        _check_prerequisites()
        cloud = from_environment()
    except Failed as error:
        print(error, file=sys.stderr)
        return 1
    try:
        facts = up(cloud, {name: os.environ[name] for name in VARIABLES if os.environ.get(name)})
        tour.walk(facts)
    except Failed as error:
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
