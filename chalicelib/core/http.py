"""HTTP: one declaration per endpoint, from which routing and the OpenAPI document both come.

    @endpoint(api, "POST", "/api/integrations/tokens", abilities=["tokens:write"],
              body=TokenCreate, returns=TokenCreated, status=201, idempotent=True, sealed="token")
    def create_token(call: Call, body: TokenCreate) -> TokenCreated: ...

A view adds writes to `call.transaction`; they are committed once it has returned, together with the
Idempotency-Key record. A view whose reads proved stale is run again. Only this module knows status
codes, headers and Chalice's request.
"""

import hashlib
import random
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Concatenate, Literal, ParamSpec, TypeVar, overload
from urllib.parse import quote

from chalice.app import Blueprint, Chalice, Request, Response
from pydantic import BaseModel, ValidationError
from pydantic_core import to_json

from chalicelib.core import bodies, clock, cross_origin, limits, problems
from chalicelib.core.abilities import Ability
from chalicelib.core.errors import (
    Conflict,
    DomainError,
    Forbidden,
    Invalid,
    MethodNotAllowed,
    NotFound,
    PreconditionFailed,
    Unauthenticated,
)
from chalicelib.core.idempotency import IdempotentRequest, Replay
from chalicelib.core.logs import log, log_request
from chalicelib.core.paging import Listing, Page, PageQuery
from chalicelib.core.settings import settings
from chalicelib.core.store import Stale, Transaction
from chalicelib.core.tokens import Allowance, Principal, Refused, admit

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
JSON = "application/json"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_TRIES = 5
_PATH_PARAMETER = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True)
class Raw:
    """An answer that is not JSON of ours: a page, a file, a redirect (302 with `Location`)."""

    body: str = ""
    media_type: str = "text/plain; charset=utf-8"
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


B = TypeVar("B", bound=BaseModel)
R = TypeVar("R", bound=BaseModel | Raw | None)
P = ParamSpec("P")


@dataclass(frozen=True)
class Endpoint:
    """What is declared of one endpoint."""

    method: Method
    path: str
    view: Callable[..., BaseModel | Raw | None]
    abilities: tuple[Ability, ...] | None
    body: type[BaseModel] | None
    query: type[BaseModel] | None
    returns: type[BaseModel] | type[Raw] | None
    status: int
    idempotent: bool
    sealed: str | None
    cached: str | None
    media_type: str
    redirects: bool
    tagged: bool
    refuses: tuple[type[DomainError], ...]

    @property
    def conditional(self) -> bool:
        """Whether `If-Match` may guard it: it changes what is there and tagged."""
        return self.tagged and self.method != "GET" and "{" in self.path


ENDPOINTS: list[Endpoint] = []


@dataclass
class Call:
    """One request, as a view sees it."""

    now: datetime
    request_id: str
    address: str
    base_url: str
    path: str
    principal: Principal | None = None
    repeated: bool = False
    """Whether the view runs again since its reads proved stale: what counts requests has counted this one."""
    if_match: str | None = None
    transaction: Transaction = field(default_factory=Transaction)

    @property
    def caller(self) -> Principal:
        """Who calls. Only where the endpoint asks for a token."""
        if self.principal is None:
            raise TypeError("this endpoint is declared public")
        return self.principal

    def must_be(self, revision: int) -> None:
        """Raises `PreconditionFailed` where the client's `If-Match` names other revisions."""
        if self.if_match is None:
            return
        tags = [tag.strip() for tag in self.if_match.split(",")]
        if tags != ["*"] and _tag(revision) not in tags:
            raise PreconditionFailed(revision)

    def listing(self, query: PageQuery) -> Listing[Any]:
        """The list at this path, bound to the caller's institution."""
        scope = self.principal.institution_id if self.principal else "public"
        return Listing(f"{self.base_url}{self.path}", scope, query)


