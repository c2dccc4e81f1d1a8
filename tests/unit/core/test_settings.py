"""Configuration is checked as a whole, and every fault is named."""

from collections.abc import Iterator

import pytest

from chalicelib.core.settings import Misconfigured, settings


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    settings.cache_clear()
    yield
    settings.cache_clear()


def test_the_default_retry_schedule_is_one_five_and_twenty_five_minutes() -> None:
    assert settings().webhook_retry_schedule == (60, 300, 1500)


def test_variables_set_the_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBHOOK_RETRY_SCHEDULE", "1, 2,4")
    monkeypatch.setenv("STAGE", "prod")
    assert settings().webhook_retry_schedule == (1, 2, 4)
    assert settings().table("tokens") == "talktiko-prod-tokens"
    assert not settings().loopback_allowed


def test_every_fault_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAGE", "moon")
    monkeypatch.setenv("PUBLIC_URL", "nowhere")
    monkeypatch.setenv("PUBLIC_RATE_LIMIT", "0")
    with pytest.raises(Misconfigured) as fault:
        settings()
    assert all(name in str(fault.value) for name in ("STAGE", "PUBLIC_URL", "PUBLIC_RATE_LIMIT"))
