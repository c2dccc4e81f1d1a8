"""The time, for the edges. Rules take it as an argument."""

from datetime import UTC, datetime


def now() -> datetime:
    """The present time in UTC."""
    return datetime.now(UTC)


def rfc3339(moment: datetime) -> str:
    """RFC 3339 in UTC with `Z`, milliseconds kept only where there are any."""
    moment = moment.astimezone(UTC)
    precision = "milliseconds" if moment.microsecond >= 1000 else "seconds"
    return moment.isoformat(timespec=precision).removesuffix("+00:00") + "Z"


def instant(moment: datetime) -> str:
    """As stored where times are compared as text: always with milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def shown(stored: str | None) -> str | None:
    """A stored `instant` as the API shows it; null stays null."""
    return None if stored is None else rfc3339(datetime.fromisoformat(stored))


def of_epoch(seconds: float) -> str:
    """Whole seconds since 1970 as the API shows them."""
    return rfc3339(datetime.fromtimestamp(int(seconds), UTC))


def epoch(moment: datetime) -> int:
    """Whole seconds since 1970, as DynamoDB's TTL wants them."""
    return int(moment.timestamp())
