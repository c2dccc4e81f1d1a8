"""Answer an auditor's saved query from the log groups: `make audit Q=life-of-a-delivery ID=dlv_… SINCE=7d`.

The texts are those of infra/auditing.yaml, which CloudWatch Logs Insights runs on AWS; here they are run by
infra/insights.py on the same lines. Without Q it lists them. Every line since then is read: for the local
cloud and small stages.
"""

import argparse
import json
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from infra import insights, stacks
from infra.grouping import TIME, Row
from infra.local.cloud import from_environment
from infra.packaging import AUDITING
from infra.steps import Failed

TEMPLATE = Path(__file__).resolve().parents[1] / AUDITING
PLACEHOLDER = '"ID"'
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


@dataclass(frozen=True)
class Saved:
    """A saved query: its text, and the log groups that it is about."""

    text: str
    groups: tuple[str, ...]

    @property
    def about(self) -> str:
        """Its comment."""
        return self.text.partition("\n")[0].removeprefix("# ")

    def asking(self, identifier: str | None) -> str:
        """The text with the id in its place. Raises `Failed` where one is missing or too many."""
        if (PLACEHOLDER in self.text) != (identifier is not None):
            raise Failed(f"ID= {'is missing' if identifier is None else 'is not asked for'}: {self.about}")
        if identifier is None:
            return self.text
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", identifier):
            raise Failed(f"{identifier} is no id.")
        return self.text.replace(PLACEHOLDER, f'"{identifier}"')

    def lines(self, logs: Any, since: datetime) -> Iterator[Row]:
        """All that its log groups hold since then, by a client of CloudWatch Logs."""
        for group in self.groups:
            yield from rows(logs, group, since)


def saved(stage: str) -> dict[str, Saved]:
    """The saved queries by name."""
    found = {}
    for resource in stacks.load(TEMPLATE)["Resources"].values():
        if resource["Type"] == "AWS::Logs::QueryDefinition":
            properties = resource["Properties"]
            groups = tuple(_of_stage(group, stage) for group in properties["LogGroupNames"])
            name = _of_stage(properties["Name"], stage).partition("/")[2]
            found[name] = Saved(properties["QueryString"], groups)
    return found


def rows(logs: Any, group: str, since: datetime) -> Iterator[Row]:
    """The lines of a log group, with the fields that Insights finds in them."""
    pages = logs.get_paginator("filter_log_events").paginate(
        logGroupName=group, startTime=int(since.timestamp() * 1000)
    )
    try:
        for page in pages:
            for event in page["events"]:
                yield row(group, event["timestamp"], event["message"])
    except logs.exceptions.ResourceNotFoundException:
        return  # nothing has been written to it yet


def row(group: str, milliseconds: int, text: str) -> Row:
    """A line as Insights sees it."""
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    own = {
        TIME: moment.isoformat(" ", "milliseconds").removesuffix("+00:00"),
        "@log": group,
        "@message": text,
    }
    try:
        found = json.loads(text)
    except ValueError:
        return own
    return {**found, **own} if isinstance(found, dict) else own


def moment(text: str, now: datetime) -> datetime:
    """`90m`, `24h` or `7d` ago, or a time of RFC 3339. Raises `Failed`."""
    if ago := re.fullmatch(r"(\d{1,5})([mhd])", text):
        return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise Failed(f"SINCE={text} is neither like 90m, 24h, 7d nor like 2026-11-25T12:00:00Z.")
    return found


def table(columns: Sequence[str], found: Sequence[Row]) -> Iterable[str]:
    """Rows below the names of their columns; one that no row has is left out."""
    if not found:
        return
    names = [name for name in columns if any(name in one for one in found)]
    lines = [names, *([_cell(one.get(name)) for name in names] for one in found)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        yield "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _of_stage(text: Any, stage: str) -> str:
    return str(text["Fn::Sub"]).replace("${Stage}", stage)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="audit", description=__doc__)
    parser.add_argument("query", nargs="?", help="the name of a saved query")
    parser.add_argument("--id", help="what it asks about")
    parser.add_argument("--since", default="24h", help="90m, 24h, 7d, or a time of RFC 3339")
    parser.add_argument("--stage", default="local")
    wanted = parser.parse_args(arguments)
    try:
        known = saved(wanted.stage)
        if wanted.query not in known:
            print("\n".join(f"Q={name:<28} {one.about}" for name, one in known.items()))
            return 0 if wanted.query is None else 1
        logs = from_environment().client("logs") if wanted.stage == "local" else boto3.client("logs")
        since = moment(wanted.since, datetime.now(UTC))
        query = insights.parse(known[wanted.query].asking(wanted.id))
        found = query.run(known[wanted.query].lines(logs, since))
    except (Failed, BotoCoreError, ClientError) as error:
        print(error, file=sys.stderr)
        return 1
    for line in table(query.columns, found):
        print(line)
    print(f"{len(found)} rows since {since.isoformat(timespec='seconds')}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
