"""Events: facts in the past tense, each with a versioned schema, declared by the slice that knows them.

    class LessonCompleted(EventData, type="lesson.completed"):
        lesson_id: Id

`data` holds ids and facts, never names or addresses, so that frozen bytes survive an erasure.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from pydantic import ConfigDict
from pydantic_core import from_json, to_json

from chalicelib.core.clock import rfc3339
from chalicelib.core.ids import new_id
from chalicelib.core.types import EventId, EventType, InstitutionId, Schema, Time, Version

_catalogue: dict[str, type["EventData"]] = {}


class EventData(Schema):
    """The `data` of one event type. Subclasses name their type, and their version when it changes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    event_type: ClassVar[str]
    event_version: ClassVar[int]

    def __init_subclass__(cls, *, type: str, version: int = 1, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        known = _catalogue.get(type)
        if known is not None and known.__qualname__ != cls.__qualname__:
            raise TypeError(f"event type {type} is declared twice")
        cls.event_type, cls.event_version = type, version
        _catalogue[type] = cls


class Envelope(Schema):
    """What every event says beside its `data`."""

    id: EventId
    type: EventType
    version: Version
    timestamp: Time
    institution_id: InstitutionId


def catalogue() -> dict[str, type[EventData]]:
    """Every declared event type by name. Complete where `app` is imported."""
    return dict(sorted(_catalogue.items()))


def example(data: type[EventData]) -> dict[str, Any]:
    """A plausible body of this type: each field shows its first example."""
    return {
        **_first_examples(Envelope),
        "type": data.event_type,
        "version": data.event_version,
        "data": data.model_validate(_first_examples(data)).model_dump(mode="json"),
    }


def _first_examples(model: type[Schema]) -> dict[str, Any]:
    return {name: (field.examples or [field.get_default()])[0] for name, field in model.model_fields.items()}


@dataclass(frozen=True)
class Event:
    """One fact. `body` is what every webhook, feed and resend sends, byte for byte."""

    id: str
    type: str
    institution_id: str
    created_at: datetime
    body: bytes
    request_id: str | None = None

    def data(self) -> dict[str, Any]:
        """The facts, as they were frozen."""
        data: dict[str, Any] = from_json(self.body)["data"]
        return data


def new_event(data: EventData, *, institution_id: str, now: datetime, request_id: str | None = None) -> Event:
    """The fact `data`, given an id and frozen into its body."""
    event_id = new_id("evt", now)
    body = to_json(
        {
            "id": event_id,
            "type": data.event_type,
            "version": data.event_version,
            "timestamp": rfc3339(now),
            "institution_id": institution_id,
            "data": data.model_dump(mode="json"),
        }
    )
    return Event(event_id, data.event_type, institution_id, now, body, request_id)
