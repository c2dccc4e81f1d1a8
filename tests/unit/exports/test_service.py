"""What may be asked for, and when a file may be fetched."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from chalicelib.core import storage
from chalicelib.core.clock import instant
from chalicelib.core.errors import Conflict, DomainError, Invalid, NotFound
from chalicelib.exports import models, schemas, service
from chalicelib.exports.kinds import ExportType
from chalicelib.exports.models import JobItem
from chalicelib.exports.service import Wish

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def wish(
    kind: ExportType = "activity", from_at: datetime | None = None, to_at: datetime | None = None
) -> Wish:
    return Wish(type=kind, from_at=from_at, to_at=to_at)


def job(**values: Any) -> JobItem:
    return JobItem(
        "ins_1", "exp_1", **{"type": "learner_progress", "created_at": "2026-11-25T12:00:00.000Z", **values}
    )


def test_the_last_thirty_days_are_asked_for_by_default() -> None:
    assert service.checked_span(wish(), NOW) == (NOW - 30 * DAY, NOW)
    assert service.checked_span(wish(to_at=NOW - DAY), NOW) == (NOW - 31 * DAY, NOW - DAY)
    assert service.checked_span(wish(from_at=NOW - DAY), NOW) == (NOW - DAY, NOW)
    assert service.checked_span(wish("learner_progress"), NOW) == (None, None)


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        (wish(from_at=NOW, to_at=NOW + DAY), "filters.from"),
        (wish(from_at=NOW - DAY, to_at=NOW - DAY), "filters.to"),
        (wish(from_at=NOW - DAY, to_at=NOW - 2 * DAY), "filters.to"),
        (wish(from_at=NOW - 366 * DAY, to_at=NOW + timedelta(seconds=1)), "filters.to"),
        (wish(from_at=NOW - 367 * DAY), "filters.to"),
        (wish(from_at=datetime.min.replace(tzinfo=UTC)), "filters.from"),
        (wish(to_at=datetime.min.replace(tzinfo=UTC)), "filters.to"),
        (wish(to_at=datetime.max.replace(tzinfo=UTC)), "filters.from"),
        (wish("learner_progress", from_at=NOW - DAY), "filters.from"),
        (wish("learner_progress", to_at=NOW), "filters.to"),
    ],
)
def test_a_span_that_cannot_be_meant_is_refused_naming_its_field(asked: Wish, field: str) -> None:
    with pytest.raises(Invalid) as refused:
        service.checked_span(asked, NOW)
    assert list(refused.value.fields) == [field]


def test_a_leap_year_is_a_span() -> None:
    asked = wish(from_at=NOW - 366 * DAY, to_at=NOW)
    assert service.checked_span(asked, NOW) == (NOW - 366 * DAY, NOW)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ('{"type": "everything"}', ("type",)),
        ("{}", ("type",)),
        ('{"type": "activity", "filters": {"from": "2026-11-25T12:00:00"}}', ("filters", "from")),
        ('{"type": "activity", "filters": {"from": "yesterday"}}', ("filters", "from")),
        ('{"type": "activity", "filters": {"until": "2026-11-25T12:00:00Z"}}', ("filters", "until")),
        ('{"type": "activity", "filters": {"course_id": "german"}}', ("filters", "course_id")),
        ('{"type": "activity", "format": {"delimiter": "|"}}', ("format", "delimiter")),
        ('{"type": "activity", "format": {"bom": "yes"}}', ("format", "bom")),
        ('{"type": "activity", "columns": []}', ("columns",)),
    ],
)
def test_a_body_that_breaks_a_rule_is_told_by_field(body: str, field: tuple[str, ...]) -> None:
    with pytest.raises(ValidationError) as refused:
        schemas.ExportCreate.model_validate_json(body, strict=True)
    assert [fault["loc"] for fault in refused.value.errors()] == [field]


def test_only_the_type_is_required() -> None:
    body = schemas.ExportCreate.model_validate_json('{"type": "activity"}', strict=True)
    assert (body.format.delimiter, body.format.bom) == (",", True)
    assert body.filters == schemas.ExportFilters()


def test_a_file_is_named_after_type_day_and_id() -> None:
    assert service.file_name(job()) == "talktiko-learner-progress-2026-11-25-exp_1.csv"


@pytest.mark.parametrize(
    ("found", "error", "said"),
    [
        (job(status="queued"), Conflict, "it is queued"),
        (job(status="running"), Conflict, "it is running"),
        (job(status="failed"), Conflict, "it is failed"),
        (job(status="cancelled"), Conflict, "it is cancelled"),
        (
            job(status="completed", file_key="a.csv", file_expires_at=instant(NOW)),
            NotFound,
            "The file of this export has expired; request the export again.",
        ),
    ],
)
def test_a_file_that_is_not_there_is_told_from_one_that_is_gone(
    monkeypatch: pytest.MonkeyPatch, found: JobItem, error: type[DomainError], said: str
) -> None:
    monkeypatch.setattr(models, "job_of", lambda *_: found)
    with pytest.raises(error, match=said):
        service.link("ins_1", "exp_1", NOW)
    assert not service.is_downloadable(found, NOW)


def test_a_link_is_made_anew_as_long_as_the_file_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    lives = NOW + storage.FILE_LIVES
    found = job(status="completed", file_key="a.csv", file_expires_at=instant(lives))
    monkeypatch.setattr(models, "job_of", lambda *_: found)
    monkeypatch.setattr(storage, "link", lambda key, name, _: f"{key} as {name}")
    for now in (NOW, NOW + DAY, lives - timedelta(seconds=1)):
        url, until = service.link("ins_1", "exp_1", now)
        assert url == f"a.csv as {service.file_name(found)}"
        assert until == now + timedelta(minutes=5)
        assert service.is_downloadable(found, now)


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        (Wish("activity", since=NOW + DAY), "filters.since"),
        (Wish("activity", since=NOW - 367 * DAY), "filters.since"),
        (Wish("activity", since=NOW - DAY, to_at=NOW), "filters.since"),
        (Wish("learner_progress", since=NOW - DAY), "filters.since"),
    ],
)
def test_a_watermark_that_cannot_be_meant_is_refused(asked: Wish, field: str) -> None:
    with pytest.raises(Invalid) as refused:
        service.checked_span(asked, NOW)
    assert list(refused.value.fields) == [field]


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        (Wish("cefr", course_id="crs_01KAXG7Y0000000000000000A1"), "filters.course_id"),
        (Wish("webhook_deliveries", learner_ids=("mem_1",)), "filters.learner_ids"),
        (Wish("activity", columns=("learner_id", "email")), "format.columns"),
        (Wish("activity", columns=("xp", "xp")), "format.columns"),
        (Wish("activity", time_zone="Mars/Olympus"), "format.time_zone"),
        (Wish("activity", time_zone="../etc/passwd"), "format.time_zone"),
    ],
)
def test_a_selection_that_does_not_go_with_its_type_is_refused(asked: Wish, field: str) -> None:
    with pytest.raises(Invalid) as refused:
        service._check_selection(asked)
    assert list(refused.value.fields) == [field]


def test_an_incremental_export_goes_on_where_the_last_one_ended() -> None:
    first = job(type="activity", to_at=instant(NOW), cut_off_at=instant(NOW - timedelta(minutes=2)))
    since = service.next_since(first)
    assert since == "2026-11-25T11:58:00Z"
    asked = Wish("activity", since=datetime.fromisoformat(since))
    assert service.checked_span(asked, NOW + DAY) == (NOW - timedelta(minutes=2), NOW + DAY)
    past = job(type="activity", to_at=instant(NOW - DAY), cut_off_at=instant(NOW))
    assert service.next_since(past) == "2026-11-24T12:00:00Z"
    assert service.next_since(job(cut_off_at=instant(NOW))) is None


def test_a_running_job_says_when_it_may_be_done() -> None:
    running = job(status="running", percent=25, started_at=instant(NOW - timedelta(seconds=30)))
    assert service.finishes_at(running, NOW) == NOW + timedelta(seconds=90)
    assert service.finishes_at(job(status="queued", percent=0), NOW) is None
