"""How a webhook's secret changes without a bad signature: the old one stays in force for a while.

Whether a secret is in force is decided by the time alone; no job ends an overlap.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from chalicelib.core.errors import Conflict

IN_FORCE_AT_MOST = 5


@dataclass(frozen=True)
class Secret:
    """A sealed secret. `retires_at` is None for the newest, which stays."""

    sealed: bytes
    hint: str
    retires_at: datetime | None = None


class TooManySecrets(Conflict):
    """Each rotation within another's overlap leaves one more secret in force."""

    def __init__(self) -> None:
        super().__init__(
            f"{IN_FORCE_AT_MOST} secrets are in force already; finish the rotation, or send grace_seconds 0."
        )


def in_force(secrets: Sequence[Secret], now: datetime) -> list[Secret]:
    """Those that sign, oldest first."""
    return [one for one in secrets if one.retires_at is None or now < one.retires_at]


def rotated(secrets: Sequence[Secret], new: Secret, grace: timedelta, now: datetime) -> list[Secret]:
    """`new` beside those in force, each of which keeps the time that it was promised.

    The newest until now retires when `grace` is over; without grace, all retire at once. Raises
    `TooManySecrets`.
    """
    if not grace:
        return [new]
    *earlier, newest = in_force(secrets, now)
    found = [*earlier, Secret(newest.sealed, newest.hint, now + grace), new]
    if len(found) > IN_FORCE_AT_MOST:
        raise TooManySecrets
    return found
