"""The pages load nothing from outside, work under a stage's path, and explain every error."""

import hashlib
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urljoin

import pytest

import app  # noqa: F401 (declares every endpoint and error)
from chalicelib.core.errors import DomainError, NotFound
from chalicelib.core.http import Call, Raw
from chalicelib.documentation import assets, pages, routes

STATIC = Path(assets.__file__).with_name("static")
SCALAR_SHA256 = "81b8d2bdab4a42ab81465386441b9a0f928b68631364360f00e8cce620cc1efb"
GATEWAY_LIMIT = 6 * 1024 * 1024
BASE = "https://api.example.com/live"
CALL = Call(datetime(2026, 11, 25, 12, tzinfo=UTC), "request", "203.0.113.7", BASE, "/docs")
ALL_ASSETS = [assets.SCALAR, assets.START, assets.STYLE]
ANSWERS = {
    "/docs": routes.reference_page(CALL),
    "/docs/errors": routes.errors_page(CALL),
    **{f"/docs/{file}": routes.page_asset(CALL, assets.name(file)) for file in ALL_ASSETS},
}


class Links(HTMLParser):
    """What a page refers to, and what it does itself that a strict policy would refuse."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.inline: list[str] = []
        self.ids: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.found += [value for name in ("src", "href") if (value := attributes.get(name))]
        self.inline += [name for name in attributes if name.startswith("on") or name == "style"]
        if tag == "style" or (tag == "script" and "src" not in attributes):
            self.inline.append(tag)
        if identifier := attributes.get("id"):
            self.ids.append(identifier)


def kinds(error: type[DomainError] = DomainError) -> Iterator[str]:
    for one in error.__subclasses__():
        if one.__module__.startswith("chalicelib."):
            yield one.__new__(one).kind
            yield from kinds(one)


def test_the_vendored_script_is_the_published_one() -> None:
    assert hashlib.sha256((STATIC / assets.SCALAR).read_bytes()).hexdigest() == SCALAR_SHA256
    assert "MIT License" in (STATIC / "scalar-LICENSE.txt").read_text()


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS.keys())
def test_every_answer_stands_under_the_policy(answer: Raw) -> None:
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == "'self'"
    assert {policy[name] for name in ("base-uri", "form-action", "frame-ancestors")} == {"'none'"}
    outside = re.compile(r"https?:|\*|unsafe-eval|blob:")
    assert not [value for value in policy.values() if outside.search(value)]
    assert answer.headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize("path", ["/docs", "/docs/errors"])
def test_links_stay_under_the_stage_and_lead_somewhere(path: str) -> None:
    links = Links(ANSWERS[path].body)
    assert links.inline == []
    served = {"/docs", "/docs/errors", "/api/openapi.json", *(f"/docs/{assets.name(f)}" for f in ALL_ASSETS)}
    for link in links.found:
        if link != "data:,":
            assert urljoin(BASE + path, link).removeprefix(BASE) in served


def test_the_reference_asks_no_outside_host_and_keeps_no_token() -> None:
    start = routes.page_asset(CALL, assets.name(assets.START)).body
    for setting in (
        'url: "api/openapi.json"',
        "withDefaultFonts: false",
        "telemetry: false",
        'proxyUrl: ""',
        "agent: { disabled: true }",
        "persistAuth: false",
    ):
        assert setting in start
    assert "http" not in start


def test_the_page_of_errors_explains_every_kind() -> None:
    ids = Links(pages.errors()).ids
    assert {*kinds(), "internal-server-error"} <= set(ids)
    assert len(ids) == len(set(ids))


def test_the_page_of_errors_escapes_what_it_shows() -> None:
    assert "&quot;detail&quot;" in pages.errors()
    assert "<code>Retry-After</code>" in pages.errors()
    assert "`" not in pages.errors()


@pytest.mark.parametrize("file", ALL_ASSETS)
def test_assets_have_names_that_routing_takes_and_sizes_that_the_gateway_takes(file: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,64}", assets.name(file))
    answer = routes.page_asset(CALL, assets.name(file))
    assert answer.body.encode() == (STATIC / file).read_bytes()
    assert len(json.dumps(answer.body)) < GATEWAY_LIMIT
    assert answer.media_type.endswith("; charset=utf-8")


@pytest.mark.parametrize("name", ["scalar", "start-000000000000", "start", ""])
def test_an_unknown_asset_is_not_found(name: str) -> None:
    with pytest.raises(NotFound):
        routes.page_asset(CALL, name)


def test_the_document_names_the_server_that_was_called() -> None:
    answer = routes.openapi_document(CALL)
    assert json.loads(answer.body)["servers"] == [{"url": BASE}]
    assert answer.media_type == "application/json"
