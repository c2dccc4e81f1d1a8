"""Roles, and the abilities that they can hold at the most (DESIGN, section 5)."""

from collections.abc import Collection
from enum import StrEnum
from typing import Literal, get_args

Ability = Literal[
    "catalogue:read",
    "catalogue:write",
    "progress:read",
    "progress:write",
    "webhooks:read",
    "webhooks:write",
    "exports:read",
    "exports:write",
    "lti:read",
    "lti:write",
    "xapi:read",
    "xapi:write",
    "institutions:read",
    "institutions:write",
    "billing:read",
    "billing:write",
    "tokens:read",
    "tokens:write",
]
EVERYTHING = "*"
ABILITIES: frozenset[Ability] = frozenset(get_args(Ability))


class Role(StrEnum):
    """What a member is in an institution."""

    OWNER = "owner"
    ADMIN = "admin"
    INSTRUCTOR = "instructor"
    LEARNER = "learner"


_LEARNER: frozenset[Ability] = frozenset(
    {"catalogue:read", "progress:read", "progress:write", "tokens:read", "tokens:write"}
)
_MOST: dict[Role, frozenset[Ability]] = {
    Role.LEARNER: _LEARNER,
    Role.INSTRUCTOR: _LEARNER | {"institutions:read"},
    Role.ADMIN: ABILITIES - {"billing:write"},
    Role.OWNER: ABILITIES,
}


def held(role: Role, granted: Collection[str]) -> frozenset[Ability]:
    """What a token with `granted` may do while its owner is a `role`: never more than the role."""
    most = _MOST[role]
    return most if EVERYTHING in granted else frozenset(a for a in most if a in granted)