@overload
def endpoint(
    api: Blueprint,
    method: Method,
    path: str,
    *,
    abilities: Sequence[Ability] | None,
    body: type[B],
    returns: type[R],
    status: int = 200,
    idempotent: bool = False,
    sealed: str | None = None,
    tagged: bool = False,
    refuses: Sequence[type[DomainError]] = (),
) -> Callable[[Callable[Concatenate[Call, B, P], R]], Callable[Concatenate[Call, B, P], R]]: ...
@overload
def endpoint(
    api: Blueprint,
    method: Method,
    path: str,
    *,
    abilities: Sequence[Ability] | None,
    query: type[B],
    returns: type[R],
    idempotent: bool = False,
    cached: str | None = None,
    media_type: str = JSON,
    refuses: Sequence[type[DomainError]] = (),
) -> Callable[[Callable[Concatenate[Call, B, P], R]], Callable[Concatenate[Call, B, P], R]]: ...
@overload
def endpoint(
    api: Blueprint,
    method: Method,
    path: str,
    *,
    abilities: Sequence[Ability] | None,
    query: type[B],
    returns: type[R],
    redirects: Literal[True],
    refuses: Sequence[type[DomainError]] = (),
) -> Callable[[Callable[Concatenate[Call, B, P], R | Raw]], Callable[Concatenate[Call, B, P], R | Raw]]: ...
@overload
def endpoint(
    api: Blueprint,
    method: Method,
    path: str,
    *,
    abilities: Sequence[Ability] | None,
    returns: type[R],
    status: int = 200,
    idempotent: bool = False,
    sealed: str | None = None,
    cached: str | None = None,
    media_type: str = JSON,
    tagged: bool = False,
    refuses: Sequence[type[DomainError]] = (),
) -> Callable[[Callable[Concatenate[Call, P], R]], Callable[Concatenate[Call, P], R]]: ...
@overload
def endpoint(
    api: Blueprint,
    method: Method,
    path: str,
    *,
    abilities: Sequence[Ability] | None,
    status: int,
    refuses: Sequence[type[DomainError]] = (),
) -> Callable[[Callable[Concatenate[Call, P], None]], Callable[Concatenate[Call, P], None]]: ...
def endpoint(  # noqa: PLR0913 (a declaration: every part has its name)
    api: Blueprint,
    method: Method,
    path: str,
    *,
    abilities: Sequence[Ability] | None,
    body: type[BaseModel] | None = None,
    query: type[BaseModel] | None = None,
    returns: type[Any] | None = None,
    status: int = 200,
    idempotent: bool = False,
    sealed: str | None = None,
    cached: str | None = None,
    media_type: str = JSON,
    redirects: bool = False,
    tagged: bool = False,
    refuses: Sequence[type[DomainError]] = (),
) -> Callable[..., Any]:
    """Declare an endpoint. `abilities=None` makes it public; `[]` asks for any valid token.

    `sealed`: the field of the answer that shows a secret; kept for an Idempotency-Key, it is sealed.
    `cached`: the answer's `Cache-Control`; with an `ETag`, and 304 for `If-None-Match`.
    `media_type` is what a `Raw` answer is documented as; `redirects`: it may also be a 302. `tagged`:
    the answer's `revision` is its `ETag`, and a change takes `If-Match` (the view calls `must_be`).
    `refuses` names refusals to document that do not follow from the rest.
    """

    def declare(view: Callable[..., Any]) -> Callable[..., Any]:
        asked = None if abilities is None else tuple(abilities)
        declared = Endpoint(
            method=method,
            path=path,
            view=view,
            abilities=asked,
            body=body,
            query=query,
            returns=returns,
            status=status,
            idempotent=idempotent,
            sealed=sealed,
            cached=cached,
            media_type=media_type,
            redirects=redirects,
            tagged=tagged,
            refuses=tuple(refuses),
        )
        ENDPOINTS.append(declared)

        def handle(**parameters: str) -> Response:
            exchange = _Exchange(_request(api), declared, parameters)
            return exchange.response(exchange.answer)

        handle.__name__ = view.__name__
        api.route(path, methods=[method], content_types=[], name=view.__name__)(handle)
        return view

    return declare


