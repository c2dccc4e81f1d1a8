"""Endpoint groups: a slice is a group, named and ordered as a reader meets them."""

from collections.abc import Sequence
from typing import NamedTuple

from chalicelib.core.http import Endpoint


class _Group(NamedTuple):
    name: str
    description: str


# A slice that is not named here comes last, under its own name.
_GROUPS = {
    "auth": _Group("Authentication", "Sign in, and manage API tokens with restricted abilities."),
    "catalogue": _Group("Courses and content", "Browse and manage courses, lessons, trainings and items."),
    "learning": _Group("Learning progress", "Record answers; read progress, CEFR levels, reviews and XP."),
    "webhooks": _Group("Webhooks", "Receive signed notifications of events, and see every delivery."),
    "events": _Group("Events", "Read again what has happened, in a stable order."),
    "exports": _Group("Data exports", "Request CSV exports, and download them when they are done."),
    "personal_data": _Group("Personal data", "Everything held of one member: to have it, or to erase it."),
    "lti": _Group("LTI 1.3", "Launches from Canvas, Blackboard and Moodle, and grades back to them."),
    "xapi": _Group("xAPI forwarding", "Forward learning as xAPI statements to a learning record store."),
    "institutions": _Group("Institutions", "Institutions, members, single sign-on, analytics, compliance."),
    "billing": _Group("Billing and subscriptions", "Plans, checkout, the billing portal and promo codes."),
    "dashboard": _Group("Dashboard", "Pages for people, in the browser."),
    "documentation": _Group("Documentation", "This reference, as a page and as a document."),
}
_ORDER = list(_GROUPS)
WEBHOOKS = _GROUPS["webhooks"].name


def name(declared: Endpoint) -> str:
    """The group that an endpoint stands in."""
    return _group(_slice(declared)).name


def order(declared: Endpoint) -> tuple[int, str]:
    """Sorts endpoints by group; within one they stay as they were declared."""
    return _rank(_slice(declared))


def tags(declared: Sequence[Endpoint], *, with_webhooks: bool) -> list[dict[str, str]]:
    """The groups in use. Event types stand under Webhooks, whether that slice has endpoints or not."""
    slices = {_slice(one) for one in declared} | ({"webhooks"} if with_webhooks else set())
    return [_group(one)._asdict() for one in sorted(slices, key=_rank)]


def _slice(declared: Endpoint) -> str:
    """`chalicelib.<slice>.routes`."""
    parts = declared.view.__module__.split(".")
    return parts[1] if parts[0] == "chalicelib" and len(parts) > 1 else parts[-1]


def _group(of: str) -> _Group:
    return _GROUPS.get(of) or _Group(of.replace("_", " ").capitalize(), f"Endpoints of {of}.")


def _rank(of: str) -> tuple[int, str]:
    return (_ORDER.index(of) if of in _GROUPS else len(_ORDER), of)
