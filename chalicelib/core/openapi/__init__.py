"""The OpenAPI 3.1 document, built from what the endpoints, schemas and events declare.

A builder of our own over pydantic's JSON schemas: `openapi-pydantic` models the specification well,
but its import costs about 0.2 s, and every part of the document would be written out all the same.
https://spec.openapis.org/oas/v3.1.1
"""

from collections.abc import Sequence
from typing import Any

from chalicelib.core import events
from chalicelib.core.http import ENDPOINTS, Endpoint
from chalicelib.core.openapi import groups
from chalicelib.core.openapi.components import components
from chalicelib.core.openapi.introduction import introduction
from chalicelib.core.openapi.operations import operation
from chalicelib.core.openapi.schemas import Schemas
from chalicelib.core.openapi.webhooks import webhook

VERSION = "1.0.0"


def document(base_url: str, endpoints: Sequence[Endpoint] | None = None) -> dict[str, Any]:
    """The whole document, for an API that is reached at `base_url` (stage path included).

    Complete where `app` is imported; `endpoints` narrows it.
    """
    declared = sorted(ENDPOINTS if endpoints is None else endpoints, key=groups.order)
    event_types = list(events.catalogue().values())
    schemas = Schemas(declared, event_types)
    paths: dict[str, dict[str, Any]] = {}
    for one in declared:
        paths.setdefault(one.path, {})[one.method.lower()] = operation(one, declared, schemas, base_url)
    described = {
        "paths": paths,
        "webhooks": {event.event_type: {"post": webhook(event, schemas)} for event in event_types},
    }
    return {
        "openapi": "3.1.1",
        "info": {
            "title": "Talktiko API",
            "version": VERSION,
            "summary": "The B2B REST API of the Talktiko language-learning platform",
            "description": introduction(base_url),
            "contact": {"name": "Talktiko API", "url": f"{base_url}/docs"},
        },
        "servers": [{"url": base_url}],
        "security": [{"bearer": []}],
        "tags": groups.tags(declared, with_webhooks=bool(event_types)),
        **described,
        "components": components(schemas.components, described),
    }
