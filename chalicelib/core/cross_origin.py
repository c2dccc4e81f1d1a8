"""CORS (Fetch standard, section 3.2): pages of configured origins may call the API from a browser.

A page sends a bearer token like any client. Cookies never take part, so credentials are never allowed.
"""

from collections.abc import Mapping, Sequence

from chalicelib.core.settings import settings

_SENT = "Authorization, Content-Type, Idempotency-Key, If-None-Match"
_SHOWN = (
    "X-Request-Id, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, Retry-After, "
    "ETag, Link, Location, Idempotent-Replayed"
)
_SECONDS_KEPT = 7200


def headers(request: Mapping[str, str]) -> dict[str, str]:
    """What every answer says. It depends on the origin as soon as one is configured, and says so."""
    if not settings().cors_origins:
        return {}
    if not _is_allowed(request):
        return {"Vary": "Origin"}
    return {
        "Vary": "Origin",
        "Access-Control-Allow-Origin": request["origin"],
        "Access-Control-Expose-Headers": _SHOWN,
    }


def preflight(request: Mapping[str, str], methods: Sequence[str]) -> dict[str, str]:
    """What an allowed page may send; empty where this is no preflight of one."""
    if not _is_allowed(request) or "access-control-request-method" not in request:
        return {}
    return {
        "Access-Control-Allow-Methods": ", ".join(methods),
        "Access-Control-Allow-Headers": _SENT,
        "Access-Control-Max-Age": str(_SECONDS_KEPT),
    }


def _is_allowed(request: Mapping[str, str]) -> bool:
    return request.get("origin") in settings().cors_origins
