"""Which pages may call the API from a browser."""

from collections.abc import Iterator

import pytest

from chalicelib.core import cross_origin
from chalicelib.core.settings import Misconfigured, settings

PAGE = "https://app.example.org"


@pytest.fixture
def configured(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("CORS_ORIGINS", f"{PAGE}, http://localhost:3000")
    settings.cache_clear()
    yield
    settings.cache_clear()


def test_without_configuration_no_page_may_and_nothing_varies() -> None:
    assert cross_origin.headers({"origin": PAGE}) == {}
    assert cross_origin.preflight({"origin": PAGE, "access-control-request-method": "GET"}, ["GET"]) == {}


@pytest.mark.usefixtures("configured")
@pytest.mark.parametrize("origin", [PAGE, "http://localhost:3000"])
def test_a_configured_page_is_named_and_reads_our_headers_without_credentials(origin: str) -> None:
    told = cross_origin.headers({"origin": origin})
    assert (told["Access-Control-Allow-Origin"], told["Vary"]) == (origin, "Origin")
    shown = told["Access-Control-Expose-Headers"].split(", ")
    assert {"X-Request-Id", "X-RateLimit-Remaining", "Retry-After", "Link"} <= set(shown)
    assert "Access-Control-Allow-Credentials" not in told


@pytest.mark.usefixtures("configured")
@pytest.mark.parametrize(
    "origin",
    ["https://app.example.org.evil.example", "http://app.example.org", "https://app.example.org:444",
     "https://APP.example.org", "null", "*", "", f"{PAGE}, https://evil.example"],
)  # fmt: skip
def test_another_page_is_told_nothing_but_that_answers_vary(origin: str) -> None:
    assert cross_origin.headers({"origin": origin}) == {"Vary": "Origin"}
    assert cross_origin.preflight({"origin": origin, "access-control-request-method": "GET"}, ["GET"]) == {}


@pytest.mark.usefixtures("configured")
def test_a_request_that_is_no_page_s_gets_an_answer_that_no_cache_gives_to_a_page() -> None:
    assert cross_origin.headers({}) == {"Vary": "Origin"}


@pytest.mark.usefixtures("configured")
def test_a_preflight_learns_methods_and_headers() -> None:
    told = cross_origin.preflight({"origin": PAGE, "access-control-request-method": "POST"}, ["GET", "POST"])
    assert told["Access-Control-Allow-Methods"] == "GET, POST"
    assert {"Authorization", "Idempotency-Key"} <= set(told["Access-Control-Allow-Headers"].split(", "))
    assert cross_origin.preflight({"origin": PAGE}, ["GET"]) == {}, "without a method it is a plain OPTIONS"


@pytest.mark.parametrize("origins", ["*", "app.example.org", "https://app.example.org/", "https://*.org"])
def test_an_origin_is_written_out(monkeypatch: pytest.MonkeyPatch, origins: str) -> None:
    monkeypatch.setenv("CORS_ORIGINS", origins)
    settings.cache_clear()
    with pytest.raises(Misconfigured, match="CORS_ORIGINS"):
        settings()
    settings.cache_clear()
