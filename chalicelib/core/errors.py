"""What can be refused, and why.

    DomainError
    ├── Malformed          400  the body cannot be read at all
    ├── Unauthenticated    401  no token, or one that is not valid
    ├── Forbidden          403  the token lacks an ability
    ├── NotFound           404  absent, or another institution's
    ├── MethodNotAllowed   405  the path exists, the method does not
    ├── Conflict           409  the present state does not allow it
    ├── PreconditionFailed 412  it has changed since `If-Match` was read
    ├── TooLarge           413  the body is over the limit
    ├── UnsupportedType    415  the body is not JSON
    ├── Invalid            422  readable, but fields break rules
    └── RateLimited        429  come back in `retry_after` seconds

Rules raise these; only `core.http` knows that they become problem+json (RFC 9457).
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar


class DomainError(Exception):
    """A refusal that the caller can understand and act on."""

    status: ClassVar[int] = 400
    title: ClassVar[str] = "Bad Request"

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail

    @property
    def kind(self) -> str:
        """The last part of the problem's `type` URI."""
        return self.title.lower().replace(" ", "-")

    def headers(self) -> dict[str, str]:
        """Headers that belong to this refusal."""
        return {}

    def members(self) -> dict[str, object]:
        """Extension members of the problem document (RFC 9457 section 3.2)."""
        return {}


class Malformed(DomainError):
    """The request cannot be read: broken JSON, a broken header."""


class Unauthenticated(DomainError):
    """No bearer token, or one that is unknown, revoked or expired (RFC 6750 section 3)."""

    status = 401
    title = "Unauthenticated"

    def __init__(self, detail: str = "Send a valid API token as a bearer token.") -> None:
        super().__init__(detail)

    def headers(self) -> dict[str, str]:
        return {"WWW-Authenticate": "Bearer"}


class Forbidden(DomainError):
    """The token is valid but may not do this."""

    status = 403
    title = "Forbidden"

    def __init__(self, ability: str) -> None:
        super().__init__(f"This token lacks the ability {ability}.")
        self.ability = ability

    def members(self) -> dict[str, object]:
        return {"ability": self.ability}


class NotFound(DomainError):
    """Absent, or another institution's: the two are not told apart."""

    status = 404
    title = "Not Found"

    def __init__(self, what: str = "resource") -> None:
        super().__init__(f"There is no such {what}.")


class MethodNotAllowed(DomainError):
    """The path exists; it answers the methods in `allow` (RFC 9110 section 15.5.6)."""

    status = 405
    title = "Method Not Allowed"

    def __init__(self, allow: Sequence[str]) -> None:
        self.allow = ", ".join(allow)
        super().__init__(f"This path answers {self.allow}.")

    def headers(self) -> dict[str, str]:
        return {"Allow": self.allow}


class Conflict(DomainError):
    """The present state does not allow it."""

    status = 409
    title = "Conflict"

    def __init__(self, detail: str, retry_after: int | None = None) -> None:
        super().__init__(detail)
        self.retry_after = retry_after

    def headers(self) -> dict[str, str]:
        return {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}


class PreconditionFailed(DomainError):
    """The record is no longer the one that `If-Match` names (RFC 9110 section 13.1.1)."""

    status = 412
    title = "Precondition Failed"

    def __init__(self, revision: int) -> None:
        super().__init__(f'This has changed meanwhile; its ETag now is "{revision}".')


class TooLarge(DomainError):
    """The body is over `limit` bytes."""

    status = 413
    title = "Content Too Large"

    def __init__(self, limit: int) -> None:
        super().__init__(f"The body may have at most {limit} bytes.")


class UnsupportedType(DomainError):
    """The body's media type is not one that this path takes."""

    status = 415
    title = "Unsupported Media Type"

    def __init__(self, accepted: str = "application/json") -> None:
        super().__init__(f"Send the body as {accepted}.")


class Invalid(DomainError):
    """Readable, but fields break rules. `fields` maps a dotted field name to what is wrong with it."""

    status = 422
    title = "Unprocessable Content"

    def __init__(self, fields: Mapping[str, Sequence[str]]) -> None:
        self.fields = {name: list(texts) for name, texts in fields.items()}
        name, texts = next(iter(self.fields.items()))
        more = sum(len(texts) for texts in self.fields.values()) - 1
        super().__init__(f"{name}: {texts[0]}" + (f" (and {more} more)" if more else ""))

    def members(self) -> dict[str, object]:
        return {"errors": self.fields}


class RateLimited(DomainError):
    """Too many requests. A client that waits `retry_after` seconds gets through."""

    status = 429
    title = "Too Many Requests"

    def __init__(self, retry_after: int, detail: str = "The rate limit of this minute is spent.") -> None:
        super().__init__(detail)
        self.retry_after = retry_after

    def headers(self) -> dict[str, str]:
        return {"Retry-After": str(self.retry_after)}
