"""The form of a token: recognisable, and nonsense refused before any read."""

import pytest

from chalicelib.core.clock import now
from chalicelib.core.ids import new_id
from chalicelib.core.tokens import Refused, admit, mint, parse


def test_a_minted_token_parses_to_its_id_and_hash() -> None:
    token_id = new_id("tok", now())
    token, secret_hash = mint(token_id)
    assert parse(token) == (token_id, secret_hash)


def test_every_changed_character_is_refused() -> None:
    token, _ = mint(new_id("tok", now()))
    for place in range(len(token)):
        other = "x" if token[place] != "x" else "y"
        assert parse(token[:place] + other + token[place + 1 :]) is None


@pytest.mark.parametrize("nonsense", ["", "tlk_", "x" * 80, "tlk_" + "ü" * 76, "Bearer", "\x00"])
def test_nonsense_is_refused_without_a_read(nonsense: str) -> None:
    with pytest.raises(Refused) as refused:
        admit(nonsense, now(), "192.0.2.1")
    assert refused.value.error.status == 401
    assert refused.value.allowance is None


def test_secrets_do_not_repeat() -> None:
    token_id = new_id("tok", now())
    assert len({mint(token_id)[0] for _ in range(100)}) == 100
