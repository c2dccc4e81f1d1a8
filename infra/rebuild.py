"""Work out anew what follows from learners' answers: `make rebuild STAGE=…`, `make verify STAGE=…`.

`rebuild` empties the table of leaderboards and platform totals, but for the settings of learners, and fills
it from their answers alone. The worker that enters new answers rests meanwhile: they wait in its queue.
Boards are incomplete until it is done; died midway, it is run again.

`verify` compares each learner's own rows with their answers and changes nothing.

It reads whole tables, which no request does, and works with the credentials of the shell; for the local
stage, the default, with those of the local cloud.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any

import boto3

from chalicelib.core import clock
from chalicelib.core.settings import settings
from chalicelib.core.store import connection, table
from chalicelib.learning import service as learning
from chalicelib.standings import entering
from infra.demo.load import environment
from infra.local.cloud import REPOSITORY, LocalCloudError, from_environment

WORKER = "refresh-standings"
THREADS = 8
_BATCH = 25  # BatchWriteItem


def rebuild() -> int:
    """Empty the table and fill it from all answers. Returns how many learners have given any."""
    # places first: whoever leaves leaderboards from then on has none left to take counters down with
    places = {":board": {"S": "BOARD#"}, ":counted": {"S": "COUNTED"}}
    _delete_all("begins_with(sk, :board) OR sk = :counted", places)
    _delete_all("sk <> :settings", {":settings": {"S": "SETTINGS"}})
    return _for_each_learner(lambda learner_id: entering.enter_anew(learner_id, clock.now()))


def verify() -> dict[str, list[str]]:
    """The rows that do not follow from the answers, by learner."""
    found: dict[str, list[str]] = {}

    def compare(learner_id: str) -> None:
        if differing := learning.differences(learner_id):
            found[learner_id] = differing

    _for_each_learner(compare)
    return found


def _for_each_learner(work: Callable[[str], None]) -> int:
    connection().client  # noqa: B018 (made before the threads would each make one)
    count, learners = 0, _learners()
    with ThreadPoolExecutor(THREADS) as pool:
        while some := list(islice(learners, 1000)):
            count += len(list(pool.map(work, some)))
    return count


def _learners() -> Iterator[str]:
    """Everyone who has done something. A learner's rows stand together."""
    condition = "begins_with(sk, :attempt) OR begins_with(sk, :read)"
    values = {":attempt": {"S": "ATTEMPT#"}, ":read": {"S": "READ#"}}
    latest = ""
    for row in _scan(table("learning"), condition, values):
        if row["pk"]["S"] != latest:
            latest = row["pk"]["S"]
            yield latest


def _delete_all(condition: str, values: dict[str, Any]) -> None:
    name = table("standings")
    rows = _scan(name, condition, values)
    while some := list(islice(rows, _BATCH)):
        wanted: dict[str, Any] = {name: [{"DeleteRequest": {"Key": key}} for key in some]}
        while wanted:
            wanted = connection().dispatch("BatchWriteItem", {"RequestItems": wanted})["UnprocessedItems"]


def _scan(name: str, condition: str, values: dict[str, Any]) -> Iterator[Any]:
    request: dict[str, Any] = {
        "TableName": name,
        "ConsistentRead": True,
        "ProjectionExpression": "pk, sk",
        "FilterExpression": condition,
        "ExpressionAttributeValues": values,
    }
    while True:
        answer = connection().dispatch("Scan", request)
        yield from answer["Items"]
        if "LastEvaluatedKey" not in answer:
            return
        request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]


class _Resting:
    """The worker takes nothing from its queue; runs that had begun have ended."""

    def __init__(self) -> None:
        self._client = boto3.client("lambda")
        name = f"talktiko-{settings().stage}-{WORKER}"
        self._longest: int = self._client.get_function_configuration(FunctionName=name)["Timeout"]
        found = self._client.list_event_source_mappings(FunctionName=name)["EventSourceMappings"]
        self._ids = [mapping["UUID"] for mapping in found]

    def __enter__(self) -> None:
        self._set(enabled=False)
        time.sleep(self._longest)

    def __exit__(self, *_: object) -> None:
        self._set(enabled=True)

    def _set(self, *, enabled: bool) -> None:
        wanted = "Enabled" if enabled else "Disabled"
        for one in self._ids:
            self._client.update_event_source_mapping(UUID=one, Enabled=enabled)
            while self._client.get_event_source_mapping(UUID=one)["State"] != wanted:
                time.sleep(1)


def main() -> int:
    """What the command line asks for; in a process of its own, where it is for the local cloud."""
    parser = argparse.ArgumentParser(prog="infra.rebuild", description=__doc__)
    parser.add_argument("what", choices=["rebuild", "verify"])
    wanted = parser.parse_args().what
    if (os.environ.get("STAGE") or "local") == "local" and "AWS_ENDPOINT_URL" not in os.environ:
        return _on_local_cloud(wanted)
    if wanted == "verify":
        differing = verify()
        for learner_id, rows in sorted(differing.items()):
            print(f"{learner_id}: {', '.join(rows)}")
        print(f"{len(differing)} learners differ")
        return 1 if differing else 0
    with _Resting():
        print(f"{rebuild()} learners entered anew")
    return 0


def _on_local_cloud(wanted: str) -> int:
    try:
        variables = environment(from_environment())
    except LocalCloudError as error:
        print(error, file=sys.stderr)
        return 1
    command = [sys.executable, "-m", "infra.rebuild", wanted]
    return subprocess.run(command, cwd=REPOSITORY, env=variables, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
