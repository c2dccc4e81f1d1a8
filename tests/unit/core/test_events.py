"""An event's body is frozen when it is made, and has the one envelope of DESIGN section 6."""

import json
from datetime import UTC, datetime

import pytest

from chalicelib.core.events import EventData, catalogue, new_event
from chalicelib.core.ids import moment_of

NOON = datetime(2026, 11, 25, 12, 0, 0, 250_000, tzinfo=UTC)


class KettleBoiled(EventData, type="kettle.boiled", version=3):
    litres: float


def test_the_body_is_the_envelope_around_the_data() -> None:
    event = new_event(KettleBoiled(litres=1.5), institution_id="ins_1", now=NOON, request_id="req")
    assert json.loads(event.body) == {
        "id": event.id,
        "type": "kettle.boiled",
        "version": 3,
        "timestamp": "2026-11-25T12:00:00.250Z",
        "institution_id": "ins_1",
        "data": {"litres": 1.5},
    }


def test_the_id_tells_when_the_event_was_made() -> None:
    event = new_event(KettleBoiled(litres=1), institution_id="ins_1", now=NOON)
    assert moment_of(event.id) == NOON


def test_a_declared_type_is_in_the_catalogue_and_cannot_be_declared_twice() -> None:
    assert catalogue()["kettle.boiled"] is KettleBoiled
    with pytest.raises(TypeError, match="declared twice"):

        class Other(EventData, type="kettle.boiled"):
            pass
