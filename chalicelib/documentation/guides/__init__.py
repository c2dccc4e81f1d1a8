"""The guides beside the reference: Markdown, with `{{name}}` for what `documentation.facts` knows."""

from pathlib import Path
from typing import NamedTuple

from chalicelib.core.errors import NotFound


class Guide(NamedTuple):
    """One page. It stands at `/docs/<name>`; `title` is how the navigation calls it."""

    name: str
    title: str

    def markdown(self) -> str:
        return Path(__file__).with_name(f"{self.name}.md").read_text()


GUIDES = (
    Guide("authentication", "Authentication"),
    Guide("pagination", "Pagination"),
    Guide("errors", "Errors"),
    Guide("idempotency", "Idempotency"),
    Guide("rate-limits", "Rate limits"),
    Guide("events", "Events"),
    Guide("verifying-webhooks", "Verifying webhooks"),
    Guide("exports", "Exports"),
    Guide("auditing", "Auditing"),
)


def guide(name: str) -> Guide:
    """The guide that stands at `/docs/<name>`. Raises `NotFound`."""
    for one in GUIDES:
        if one.name == name:
            return one
    raise NotFound("page")
