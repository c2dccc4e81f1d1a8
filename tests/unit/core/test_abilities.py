"""No token holds more than its owner's role allows."""

from chalicelib.core.abilities import ABILITIES, Role, held


def test_everything_means_everything_of_the_role() -> None:
    assert held(Role.OWNER, ["*"]) == ABILITIES
    assert "billing:write" not in held(Role.ADMIN, ["*"])
    assert "webhooks:read" not in held(Role.LEARNER, ["*"])


def test_a_grant_beyond_the_role_is_void() -> None:
    assert held(Role.LEARNER, ["webhooks:write", "progress:read"]) == {"progress:read"}


def test_a_grant_is_never_widened_by_the_role() -> None:
    assert held(Role.OWNER, ["catalogue:read"]) == {"catalogue:read"}
    assert held(Role.OWNER, []) == frozenset()


def test_an_unknown_grant_is_void() -> None:
    assert held(Role.OWNER, ["catalogue:destroy"]) == frozenset()
