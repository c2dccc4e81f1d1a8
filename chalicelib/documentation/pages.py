"""The pages, and the headers under which they and their files are sent.

Links are relative: the API may stand under a stage's path, and a page opened by another name of the
same host could not load absolute ones under its own policy. In a guide they are written from the root,
`/docs/errors`; `root` leads there from the page that is shown.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from html import escape, unescape
from typing import Any

import mistune

from chalicelib.documentation import assets
from chalicelib.documentation.facts import facts
from chalicelib.documentation.guides import GUIDES, Guide

HTML = "text/html; charset=utf-8"
_NOTHING = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
_CURRENT = ' aria-current="page"'
_HEADERS = {"Referrer-Policy": "no-referrer"}
REFERENCE_HEADERS: Mapping[str, str] = {
    **_HEADERS,
    # Nothing from, and nothing to, another origin. Scalar sets inline styles; it needs no inline script.
    "Content-Security-Policy": _NOTHING + "script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; font-src 'self'; connect-src 'self'",
}
GUIDE_HEADERS: Mapping[str, str] = {
    **_HEADERS,
    "Content-Security-Policy": _NOTHING + "style-src 'self'; img-src data:",
}


def root_of(path: str) -> str:
    """What leads to the API's root from this path: `../` from `/docs/errors`, and from `/docs/`."""
    return "../" * (path.count("/") - 1)


def reference(root: str) -> str:
    """The page that shows the OpenAPI document. It stands at `/docs`."""
    scripts = "".join(
        f'<script src="{root}docs/assets/{assets.name(file)}"></script>\n'
        for file in (assets.SCALAR, assets.START)
    )
    return _page(
        root,
        title="Reference",
        body=f"""\
<main id="reference" data-root="{root}">
<p>The reference is being built from the <a href="{root}api/openapi.json">OpenAPI document</a>. That takes
JavaScript; the guides above take none.</p>
</main>
{scripts}""",
    )


@lru_cache(maxsize=64)
def guide(shown: Guide, root: str, base_url: str) -> str:
    """The page of a guide. It stands at `/docs/<name>`."""
    known = facts(base_url)
    markdown = re.sub(r"\{\{(\w+)\}\}", lambda found: known[found[1]], shown.markdown())
    renderer = _Renderer(root)
    article = mistune.create_markdown(renderer=renderer, plugins=["table"])(markdown)
    sections = "".join(
        f'<li><a href="#{identifier}">{title}</a></li>\n' for identifier, title in renderer.sections
    )
    return _page(
        root,
        title=shown.title,
        body=f"""\
<div class="guide">
<nav class="sections" aria-label="On this page">
<p>On this page</p>
<ul>
{sections}</ul>
</nav>
<main>
{article}</main>
</div>
""",
    )


def _page(root: str, *, title: str, body: str) -> str:
    pages = {"Reference": f"{root}docs", **{one.title: f"{root}docs/{one.name}" for one in GUIDES}}
    links = "".join(
        f'<li><a href="{address}"{_CURRENT if name == title else ""}>{name}</a></li>\n'
        for name, address in pages.items()
    )
    return f"""\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title} - Talktiko API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="{root}docs/assets/{assets.name(assets.STYLE)}">
</head>
<body>
<header>
<a class="brand" href="{root}docs">Talktiko API</a>
<nav aria-label="Documentation">
<ul>
{links}</ul>
</nav>
</header>
{body}</body>
</html>
"""


class _Renderer(mistune.HTMLRenderer):
    """Headings that can be linked to, links from the root, wide blocks that scroll by themselves."""

    def __init__(self, root: str) -> None:
        super().__init__(escape=False)
        self.root = root
        self.sections: list[tuple[str, str]] = []

    def heading(self, text: str, level: int, **_: Any) -> str:
        if level == 1:
            return f"<h1>{text}</h1>\n"
        identifier = _identifier(text)
        if level == 2:
            self.sections.append((identifier, text))
        return f'<h{level} id="{identifier}"><a href="#{identifier}">{text}</a></h{level}>\n'

    def link(self, text: str, url: str, title: str | None = None) -> str:
        return super().link(text, self.root + url[1:] if url.startswith("/") else url, title)

    def block_code(self, code: str, info: str | None = None) -> str:  # noqa: ARG002 (no colours)
        return f'<pre tabindex="0"><code>{escape(code, quote=False)}</code></pre>\n'

    def table(self, text: str) -> str:
        scrolls = 'class="table" tabindex="0" role="group" aria-label="Table"'
        return f"<div {scrolls}><table>\n{text}</table></div>\n"


def _identifier(heading: str) -> str:
    """`what-you-can-rely-on`; what stands in small letters is left out."""
    plain = unescape(re.sub(r"<small>.*?</small>|<[^>]*>", "", heading)).lower()
    return "-".join(re.findall(r"[a-z0-9#]+", plain)).replace("#", "-sharp")
