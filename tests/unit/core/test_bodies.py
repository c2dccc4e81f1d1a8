"""JSON bodies: what two parsers could read differently is refused."""

import pytest
from pydantic import BaseModel

from chalicelib.core import bodies
from chalicelib.core.errors import Malformed
from chalicelib.core.limits import origin


class Named(BaseModel):
    name: str


def read(raw: str) -> Named:
    return bodies.read(Named, raw.encode(), "application/json")


@pytest.mark.parametrize("raw", [r'{"name":"\u0000"}', r'{"name":"a\\\u0000"}', r'{"name\u0000":"a"}'])
def test_nul_is_refused(raw: str) -> None:
    with pytest.raises(Malformed):
        read(raw)


def test_a_backslash_before_the_letters_is_no_nul() -> None:
    assert read(r'{"name":"C:\\u0000"}').name == r"C:\u0000"


def test_an_ipv6_client_is_its_network() -> None:
    assert origin("2001:db8:1:2:aaaa::1") == origin("2001:db8:1:2:bbbb::2") != origin("2001:db8:1:3::1")
    assert origin("192.0.2.1") == "192.0.2.1"
