"""Exports: rows per second of CPU and peak memory, from attempts in the index to parts for S3.

The first figures leave storage out: the client's calls are answered in its place, so that DynamoDB items
arrive as the dictionaries that botocore makes of them, and parts of the file go nowhere. The others let
botocore read each page from the bytes that DynamoDB would send, and compute what goes to S3: for our own way,
and for two that hold all rows in memory.
"""

import csv
import io
import json
import resource
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.benchmarks import process
from tests.benchmarks.start import Body
from tests.benchmarks.table import table

SIZES = (12_000, 100_000, 1_000_000)
PAGE = 500
NOON = datetime(2026, 5, 2, 12, tzinfo=UTC)
INSTITUTION = "ins_01KAXG7Y0000000000000000A1"


class Attempts:
    """An index of attempts of one day: in each shard a page, told as often as it takes."""

    def __init__(self) -> None:
        from chalicelib.learning import service as learning

        self._partitions = [
            learning.attempts_key(INSTITUTION, NOON.date(), shard) for shard in range(learning.SHARDS)
        ]
        self._pages: dict[tuple[str, str], list[Any]] = {}

    def hold(self, rows: int) -> None:
        pages, partitions = rows // PAGE, len(self._partitions)
        self._left = {
            key: pages // partitions + (number < pages % partitions)
            for number, key in enumerate(self._partitions)
        }

    def query(self, request: dict[str, Any]) -> dict[str, Any]:
        """The next page of the partition: of its items, what was asked for."""
        partition = request["ExpressionAttributeValues"][":key"]["S"]
        page = partition, request.get("ProjectionExpression", "")
        if page not in self._pages:
            items = _page(self._partitions.index(partition))
            self._pages[page] = [_projected(item, request) for item in items]
        self._left[partition] -= 1
        more = self._left[partition] > 0
        answer: dict[str, Any] = {"Items": self._pages[page], "Count": PAGE, "ScannedCount": PAGE}
        return answer | ({"LastEvaluatedKey": {"pk": {"S": partition}}} if more else {})


def _page(shard: int) -> list[Any]:
    """Attempts as they are stored, in the order of recording; the shards lie between each other."""
    from chalicelib.core.clock import instant
    from chalicelib.core.ids import new_id
    from chalicelib.learning.models import AttemptItem

    def attempt(number: int) -> AttemptItem:
        at = NOON + timedelta(seconds=number, milliseconds=shard)
        attempt_id, learner_id = new_id("att", at), new_id("mem", at)
        return AttemptItem(
            learner_id,
            f"ATTEMPT#{attempt_id}",
            institution_id=INSTITUTION,
            institution_key=f"{INSTITUTION}#ATTEMPTS#{at.date()}#{shard}",
            institution_sort=f"{instant(at)}#{attempt_id}",
            actor_id=learner_id,
            course_id=new_id("crs", NOON),
            lesson_id=new_id("lsn", NOON),
            training_id=new_id("trn", NOON),
            item_id=new_id("itm", NOON),
            item_version=2,
            item_type="cloze",
            language="de",
            skill="grammar",
            cefr_level="A1",
            lesson_items=8,
            course_items=32,
            course_lessons=4,
            answer=["um", "mit", "um"],
            result="partial",
            score=0.6667,
            xp=7,
            points=1,
            duration_ms=4200,
            occurred_at=instant(at),
            local_date=str(at.date()),
            time_zone="UTC",
            number=number,
            recorded_at=instant(at),
            request_hash="0" * 64,
            grade={
                "result": "partial",
                "score": 0.6667,
                "feedback": [
                    {"code": "wrong_word", "message": "zu belongs here, not um", "at": "2", "expected": "zu"},
                    {"code": "explanation", "message": "um tells the time of day, mit the person"},
                ],
                "correct_answer": ["um", "mit", "zu"],
            },
            changes={"xp": 7, "lesson_percent": 33, "course_percent": 33, "streak_days": 1},
        )

    return [attempt(number).serialize() for number in range(PAGE)]


def _projected(item: dict[str, Any], request: dict[str, Any]) -> dict[str, Any]:
    asked = request.get("ProjectionExpression")
    if asked is None:
        return item
    names = request.get("ExpressionAttributeNames", {})
    return {name: item[name] for name in (names.get(part.strip(), part.strip()) for part in asked.split(","))}


UPLOAD = {
    "CreateMultipartUpload": {"UploadId": "1"},
    "UploadPart": {"ETag": "1"},
    "ListParts": {"Parts": [{"PartNumber": 1, "ETag": "1"}], "IsTruncated": False},
    "CompleteMultipartUpload": {},
    "PutObject": {},
}


def without_storage(attempts: Attempts) -> None:
    from botocore.client import BaseClient

    def call(_: Any, operation: str, request: dict[str, Any]) -> Any:
        return attempts.query(request) if operation == "Query" else UPLOAD[operation]

    BaseClient._make_api_call = call  # type: ignore[attr-defined]


