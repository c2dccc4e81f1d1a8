"""Each line of standard input is a case: scheme, body, id, timestamp, signature, secret, each in base64."""

import runpy
import sys
from base64 import b64decode

sample = runpy.run_path(sys.argv[1])
for line in sys.stdin:
    scheme, body, *rest = map(b64decode, line.rstrip("\n").split("\t"))
    webhook_id, timestamp, signature, secret = (text.decode() for text in rest)
    if scheme == b"webhook":
        is_valid = sample["is_signed_webhook"](body, webhook_id, timestamp, signature, secret)
    else:
        is_valid = sample["is_signed_body"](body, signature, secret)
    print("accepted" if is_valid else "refused")  # noqa: T201
