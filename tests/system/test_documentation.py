"""The pages as the gateway sends them: by their public address, and under the stage's path."""

import re
from dataclasses import dataclass
from html.parser import HTMLParser
from urllib.error import HTTPError
from urllib.parse import urldefrag, urljoin
from urllib.request import Request, urlopen

import pytest

from chalicelib.documentation.guides import GUIDES
from tests.conftest import LocalCloud

PAGES = ["/docs", *(f"/docs/{guide.name}" for guide in GUIDES)]


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


def send(url: str, method: str = "GET", **headers: str) -> Answer:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        with urlopen(Request(url, method=method, headers=sent), timeout=30) as answer:
            return Answer(answer.status, named(answer.headers.items()), answer.read())
    except HTTPError as error:
        with error:
            return Answer(error.code, named(error.headers.items()), error.read())


def named(headers: list[tuple[str, str]]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers}


class Links(HTMLParser):
    """Where a page's links lead, and the places in it that links can lead to."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.ids: set[str] = set()
        self.feed(html)

    def handle_starttag(self, _: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("href", "src") and value and value != "data:,":
                self.found.append(value)
            if name == "id" and value:
                self.ids.add(value)


@pytest.fixture(params=["address", "stage", "slash"])
def at(request: pytest.FixtureRequest, local_cloud: LocalCloud) -> str:
    """Where `/docs` is opened."""
    base = local_cloud.base_url if request.param != "stage" else local_cloud.stage_url
    return f"{base}/docs" + ("/" if request.param == "slash" else "")


def test_all_links_of_all_pages_lead_somewhere(at: str) -> None:
    inside = at[: at.index("/docs")]
    answers: dict[str, Answer] = {}
    waiting = [(at, "the beginning")]
    fragments: set[tuple[str, str]] = set()
    while waiting:
        link, source = waiting.pop()
        url, fragment = urldefrag(link)
        if fragment:
            fragments.add((url, fragment))
        if url in answers:
            continue
        assert url.startswith(f"{inside}/"), f"{link} of {source} leads out"
        answers[url] = send(url)
        assert answers[url].status == 200, f"{link} of {source} is broken"
        if answers[url].headers["content-type"].startswith("text/html"):
            found = Links(answers[url].body.decode()).found
            waiting += [(urljoin(url, one), url) for one in found]
    assert len(answers) >= len(PAGES) + 4
    for url, fragment in fragments:
        assert fragment in Links(answers[url].body.decode()).ids, f"{url}#{fragment}"


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_html_that_a_browser_asks_again_for(local_cloud: LocalCloud, page: str) -> None:
    url = local_cloud.base_url + page
    answer = send(url)
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert not re.findall(rb"(?:src|href)=\"?(?:https?:)?//", answer.body)

    unchanged = send(url, If_None_Match=answer.headers["etag"])
    assert (unchanged.status, unchanged.body) == (304, b"")
    head = send(url, "HEAD")
    assert (head.status, head.body) == (200, b"")
    assert head.headers["etag"] == answer.headers["etag"]
    assert head.headers["content-type"] == answer.headers["content-type"]


@pytest.mark.parametrize("accept", ["*/*", "text/css", "text/javascript", None])
def test_a_file_of_the_pages_is_text_that_a_browser_keeps(
    local_cloud: LocalCloud, accept: str | None
) -> None:
    """case api-6: the gateway turns into base64 what it takes for binary, and looks at Accept for that."""
    page = f"{local_cloud.base_url}/docs"
    accepting = {"Accept": accept} if accept else {}
    files = [urljoin(page, link) for link in Links(send(page).body.decode()).found if "assets" in link]
    assert len(files) == 3
    for file in files:
        answer = send(file, **accepting)
        assert answer.status == 200
        kind = "css" if "style" in file else "javascript"
        assert answer.headers["content-type"] == f"text/{kind}; charset=utf-8"
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert not answer.body.startswith(b"77u/")
        assert len(answer.body) < 6_000_000
        answer.body.decode()


def test_a_page_that_is_not_there_is_a_problem_document(local_cloud: LocalCloud) -> None:
    answer = send(f"{local_cloud.base_url}/docs/nothing")
    assert answer.status == 404
    assert answer.headers["content-type"] == "application/problem+json"