def with_botocore(attempts: Attempts) -> None:
    from botocore.awsrequest import AWSResponse
    from botocore.compat import HTTPHeaders
    from botocore.httpsession import URLLib3Session

    encoded: dict[Any, bytes] = {}
    begun = b"<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>"
    parts = b"<ListPartsResult><Part><PartNumber>1</PartNumber><ETag>1</ETag></Part></ListPartsResult>"

    def send(_: Any, request: Any) -> AWSResponse:
        headers, content = HTTPHeaders(), b""
        if "X-Amz-Target" in request.headers:
            answer = attempts.query(json.loads(request.body))
            told = id(answer["Items"]), "LastEvaluatedKey" in answer
            if told not in encoded:
                encoded[told] = json.dumps(answer).encode()
            content = encoded[told]
        else:
            headers["ETag"] = "1"
            content = begun if request.url.endswith("?uploads") else parts if request.method == "GET" else b""
        return AWSResponse(request.url, 200, headers, Body(content))

    URLLib3Session.send = send  # type: ignore[method-assign, assignment]


def write() -> int:
    """The file of one export; how many rows it has."""
    from chalicelib.core import csv_file
    from chalicelib.exports.files import Upload
    from chalicelib.exports.kinds import KINDS, Selection
    from chalicelib.exports.making import _batches

    kind, written = KINDS["activity"], 0
    selection = Selection(INSTITUTION, NOON - timedelta(hours=1), NOON + timedelta(hours=1))
    upload = Upload("benchmark.csv", compressed=False)
    upload.add(csv_file.beginning(list(kind.columns), ",", bom=True))
    for partitions in kind.steps(selection):
        for _, rows in _batches(kind, selection, partitions, None):
            upload.add(csv_file.lines(rows, ","))
            written += len(rows)
    upload.finish()
    return written


def everything() -> list[dict[str, Any]]:
    """All items at once, as boto3 gives them, in the order of recording: how an export is often written."""
    import boto3
    from boto3.dynamodb.types import TypeDeserializer

    from chalicelib.exports.kinds import KINDS
    from chalicelib.learning import service as learning

    client, told = boto3.client("dynamodb"), TypeDeserializer()
    names = {f"#{number}": name for number, name in enumerate(KINDS["activity"].reads)}
    items = []
    for shard in range(learning.SHARDS):
        request: dict[str, Any] = {
            "TableName": "talktiko-local-learning",
            "IndexName": "by_institution",
            "KeyConditionExpression": "institution_key = :key",
            "ExpressionAttributeValues": {
                ":key": {"S": learning.attempts_key(INSTITUTION, NOON.date(), shard)}
            },
            "ProjectionExpression": ", ".join(names),
            "ExpressionAttributeNames": names,
        }
        while True:
            answer = client.query(**request)
            items += [{name: told.deserialize(one) for name, one in item.items()} for item in answer["Items"]]
            if "LastEvaluatedKey" not in answer:
                break
            request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]
    items.sort(key=lambda item: item["institution_sort"])
    return items


def write_at_once() -> int:
    from chalicelib.core import storage

    items, text = everything(), io.StringIO(newline="")
    writer = csv.DictWriter(text, list(items[0]))
    writer.writeheader()
    writer.writerows(items)
    storage.put("benchmark.csv", text.getvalue().encode(), "text/csv")
    return len(items)


def write_with_pandas() -> int:
    import pandas

    from chalicelib.core import storage

    frame = pandas.DataFrame(everything())
    storage.put("benchmark.csv", frame.to_csv(index=False).encode(), "text/csv")
    return len(frame)


Way = tuple[Callable[[Attempts], None], Callable[[], int]]
WAYS: dict[str, Way] = {
    "without storage": (without_storage, write),
    "with botocore": (with_botocore, write),
    "at once": (with_botocore, write_at_once),
    "pandas": (with_botocore, write_with_pandas),
}


def measure(rows: int, way: str) -> tuple[float, float]:
    """Seconds of CPU, and the peak of this process in MiB."""
    store, export = WAYS[way]
    attempts = Attempts()
    store(attempts)
    attempts.hold(SIZES[0])
    export()  # makes the pages and the clients
    attempts.hold(rows)
    began = time.process_time()
    written = export()
    seconds = time.process_time() - began
    if written != rows:
        raise AssertionError(f"{written} rows were written, {rows} were there")
    return seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def run(sizes: Sequence[int] = SIZES) -> str:
    """A row per size and way; each export is made in a process of its own."""
    columns = ["activity export", "seconds of CPU", "rows/s", "peak MiB"]
    shown = {
        "without storage": "in parts, storage left out",
        "with botocore": "in parts",
        "at once": "everything at once",
        "pandas": "pandas",
    }
    rows = [[f"{size:,} rows, {shown[way]}", *measured(size, way)] for size in sizes for way in WAYS]
    return table(columns, rows)


def measured(rows: int, way: str) -> list[str]:
    """The figures as a table shows them."""
    seconds, peak = process.result("tests.benchmarks.export", str(rows), way)
    return [f"{seconds:,.1f}", f"{rows / seconds:,.0f}", f"{peak:,.0f}"]


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]), sys.argv[2])), file=sys.stderr)  # noqa: T201