def complete(app: Chalice) -> None:
    """Answer what is not declared: HEAD like GET, OPTIONS with `Allow`, 405 with `Allow` for other
    methods, 404 for other paths.

    The gateway would answer these in its own words, and cannot tell them apart.
    """
    for path, entries in list(app.routes.items()):
        views: dict[str, Callable[..., Response]] = {}
        if "GET" in entries:
            views["HEAD"] = _without_body(entries["GET"].view_function)
        allow = sorted({*entries, *views, "OPTIONS"})
        views["OPTIONS"] = _allowing(app, allow)
        for method in METHODS:
            if method not in entries:
                view = views.get(method) or _refusing(app, MethodNotAllowed(allow))
                app.route(path, methods=[method], content_types=[], name=view.__name__)(view)
    for path in ("/", "/{proxy+}"):
        if path not in app.routes:
            app.route(path, methods=list(METHODS), content_types=[], name="refuse_path")(
                _refusing(app, NotFound("path"))
            )


def _without_body(view: Callable[..., Response]) -> Callable[..., Response]:
    """The same answer without its content (RFC 9110 section 9.3.2)."""

    def head(**parameters: str) -> Response:
        answer = view(**parameters)
        return Response(body="", status_code=answer.status_code, headers=answer.headers)

    return head


def _allowing(app: Chalice, allow: Sequence[str]) -> Callable[..., Response]:
    """What the path answers (RFC 9110 section 9.3.7), also to a browser's preflight."""

    def options(**_: str) -> Response:
        exchange = _Exchange(_request(app), None, {})
        return exchange.response(lambda: exchange.permission(allow))

    return options


def _refusing(app: Chalice, error: DomainError) -> Callable[..., Response]:
    def refuse(**_: str) -> Response:
        exchange = _Exchange(_request(app), None, {})
        return exchange.response(lambda: exchange.refuse(error))

    return refuse


def _request(api: Blueprint | Chalice) -> Request:
    request = api.current_request
    if request is None:
        raise TypeError("no request is being handled")
    return request


