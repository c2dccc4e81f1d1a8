"""What sign-up, sign-in and tokens look like on the wire."""

from typing import Annotated, Literal

from pydantic import Field

from chalicelib.auth.passwords import LEAST
from chalicelib.core.abilities import Ability, Role
from chalicelib.core.types import (
    Body,
    Email,
    InstitutionId,
    Line,
    MemberId,
    Moment,
    Schema,
    Time,
    TokenId,
    UserId,
)

Name = Annotated[Line, Field(min_length=1, max_length=100, examples=["Ana Ruiz"])]
TokenName = Annotated[Line, Field(min_length=1, max_length=100, examples=["LMS integration"])]
TOKEN_EXAMPLE = "tlk_01M89851RJ0DD3YRST4CHN5KN0_" + "x" * 49
Grant = Ability | Literal["*"]
ExpiresAt = Field(examples=["2027-11-25T12:00:00Z"])


class SignUp(Body):
    """A new learner's account."""

    email: Email
    password: str = Field(min_length=LEAST, max_length=200, examples=["correct horse battery staple"])
    name: Name


class SignIn(Body):
    """Whose token is wanted, and for which device."""

    email: Email
    password: str = Field(min_length=1, max_length=200, examples=["correct horse battery staple"])
    device_name: TokenName = Field("sign-in", examples=["Ana's laptop"])
    institution_id: InstitutionId | None = Field(
        None,
        description="Which membership to act for; by default that in the newest of the user's institutions.",
    )


class User(Schema):
    """A person, as a member of the institution that the token acts in."""

    id: UserId
    email: Email
    name: Name
    role: Role = Field(examples=["learner"])
    institution_id: InstitutionId
    member_id: MemberId


class SignedIn(Schema):
    """A bearer token, and whose it is."""

    token: str = Field(max_length=100, description="Shown this once.", examples=[TOKEN_EXAMPLE])
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 (a scheme, RFC 6750)
    expires_at: Time = ExpiresAt
    user: User


class TokenCreate(Body):
    """A token for a program: what it is called, what it may do, until when."""

    name: TokenName
    abilities: list[Grant] = Field(
        min_length=1,
        max_length=20,
        description="None that the token in use does not have; `*` is all that it has.",
        examples=[["catalogue:read", "progress:read"]],
    )
    expires_at: Moment | None = Field(
        None, description="In a year by default.", examples=["2027-11-25T12:00:00Z"]
    )


class Token(Schema):
    """A token as it is listed: all but the token itself."""

    id: TokenId
    name: TokenName
    kind: Literal["session", "api"] = Field(description="A session comes from a sign-in.", examples=["api"])
    abilities: list[Grant] = Field(max_length=20, examples=[["catalogue:read", "progress:read"]])
    created_at: Time
    expires_at: Time = ExpiresAt
    last_used_at: Time | None = Field(examples=["2026-11-25T12:04:31Z"])


class TokenCreated(Token):
    """The one answer that shows the token."""

    last_used_at: Time | None = Field(examples=[None])
    token: str = Field(max_length=100, description="Shown this once.", examples=[TOKEN_EXAMPLE])
