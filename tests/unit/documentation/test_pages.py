"""The pages load nothing from outside, work under a stage's path, and lead nowhere that is not there."""

import hashlib
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urldefrag, urljoin

import pytest

import app  # noqa: F401 (declares every endpoint, event and error)
from chalicelib.core.errors import DomainError, NotFound
from chalicelib.core.http import Call, Raw
from chalicelib.documentation import assets, routes
from chalicelib.documentation.guides import GUIDES

STATIC = Path(assets.__file__).with_name("static")
SCALAR_SHA256 = "81b8d2bdab4a42ab81465386441b9a0f928b68631364360f00e8cce620cc1efb"
GATEWAY_LIMIT = 6 * 1024 * 1024
BASE = "https://api.example.com/live"
ALL_ASSETS = [assets.SCALAR, assets.START, assets.STYLE]
PATHS = ["/docs", *(f"/docs/{guide.name}" for guide in GUIDES)]


def answer_to(path: str) -> Raw:
    """What stands at a path, as the gateway would find it. Raises `NotFound`."""
    call = Call(datetime(2026, 11, 25, 12, tzinfo=UTC), "request", "203.0.113.7", BASE, path)
    parts = path.strip("/").split("/")
    if parts == ["docs"]:
        return routes.reference_page(call)
    if parts == ["api", "openapi.json"]:
        return routes.openapi_document(call)
    if parts[:2] == ["docs", "assets"] and len(parts) == 3:
        return routes.page_asset(call, parts[2])
    if parts[0] == "docs" and len(parts) == 2:
        return routes.guide_page(call, parts[1])
    raise NotFound("path")


class Page(HTMLParser):
    """What a page refers to, and what it does itself that a strict policy would refuse."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.inline: list[str] = []
        self.ids: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.links += [value for name in ("src", "href") if (value := attributes.get(name))]
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


def policy_of(answer: Raw) -> dict[str, str]:
    parts = answer.headers["Content-Security-Policy"].split(";")
    return dict(part.strip().split(" ", 1) for part in parts)


def test_the_vendored_script_is_the_published_one() -> None:
    assert hashlib.sha256((STATIC / assets.SCALAR).read_bytes()).hexdigest() == SCALAR_SHA256
    assert "MIT License" in (STATIC / "scalar-LICENSE.txt").read_text()


@pytest.mark.parametrize("path", PATHS)
def test_every_page_stands_under_the_policy(path: str) -> None:
    answer = answer_to(path)
    policy = policy_of(answer)
    assert policy["default-src"] == "'none'"
    assert {policy[name] for name in ("base-uri", "form-action", "frame-ancestors")} == {"'none'"}
    outside = re.compile(r"https?:|\*|unsafe-eval|blob:")
    assert not [value for value in policy.values() if outside.search(value)]
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.media_type == "text/html; charset=utf-8"


def test_the_reference_runs_scripts_of_this_origin_and_the_guides_none() -> None:
    assert policy_of(answer_to("/docs"))["script-src"] == "'self'"
    for path in PATHS[1:]:
        policy = policy_of(answer_to(path))
        assert policy["style-src"] == "'self'"
        assert "script-src" not in policy
        assert "connect-src" not in policy


@pytest.mark.parametrize("after", ["", "/"], ids=["plain", "slash"])
@pytest.mark.parametrize("path", PATHS)
def test_every_link_stays_under_the_stage_and_leads_somewhere(path: str, after: str) -> None:
    page = Page(answer_to(path + after).body)
    assert page.inline == []
    followed = [link for link in page.links if link != "data:,"]
    assert len(followed) >= len(PATHS)
    for link in followed:
        url, fragment = urldefrag(urljoin(f"{BASE}{path}{after}", link))
        assert url.startswith(f"{BASE}/"), link
        target = answer_to(url.removeprefix(BASE))
        assert not fragment or fragment in Page(target.body).ids, link


def test_the_document_s_links_lead_to_pages_too() -> None:
    introduction = json.loads(answer_to("/api/openapi.json").body)["info"]["description"]
    links = re.findall(rf"\({BASE}(/docs[^)]*)\)", introduction)
    assert links
    for link in links:
        path, fragment = urldefrag(link)
        assert not fragment or fragment in Page(answer_to(path).body).ids


@pytest.mark.parametrize("path", PATHS)
def test_ids_are_unique(path: str) -> None:
    ids = Page(answer_to(path).body).ids
    assert len(ids) == len(set(ids))


def test_the_reference_asks_no_outside_host_and_keeps_no_token() -> None:
    start = answer_to(f"/docs/assets/{assets.name(assets.START)}").body
    for setting in (
        "withDefaultFonts: false",
        "telemetry: false",
        'proxyUrl: ""',
        "agent: { disabled: true }",
        "persistAuth: false",
    ):
        assert setting in start
    assert "http" not in start


def test_the_page_of_errors_explains_every_kind() -> None:
    assert {*kinds(), "internal-server-error"} <= set(Page(answer_to("/docs/errors").body).ids)


def test_a_page_escapes_what_its_code_shows() -> None:
    html = answer_to("/docs/verifying-webhooks").body
    assert "&lt;?php" in html
    assert "<?php" not in html
    assert "sha256.New, key)" in html


@pytest.mark.parametrize("file", ALL_ASSETS)
def test_assets_have_names_that_routing_takes_and_sizes_that_the_gateway_takes(file: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,64}", assets.name(file))
    answer = answer_to(f"/docs/assets/{assets.name(file)}")
    assert answer.body.encode() == (STATIC / file).read_bytes()
    assert len(json.dumps(answer.body)) < GATEWAY_LIMIT
    assert answer.media_type.endswith("; charset=utf-8")


@pytest.mark.parametrize(
    "path", ["/docs/nothing", "/docs/Errors", "/docs/assets/start-000000000000", "/docs/assets/start"]
)
def test_what_is_not_there_is_not_found(path: str) -> None:
    with pytest.raises(NotFound):
        answer_to(path)


def test_the_document_names_the_server_that_was_called() -> None:
    answer = answer_to("/api/openapi.json")
    assert json.loads(answer.body)["servers"] == [{"url": BASE}]
    assert answer.media_type == "application/json"


def test_only_a_page_pays_for_the_import_of_what_makes_pages() -> None:
    at_the_top = re.findall(r"^(?:from|import) .*", Path(routes.__file__).read_text(), re.MULTILINE)
    assert not [line for line in at_the_top if re.search("documentation|mistune", line)]