class _Exchange:
    """One request and the answer to it."""

    def __init__(self, request: Request, declared: Endpoint | None, parameters: Mapping[str, str]) -> None:
        self.request = request
        self.declared = declared
        self.parameters = parameters
        self.started = time.perf_counter()
        self.now = clock.now()
        self.context: Mapping[str, Any] = request.context
        self.request_id = str(self.context["requestId"])
        self.raw_path = str(request.to_original_event()["path"])
        self.path = quote(self.raw_path, safe="/%-_.~", errors="replace")
        self.principal: Principal | None = None
        self.allowance: Allowance | None = None

    def response(self, answer: Callable[[], Response]) -> Response:
        try:
            return answer()
        except Replay as replay:
            return self._respond(replay.status, replay.answer, JSON, {"Idempotent-Replayed": "true"})
        except DomainError as error:
            body = problems.document(error, instance=self.path, request_id=self.request_id)
            return self._respond(error.status, body, problems.MEDIA_TYPE, error.headers())
        except Exception:
            log.exception("http.failed", request_id=self.request_id, route=self._route())
            body = problems.unexpected(instance=self.path, request_id=self.request_id)
            return self._respond(500, body, problems.MEDIA_TYPE)

    def permission(self, allow: Sequence[str]) -> Response:
        """Answer OPTIONS. A preflight is not counted: a class behind one address sends hundreds at once."""
        preflight = cross_origin.preflight(self.request.headers, allow)
        if not preflight:
            self._count("refused")
        return self._respond(204, b"", JSON, {"Allow": ", ".join(allow), **preflight})

    def refuse(self, error: DomainError) -> Response:
        """What nothing is declared for is counted like a missing token."""
        self._count("refused")
        raise error

    def answer(self) -> Response:
        declared = self._declared()
        self._admit(declared)
        if not all(_PATH_PARAMETER.fullmatch(value) for value in self.parameters.values()):
            raise NotFound
        given = self._given(declared)
        idempotent = self._idempotent(declared)
        try:
            return self._run(declared, given, idempotent)
        except DomainError:
            earlier = idempotent.earlier(self.now) if idempotent else None
            if earlier is not None:
                raise earlier from None
            raise

    def _admit(self, declared: Endpoint) -> None:
        if declared.abilities is None:
            self._count("address")
            return
        scheme, _, token = self.request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            self._count("refused")
            raise Unauthenticated
        try:
            origin = limits.origin(self._address())
            self.principal, self.allowance = admit(token.strip(), self.now, origin)
        except Refused as refused:
            self.allowance = refused.allowance
            if refused.allowance is None:
                self._count("refused")
            raise refused.error from None
        for ability in declared.abilities:
            if ability not in self.principal.abilities:
                raise Forbidden(ability)

    def _count(self, what: str) -> None:
        """Count a request without a valid token for its address. Raises `RateLimited`.

        Refused ones are counted apart: expired tokens may not spend what their owners sign in with.
        """
        known = settings()
        limit = known.refused_token_limit if what == "refused" else known.public_rate_limit
        reset = (clock.epoch(self.now) // 60 + 1) * 60
        self.allowance = Allowance(limit, 0, reset)
        key = f"{what}#{limits.origin(self._address())}"
        left = limits.take(key, limit=limit, window_seconds=60, now=self.now)
        self.allowance = Allowance(limit, left, reset)

    def _given(self, declared: Endpoint) -> tuple[BaseModel, ...]:
        """The validated body or query, if the endpoint declares one."""
        query = self._query()
        if declared.body is not None:
            self._no_query(query)
            return (bodies.read(declared.body, self._raw_body(), self.request.headers.get("content-type")),)
        self._no_body()
        if declared.query is None:
            self._no_query(query)
            return ()
        try:
            return (declared.query.model_validate(query),)
        except ValidationError as error:
            raise problems.of_validation(error, "query", query) from error

    def _query(self) -> dict[str, str]:
        """The query parameters. Raises `Invalid` for one that stands there twice."""
        sent = self.request.query_params
        if sent is None:
            return {}
        twice = {name: ["stands there more than once"] for name in sent if len(sent.getlist(name)) > 1}
        if twice:
            raise Invalid(twice)
        return dict(sent)

    @staticmethod
    def _no_query(query: Mapping[str, str]) -> None:
        if query:
            raise Invalid({name: ["is not a parameter of this path"] for name in query})

    def _no_body(self) -> None:
        """Refuse what would be ignored. `{}` is what clients send that always send something."""
        if self._raw_body().strip() not in (b"", b"{}"):
            raise Invalid({"body": ["is not taken by this path"]})

    def _idempotent(self, declared: Endpoint) -> IdempotentRequest | None:
        key = self.request.headers.get("idempotency-key")
        if key is None or not declared.idempotent or self.principal is None:
            return None
        return IdempotentRequest.of(
            key,
            institution_id=self.principal.institution_id,
            caller=self.principal.token_id if declared.sealed else self.principal.member_id,
            method=declared.method,
            path=declared.path.format(**self.parameters),
            body=self._raw_body(),
        )

    def _run(
        self, declared: Endpoint, given: tuple[BaseModel, ...], idempotent: IdempotentRequest | None
    ) -> Response:
        for attempt in range(_TRIES):
            call = Call(
                now=self.now,
                request_id=self.request_id,
                address=self._address(),
                base_url=self._base_url(),
                path=self.path,
                principal=self.principal,
                repeated=attempt > 0,
                if_match=self.request.headers.get("if-match"),
            )
            result = declared.view(call, *given, **self.parameters)
            body = _rendered(result)
            if idempotent is not None:
                idempotent.remember(
                    call.transaction,
                    status=declared.status,
                    answer=body,
                    secret=declared.sealed,
                    now=self.now,
                )
            try:
                call.transaction.commit()
            except Stale:
                time.sleep(random.uniform(0.5, 1.0) * 0.02 * 2**attempt)  # noqa: S311 (jitter)
                continue
            return self._respond_with(declared, result, body)
        raise Conflict("Other requests keep changing the same records.", retry_after=1)

    def _respond_with(self, declared: Endpoint, result: BaseModel | Raw | None, body: bytes) -> Response:
        status, media_type, headers = declared.status, JSON, {}
        if isinstance(result, Raw):
            status, media_type, headers = result.status, result.media_type, dict(result.headers)
        if declared.tagged:
            headers["ETag"] = _tag(getattr(result, "revision"))  # noqa: B009 (of whichever model)
        if declared.cached is not None:
            tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
            headers |= {"Cache-Control": declared.cached, "ETag": tag}
            if _matches(self.request.headers.get("if-none-match"), tag):
                return self._respond(304, b"", media_type, headers)
        return self._respond(status, body, media_type, headers)

    def _respond(
        self, status: int, body: bytes, media_type: str, extra: Mapping[str, str] | None = None
    ) -> Response:
        headers: dict[str, str] = {
            "Content-Type": media_type,
            "X-Request-Id": self.request_id,
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "no-store",
            **self._transport(),
            **cross_origin.headers(self.request.headers),
            **(extra or {}),
        }
        if self.allowance is not None:
            headers["X-RateLimit-Limit"] = str(self.allowance.limit)
            headers["X-RateLimit-Remaining"] = str(self.allowance.remaining)
            headers["X-RateLimit-Reset"] = str(self.allowance.reset)
        self._log(status)
        return Response(body=body.decode(), status_code=status, headers=dict(headers))

    def _transport(self) -> dict[str, str]:
        """Over https only, from now on (RFC 6797)."""
        is_secure = self._base_url().startswith("https://")
        return {"Strict-Transport-Security": "max-age=31536000"} if is_secure else {}

    def _log(self, status: int) -> None:
        principal = self.principal
        log_request(
            request_id=self.request_id,
            method=str(self.request.method),
            route=self._route(),
            status=status,
            duration_ms=round((time.perf_counter() - self.started) * 1000, 1),
            token_id=principal.token_id if principal else None,
            institution_id=principal.institution_id if principal else None,
        )

    def _declared(self) -> Endpoint:
        if self.declared is None:
            raise TypeError("nothing is declared here")
        return self.declared

    def _route(self) -> str:
        return self.declared.path if self.declared else str(self.context.get("resourcePath"))

    def _address(self) -> str:
        """The client's address as the gateway saw it, never as a header claims it."""
        return str(self.context["identity"]["sourceIp"])

    def _raw_body(self) -> bytes:
        raw = self.request.raw_body
        return raw.encode("utf-8", "surrogatepass") if isinstance(raw, str) else raw

    def _base_url(self) -> str:
        """Scheme, host and stage under which the client reaches us."""
        configured = settings().public_url
        if configured is not None:
            return configured
        prefix = str(self.context.get("path", "")).removesuffix(self.raw_path)
        return f"https://{self.context.get('domainName')}{prefix}"


def _rendered(result: BaseModel | Raw | None) -> bytes:
    if result is None:
        return b""
    if isinstance(result, Raw):
        return result.body.encode()
    document = result.model_dump(mode="json", by_alias=True)
    return to_json(document if isinstance(result, Page) else {"data": document})


def _tag(revision: int) -> str:
    return f'"{revision}"'


def _matches(if_none_match: str | None, tag: str) -> bool:
    """Weak comparison with a list of tags (RFC 9110 section 13.1.2)."""
    if if_none_match is None:
        return False
    tags = [part.strip().removeprefix("W/") for part in if_none_match.split(",")]
    return tag in tags or tags == ["*"]
