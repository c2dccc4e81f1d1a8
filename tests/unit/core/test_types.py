"""Types that every slice shares: what they take, and in which form."""

from datetime import UTC, datetime

import pytest
from pydantic import TypeAdapter

from chalicelib.core.types import Email, Line, Moment

MOMENT = TypeAdapter(Moment)


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-25T12:00:00Z",
        "2026-11-25T13:00:00+01:00",
        "2026-11-25T12:00:00.000Z",
        "2026-11-25T08:30:00-03:30",
    ],
)
def test_a_time_is_rfc_3339(text: str) -> None:
    assert MOMENT.validate_json(f'"{text}"', strict=True) == datetime(2026, 11, 25, 12, tzinfo=UTC)
    assert MOMENT.validate_python(text) == datetime(2026, 11, 25, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "1700000000",
        "1700000000.5",
        "2026-11-25",
        "2026-11-25T12:00Z",
        "2026-11-25T12:00:00",
        "20261125T120000Z",
        "2026-11-25 12:00:00Z",
        "2026-11-25T12:00:00 01:00",
        "2026-11-25T12:00:00+0100",
        "2026-13-25T12:00:00Z",
        "2026-02-29T12:00:00Z",
        "2026-11-25T25:00:00Z",
        "\uff12026-11-25T12:00:00Z",
        "2026-11-25T12:00:00Z\n",
        "now",
        "",
    ],
)
def test_nothing_else_is_a_time(text: str) -> None:
    with pytest.raises(ValueError, match=r"write the time as in|timezone"):
        MOMENT.validate_python(text)


@pytest.mark.parametrize("number", ["1700000000", "1700000000000", "1.5", "true", "null", "[]", "{}"])
def test_no_number_is_a_time(number: str) -> None:
    with pytest.raises(ValueError, match="write the time as in"):
        MOMENT.validate_json(number, strict=True)


def test_a_leap_day_is_a_time() -> None:
    assert MOMENT.validate_python("2028-02-29T23:59:59Z") == datetime(2028, 2, 29, 23, 59, 59, tzinfo=UTC)


def test_a_line_has_letters_of_every_language_and_no_control_character() -> None:
    line = TypeAdapter(Line)
    assert line.validate_python("Grüße, ¿qué? 日本 🎉") == "Grüße, ¿qué? 日本 🎉"
    for character in "\n\r\t\x00\x1b\x7f\x85\u2028\u2029":
        with pytest.raises(ValueError, match="pattern"):
            line.validate_python(f"a{character}b")


def test_an_address_is_kept_in_one_unicode_form() -> None:
    assert TypeAdapter(Email).validate_python("jose\u0301@example.org") == "jos\u00e9@example.org"
