"""What sign-up, sign-in and tokens look like on the wire."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from chalicelib.auth.passwords import LEAST
from chalicelib.core.abilities import Ability, Role
from chalicelib.core.types import Body, Email, Id, Instant, Line, Time

Name = Annotated[Line, Field(min_length=1, max_length=100, examples=["Ana Ruiz"])]
TokenName = Annotated[Line, Field(min_length=1, max_length=100, examples=["LMS integration"])]
TOKEN_EXAMPLE = "tlk_01KAXG7Y0000000000000000A1_" + "x" * 49
Grant = Ability | Literal["*"]


class SignUp(Body):
    """A new learner's account."""

    email: Email
    password: str = Field(min_length=LEAST, max_length=200, examples=["correct horse battery staple"])
    name: Name


class SignIn(Body):
    email: Email
    password: str = Field(min_length=1, max_length=200, examples=["correct horse battery staple"])
    device_name: TokenName = "sign-in"
    institution_id: Id | None = Field(
        None,
        description="Which membership to act for; by default that in the newest of the user's institutions.",
    )


class User(BaseModel):
    id: Id
    email: Email
    name: Name
    role: Role
    institution_id: Id
    member_id: Id


class SignedIn(BaseModel):
    token: str = Field(max_length=100, description="Shown this once.", examples=[TOKEN_EXAMPLE])
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 (a scheme, RFC 6750)
    expires_at: Time
    user: User


class TokenCreate(Body):
    name: TokenName
    abilities: list[Grant] = Field(min_length=1, max_length=20, examples=[["progress:read"]])
    expires_at: Instant | None = None


class Token(BaseModel):
    id: Id
    name: TokenName
    kind: Literal["session", "api"] = Field(description="A session comes from a sign-in.")
    abilities: list[str] = Field(max_length=20, examples=[["progress:read"]])
    created_at: Time
    expires_at: Time
    last_used_at: Time | None


class TokenCreated(Token):
    token: str = Field(max_length=100, description="Shown this once.", examples=[TOKEN_EXAMPLE])
