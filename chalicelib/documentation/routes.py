"""/docs* and /api/openapi.json."""

import json
from functools import lru_cache
from typing import Annotated

from chalice.app import Blueprint
from pydantic import Field

from chalicelib.core.http import JSON, Call, Raw, endpoint

api = Blueprint(__name__)

PageName = Annotated[str, Field(pattern=r"^[a-z-]{1,64}$", max_length=64, examples=["authentication"])]
AssetName = Annotated[str, Field(max_length=64, pattern="^[a-z0-9-]+$", examples=["start-3f9a2c51d0be"])]

# The modules that build the pages are imported where they are used: no other request needs them.


@endpoint(api, "GET", "/api/openapi.json", abilities=None, returns=Raw, cached="public, max-age=300")
def openapi_document(call: Call) -> Raw:
    """This API as an OpenAPI 3.1 document."""
    return Raw(_document(call.base_url), JSON)


@lru_cache(maxsize=4)
def _document(base_url: str) -> str:
    from chalicelib.core.openapi import document

    return json.dumps(document(base_url), ensure_ascii=False)


@endpoint(api, "GET", "/docs", abilities=None, returns=Raw, media_type="text/html", cached="no-cache")
def reference_page(call: Call) -> Raw:
    """The API reference as a page."""
    from chalicelib.documentation import pages

    return Raw(pages.reference(pages.root_of(call.path)), pages.HTML, headers=pages.REFERENCE_HEADERS)


@endpoint(api, "GET", "/docs/{page}", abilities=None, returns=Raw, media_type="text/html", cached="no-cache")
def guide_page(call: Call, page: PageName) -> Raw:
    """A guide as a page: `authentication`, `errors`, `verifying-webhooks` and so on."""
    from chalicelib.documentation import guides, pages

    html = pages.guide(guides.guide(page), pages.root_of(call.path), call.base_url)
    return Raw(html, pages.HTML, headers=pages.GUIDE_HEADERS)


@endpoint(api, "GET", "/docs/assets/{asset}", abilities=None, returns=Raw, media_type="text/javascript",
          cached="public, max-age=31536000, immutable")  # fmt: skip
def page_asset(_: Call, asset: AssetName) -> Raw:
    """A file that the pages load. Its name changes with its content."""
    from chalicelib.documentation import assets

    found = assets.asset(asset)
    return Raw(found.text, found.media_type)
