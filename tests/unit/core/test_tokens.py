"""The form of a token: recognisable, and nonsense refused before any read."""

import string
from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chalicelib.core.clock import now
from chalicelib.core.ids import is_id, new_id
from chalicelib.core.tokens import Refused, admit, mint, parse


def test_a_minted_token_parses_to_its_id_and_hash() -> None:
    token_id = new_id("tok", now())
    token, secret_hash = mint(token_id)
    assert parse(token) == (token_id, secret_hash)


TOKENS = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)).map(  # noqa: DTZ001
    lambda moment: mint(new_id("tok", moment))[0]
)
CHARACTERS = string.digits + string.ascii_letters


@given(text=st.text() | st.from_regex(r"\Atlk_[0-9A-HJKMNP-TV-Z]{26}_[0-9A-Za-z]{49}\Z"))
@example("tlk__")
def test_any_text_is_refused(text: str) -> None:
    assert parse(text) is None


@given(token=TOKENS, data=st.data())
def test_every_single_change_is_refused(token: str, data: st.DataObject) -> None:
    """One character changed, left out, doubled or swapped with the next: what typing and copying does."""
    place = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.sampled_from(CHARACTERS))
    before, at, after = token[:place], token[place], token[place + 1 :]
    for changed in (before + other + after, before + after, before + at + at + after, token + other,
                    before + after[:1] + at + after[1:], f" {token}", f"{token}\n"):  # fmt: skip
        assert changed == token or parse(changed) is None


@given(token=TOKENS)
def test_every_minted_token_is_one(token: str) -> None:
    parsed = parse(token)
    assert parsed is not None
    assert is_id(parsed[0], "tok")
    assert len(token) == 80


@pytest.mark.parametrize("nonsense", ["", "tlk_", "x" * 80, "tlk_" + "ü" * 76, "Bearer", "\x00"])
def test_nonsense_is_refused_without_a_read(nonsense: str) -> None:
    with pytest.raises(Refused) as refused:
        admit(nonsense, now(), "192.0.2.1")
    assert refused.value.error.status == 401
    assert refused.value.allowance is None


def test_secrets_do_not_repeat() -> None:
    token_id = new_id("tok", now())
    assert len({mint(token_id)[0] for _ in range(100)}) == 100
