"""Print the OpenAPI document of production: `make -s openapi > openapi.json`."""

import json

import app  # noqa: F401 (declares every endpoint and event)
from chalicelib.core.openapi import document

PRODUCTION = "https://api.talktiko.com"


def main() -> None:
    print(json.dumps(document(PRODUCTION), indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
