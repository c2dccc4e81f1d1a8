"""One cold start, in a process of its own: `python -I -S -B start.py FOLDER MODULE FUNCTION < input`.

The input is JSON: the event, and what DynamoDB answers to each operation. Importing and the first run are
counted; putting the answers in the place of the network, in between, is not. Says on standard error how
many milliseconds of CPU it took.
"""

import json
import sys
import time
from typing import Any


class Context:
    """What Lambda hands over beside the event."""

    function_name = "benchmark"
    memory_limit_in_mb = 1024
    invoked_function_arn = "arn:aws:lambda:eu-central-1:000000000000:function:benchmark"
    aws_request_id = "benchmark"

    def get_remaining_time_in_millis(self) -> int:
        return 30_000


class Body:
    """What came from the network."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self, *_: Any, **__: Any) -> Any:
        yield self._content


def answer(answers: dict[str, Any]) -> None:
    """Let botocore find these answers where it would have opened a connection."""
    from botocore.awsrequest import AWSResponse
    from botocore.compat import HTTPHeaders
    from botocore.httpsession import URLLib3Session

    def send(_: Any, request: Any) -> AWSResponse:
        operation = request.headers["X-Amz-Target"].decode().partition(".")[2]
        content = json.dumps(answers.get(operation, {})).encode()
        return AWSResponse(request.url, 200, HTTPHeaders(), Body(content))

    URLLib3Session.send = send  # type: ignore[method-assign, assignment]


def main(folder: str, module: str, function: str) -> None:
    given = json.load(sys.stdin)
    sys.path.insert(0, folder)
    began = time.process_time()
    handler = getattr(__import__(module, fromlist=[function]), function)
    imported = time.process_time() - began
    answer(given["answers"])
    began = time.process_time()
    told = handler(given["event"], Context())
    if module.startswith("chalicelib."):  # also where a batch or a sweep of nothing did not need it
        from chalicelib.core.store import connection

        connection().client  # noqa: B018
    ran = time.process_time() - began
    if isinstance(told, dict) and told["statusCode"] != 200:
        raise SystemExit(str(told))
    print((imported + ran) * 1000, file=sys.stderr)  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
