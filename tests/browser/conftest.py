"""Headless Chromium, as Debian ships it, and what a page does in it that it should not."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect, sync_playwright

# Chromium runs as root in CI, and is to ask nobody for updates.
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
PATIENCE_MS = 30_000
expect.set_options(timeout=PATIENCE_MS)
EVAL_PROBE = "'unsafe-eval' is not an allowed source"
"""Scalar tries whether it may compile code, and does without."""


@dataclass
class Visit:
    """A page in a context of its own, and what it did since it was opened."""

    page: Page
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def outside(self, origin: str) -> list[str]:
        return [url for url in self.requests if not url.startswith((f"{origin}/", "data:", "blob:"))]

    def hear(self, message: ConsoleMessage) -> None:
        if message.type == "error" and EVAL_PROBE not in message.text:
            self.errors.append(message.text)

    def see(self, request: Request) -> None:
        self.requests.append(request.url)


Visiting = Callable[..., AbstractContextManager[Visit]]


@pytest.fixture(scope="session", autouse=True)
def chromium() -> Iterator[Browser]:
    """Comes before any cloud, which nobody would need without it."""
    path = shutil.which("chromium")
    if path is None:
        missing = "chromium is missing, so no page was opened: apt install chromium"
        pytest.fail(missing) if os.environ.get("CI") == "true" else pytest.skip(missing)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def visiting(chromium: Browser) -> Visiting:
    """`with visiting(**context options) as visit`."""

    @contextmanager
    def visit(**options: Any) -> Iterator[Visit]:
        context = chromium.new_context(**options)
        context.set_default_timeout(PATIENCE_MS)
        made = Visit(context.new_page())
        made.page.on("console", made.hear)
        made.page.on("pageerror", lambda error: made.errors.append(str(error)))
        made.page.on("request", made.see)
        yield made
        context.close()

    return visit
