"""The documentation in a browser: complete, of one origin, and at home on a phone."""

import json
import re
from typing import Any, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Page, ViewportSize, expect

from chalicelib.documentation.guides import GUIDES
from tests.browser.conftest import Visit, Visiting
from tests.conftest import LocalCloud
from tests.system.client import Client

DESKTOP: ViewportSize = {"width": 1280, "height": 900}
PHONE: ViewportSize = {"width": 390, "height": 844}
STORED = """async () => JSON.stringify([
  {...localStorage}, {...sessionStorage}, document.cookie, location.href, history.state,
  await Promise.all((await indexedDB.databases()).map(({name}) => name)),
])"""


def open_reference(visit: Visit, base_url: str) -> Page:
    visit.page.goto(f"{base_url}/docs")
    expect(visit.page.get_by_role("heading", name="Talktiko API")).to_be_visible()
    return visit.page


def overflow(page: Page) -> int:
    """How many pixels the page is wider than its window."""
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


def test_the_reference_shows_every_operation(
    local_cloud: LocalCloud, anyone: Client, visiting: Visiting
) -> None:
    document: dict[str, Any] = anyone.get("/api/openapi.json").body
    operations = [one for path in document["paths"].values() for one in path.values()]
    operations += [webhook["post"] for webhook in document["webhooks"].values()]
    with visiting(viewport=DESKTOP) as visit:
        page = open_reference(visit, local_cloud.base_url)
        sidebar = page.locator(".t-doc__sidebar")
        for tag in document["tags"]:
            closed = sidebar.get_by_role("button", name=f"{tag['name']} Open Group")
            if closed.count():
                closed.click()
        shown = sidebar.inner_text()
        assert [one["summary"] for one in operations if one["summary"] not in shown] == []
        assert visit.errors == []
        assert visit.outside(local_cloud.base_url) == []


@pytest.mark.parametrize(
    ("under", "viewport"), [("stage_url", DESKTOP), ("base_url", PHONE)],
    ids=["stage", "phone"],
)  # fmt: skip
def test_the_console_sends_a_request_with_a_token_and_keeps_none(
    local_cloud: LocalCloud, owner: Client, visiting: Visiting, under: str, viewport: ViewportSize
) -> None:
    base_url: str = getattr(local_cloud, under)
    token = owner.token or ""
    with visiting(viewport=viewport) as visit:
        page = open_reference(visit, base_url)
        page.get_by_placeholder("Token").first.fill(token)
        page.get_by_role("button", name=re.compile("Test Request.*get .api.auth.me")).click()
        console = page.get_by_role("dialog")
        with page.expect_response(f"{base_url}/api/auth/me") as answered:
            console.get_by_role("button", name=re.compile("^Send")).first.click()
        assert answered.value.status == 200
        assert answered.value.request.headers["authorization"] == f"Bearer {token}"
        expect(console).to_contain_text("200 OK")
        expect(console).to_contain_text("owner@lingua-school.example")
        assert token not in page.evaluate(STORED)
        assert json.loads(page.evaluate(STORED))[:3] == [{}, {}, ""]
        assert visit.errors == []
        assert visit.outside(base_url) == []
        assert overflow(page) == 0
        page.reload()
        expect(page.get_by_placeholder("Token").first).to_have_value("")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_guides_read_well_without_javascript(
    local_cloud: LocalCloud, visiting: Visiting, scheme: Literal["light", "dark"]
) -> None:
    with visiting(viewport=PHONE, color_scheme=scheme, java_script_enabled=False) as visit:
        papers = set()
        for guide in GUIDES:
            visit.page.goto(f"{local_cloud.base_url}/docs/{guide.name}")
            expect(visit.page.get_by_role("heading", level=1)).to_be_visible()
            expect(visit.page.get_by_role("link", name=guide.title).first).to_have_attribute(
                "aria-current", "page"
            )
            body = visit.page.locator("body")
            papers.add(body.evaluate("e => getComputedStyle(e).backgroundColor"))
            assert overflow(visit.page) == 0
        assert papers == {"rgb(255, 255, 255)" if scheme == "light" else "rgb(15, 17, 21)"}
        assert visit.errors == []
        assert visit.outside(local_cloud.base_url) == []


def test_the_reference_says_what_it_needs_where_there_is_no_javascript(
    local_cloud: LocalCloud, visiting: Visiting
) -> None:
    with visiting(java_script_enabled=False) as visit:
        visit.page.goto(f"{local_cloud.base_url}/docs")
        expect(visit.page.get_by_text("That takes JavaScript")).to_be_visible()
        visit.page.get_by_role("link", name="Errors").click()
        expect(visit.page.get_by_role("heading", level=1)).to_have_text("Errors")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_guides_are_accessible(
    local_cloud: LocalCloud, visiting: Visiting, scheme: Literal["light", "dark"]
) -> None:
    with visiting(viewport=DESKTOP, color_scheme=scheme, bypass_csp=True) as visit:
        for guide in GUIDES:
            visit.page.goto(f"{local_cloud.base_url}/docs/{guide.name}")
            found = Axe().run(visit.page)
            assert found.violations_count == 0, found.generate_report()
