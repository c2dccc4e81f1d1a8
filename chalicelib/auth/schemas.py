"""What sign-up, sign-in and tokens look like on the wire."""

from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from chalicelib.core.abilities import Ability, Role
from chalicelib.core.ids import ID_PATTERN

Email = Annotated[str, Field(pattern=r"^[^@\s\x00-\x1f]{1,64}@[^@\s\x00-\x1f]{1,189}$", max_length=254)]
Id = Annotated[str, Field(pattern=ID_PATTERN, max_length=30)]
Grant = Ability | Literal["*"]
Time = Annotated[str, Field(max_length=30, examples=["2026-11-25T12:00:00Z"])]


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SignUp(Body):
    """A new learner's account."""

    email: Email
    password: str = Field(min_length=8, max_length=200)
    name: str = Field(min_length=1, max_length=100)


class SignIn(Body):
    email: Email
    password: str = Field(min_length=1, max_length=200)
    device_name: str = Field("sign-in", min_length=1, max_length=100)
    institution_id: Id | None = Field(
        None, description="Which membership to act for; the public one by default."
    )


class User(BaseModel):
    id: Id
    email: Email
    name: str = Field(max_length=100)
    role: Role
    institution_id: Id
    member_id: Id


class SignedIn(BaseModel):
    token: str = Field(max_length=100, description="Shown this once.")
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 (a scheme, RFC 6750)
    expires_at: Time
    user: User


class TokenCreate(Body):
    name: str = Field(min_length=1, max_length=100)
    abilities: list[Grant] = Field(min_length=1, max_length=20, examples=[["progress:read"]])
    expires_at: AwareDatetime | None = None


class Token(BaseModel):
    id: Id
    name: str = Field(max_length=100)
    abilities: list[str] = Field(max_length=20)
    created_at: Time
    expires_at: Time
    last_used_at: Time | None


class TokenCreated(Token):
    token: str = Field(max_length=100, description="Shown this once.")
