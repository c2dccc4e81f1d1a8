"""Links to files."""

import pytest

from chalicelib.core import aws, storage


def test_links_carry_name_and_type_and_end_after_five_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    aws.s3.cache_clear()
    try:
        url = storage.link(
            "ins_1/exp_1/1.csv", "talktiko-activity-2026-11-25-exp_1.csv", "text/csv; charset=utf-8"
        )
    finally:
        aws.s3.cache_clear()
    assert "/ins_1/exp_1/1.csv?" in url
    assert "X-Amz-Expires=300&" in url
    assert "filename%3D%22talktiko-activity-2026-11-25-exp_1.csv%22" in url
    assert "response-content-type=text%2Fcsv%3B%20charset%3Dutf-8" in url
