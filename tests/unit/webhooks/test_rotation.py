"""Which secrets sign when."""

from datetime import UTC, datetime, timedelta

import pytest

from chalicelib.webhooks.rotation import IN_FORCE_AT_MOST, Secret, TooManySecrets, in_force, rotated

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def secret(name: str) -> Secret:
    return Secret(name.encode(), name)


def hints(secrets: list[Secret], now: datetime) -> list[str]:
    return [one.hint for one in in_force(secrets, now)]


def test_the_old_one_stays_for_its_grace_and_the_new_one_for_good() -> None:
    secrets = rotated([secret("old")], secret("new"), HOUR, NOON)
    assert hints(secrets, NOON) == ["old", "new"]
    assert hints(secrets, NOON + HOUR - timedelta(microseconds=1)) == ["old", "new"]
    assert hints(secrets, NOON + HOUR) == ["new"]


def test_without_grace_there_is_one() -> None:
    secrets = rotated([secret("old")], secret("new"), HOUR, NOON)
    assert hints(rotated(secrets, secret("newer"), timedelta(0), NOON), NOON) == ["newer"]


def test_each_keeps_what_it_was_promised() -> None:
    secrets = rotated([secret("a")], secret("b"), 3 * HOUR, NOON)
    secrets = rotated(secrets, secret("c"), HOUR, NOON)
    assert hints(secrets, NOON + HOUR) == ["a", "c"]
    assert hints(secrets, NOON + 3 * HOUR) == ["c"]


def test_retired_ones_are_not_kept() -> None:
    secrets = rotated([secret("a")], secret("b"), HOUR, NOON)
    later = rotated(secrets, secret("c"), HOUR, NOON + 2 * HOUR)
    assert [one.hint for one in later] == ["b", "c"]


def test_there_is_an_end_to_it() -> None:
    secrets = [secret("0")]
    for n in range(1, IN_FORCE_AT_MOST):
        secrets = rotated(secrets, secret(f"{n}"), HOUR, NOON)
    with pytest.raises(TooManySecrets):
        rotated(secrets, secret("x"), HOUR, NOON)
