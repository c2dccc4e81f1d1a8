"""What is refused before AWS is called."""

from collections.abc import Iterator

import pytest

from infra import deploy


@pytest.fixture(autouse=True)
def _shell(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE", "AWS_DEFAULT_REGION", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    deploy._client.cache_clear()
    yield
    deploy._client.cache_clear()


def test_the_stage_that_trusts_its_machine_is_not_deployed_on_aws(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    assert deploy.main(["deploy", "local"]) == 1
    assert "not for AWS" in capsys.readouterr().err


def test_without_a_region_it_says_what_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    assert deploy.main(["deploy", "dev"]) == 1
    assert "No AWS region is set" in capsys.readouterr().err


def test_an_unknown_stage_is_told_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        deploy.main(["deploy", "production"])
    told = capsys.readouterr().err
    assert all(stage in told for stage in ("dev", "staging", "prod"))
