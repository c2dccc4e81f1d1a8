"""The pages, and the headers under which they and their files are sent.

Links are relative: the API may stand under a stage's path, and a page opened by another name of the
same host could not load absolute ones under its own policy.
"""

import json
import re
from collections.abc import Mapping
from html import escape

from chalicelib.core.openapi.refusals import REFUSALS, Refusal
from chalicelib.documentation import assets

# Nothing from, and nothing to, another origin. Scalar sets inline styles; it needs no inline script.
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}
HTML = "text/html; charset=utf-8"


def reference() -> str:
    """The page that shows the OpenAPI document. It stands at `/docs`."""
    return f"""\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Talktiko API</title>
<link rel="icon" href="data:,">
</head>
<body>
<div id="reference"></div>
<noscript>
<p>This page needs JavaScript. The same is told by the <a href="api/openapi.json">OpenAPI document</a>;
<a href="docs/errors">errors</a> have a page that needs none.</p>
</noscript>
<script src="docs/{assets.name(assets.SCALAR)}"></script>
<script src="docs/{assets.name(assets.START)}"></script>
</body>
</html>
"""


def errors() -> str:
    """The page that the `type` of a problem document leads to. It stands at `/docs/errors`."""
    return f"""\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Errors - Talktiko API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="{assets.name(assets.STYLE)}">
</head>
<body>
<main>
<h1>Errors</h1>
<p>Every refusal is an <code>application/problem+json</code> document (RFC 9457), and its <code>type</code>
leads here. The <a href="../docs">API reference</a> tells which ones an endpoint can answer with.</p>
{"".join(map(_section, REFUSALS))}</main>
</body>
</html>
"""


def _section(refusal: Refusal) -> str:
    example = escape(json.dumps(refusal.example, indent=2, ensure_ascii=False))
    headers = f"<p><strong>Header:</strong> {_listed(refusal)}</p>\n" if refusal.headers else ""
    return f"""\
<section id="{escape(refusal.kind)}">
<h2>{escape(refusal.title)} <small>{refusal.status}</small></h2>
<p>{_marked(refusal.meaning)}</p>
<p><strong>What to do:</strong> {_marked(refusal.advice)}</p>
{headers}<pre>{example}</pre>
</section>
"""


def _listed(refusal: Refusal) -> str:
    return " and ".join(f"<code>{escape(header)}</code>" for header in refusal.headers)


def _marked(text: str) -> str:
    """`code` between backticks, as in the OpenAPI document's Markdown."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))
