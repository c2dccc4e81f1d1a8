"""/api/auth/* and /api/integrations/tokens*."""

from chalice.app import Blueprint

from chalicelib.auth import schemas, service
from chalicelib.core import audit
from chalicelib.core.audit import Actor
from chalicelib.core.clock import rfc3339
from chalicelib.core.http import Call, endpoint
from chalicelib.core.paging import Page, PageQuery, of_list
from chalicelib.core.tokens import TokenItem
from chalicelib.core.types import TokenId
from chalicelib.institutions.service import Member

api = Blueprint(__name__)


@endpoint(api, "POST", "/api/auth/sign-up", abilities=None, body=schemas.SignUp,
          returns=schemas.User, status=201)  # fmt: skip
def sign_up(call: Call, body: schemas.SignUp) -> schemas.User:
    """Create a learner account; sign in to receive a bearer token."""
    user, member = service.sign_up(
        call.transaction, email=body.email, password=body.password, name=body.name, now=call.now
    )
    return _user(user, member)


@endpoint(api, "POST", "/api/auth/sign-in", abilities=None, body=schemas.SignIn,
          returns=schemas.SignedIn)  # fmt: skip
def sign_in(call: Call, body: schemas.SignIn) -> schemas.SignedIn:
    """Authenticate and receive a bearer token."""
    if not call.repeated:
        service.throttle(email=body.email, address=call.address, now=call.now)
    user = service.check_password(email=body.email, password=body.password)
    member = service.member_signing_in(user, body.institution_id)
    issued = service.issue(
        call.transaction, member, name=body.device_name, granted=["*"], kind="session", now=call.now
    )
    actor = Actor(member.institution_id, member.id, issued.item.token_id, member.role)
    audit.note(
        call.transaction,
        "session.started",
        actor,
        call.request_id,
        replaced_token_ids=issued.replaced or None,
    )
    return _signed_in(issued, user, member)


@endpoint(api, "POST", "/api/auth/sign-out", abilities=[], status=204)
def sign_out(call: Call) -> None:
    """End the token in use."""
    service.revoke(call.transaction, call.caller, call.caller.token_id)
    audit.note(call.transaction, "session.ended", call.caller, call.request_id)


@endpoint(api, "GET", "/api/auth/me", abilities=[], returns=schemas.User)
def me(call: Call) -> schemas.User:
    """The authenticated user's profile."""
    caller, user = call.caller, service.user_of(call.caller)
    return schemas.User(
        id=user.id,
        email=user.email,
        name=user.name,
        role=caller.role,
        institution_id=caller.institution_id,
        member_id=caller.member_id,
    )


@endpoint(api, "GET", "/api/integrations/tokens", abilities=["tokens:read"], query=PageQuery,
          returns=Page[schemas.Token])  # fmt: skip
def list_tokens(call: Call, query: PageQuery) -> Page[schemas.Token]:
    """List the caller's API tokens and sessions, newest first. No token is ever shown again."""
    found = service.tokens_of(call.caller, call.now)
    rows = [(item.token_id, item) for item in found]
    return call.listing(query).page(of_list(rows, descending=True), len(rows)).showing(_token)


@endpoint(api, "POST", "/api/integrations/tokens", abilities=["tokens:write"], body=schemas.TokenCreate,
          returns=schemas.TokenCreated, status=201, idempotent=True, sealed="token")  # fmt: skip
def create_token(call: Call, body: schemas.TokenCreate) -> schemas.TokenCreated:
    """Create a scoped API token with named abilities. It is shown once."""
    issued = service.create_token(
        call.transaction,
        call.caller,
        name=body.name,
        granted=list(body.abilities),
        expires_at=body.expires_at,
        now=call.now,
    )
    created = _token(issued.item)
    audit.note(
        call.transaction,
        "token.created",
        call.caller,
        call.request_id,
        subject_token_id=created.id,
        abilities=created.abilities,
        expires_at=created.expires_at,
        replaced_token_ids=issued.replaced or None,
    )
    return schemas.TokenCreated(token=issued.token, **created.model_dump())


@endpoint(api, "DELETE", "/api/integrations/tokens/{token}", abilities=["tokens:write"], status=204)
def revoke_token(call: Call, token: TokenId) -> None:
    """Revoke an API token."""
    service.revoke(call.transaction, call.caller, token)
    audit.note(call.transaction, "token.revoked", call.caller, call.request_id, subject_token_id=token)


def _signed_in(issued: service.Issued, user: service.User, member: Member) -> schemas.SignedIn:
    return schemas.SignedIn(
        token=issued.token,
        expires_at=rfc3339(service.moment(issued.item.expires_at)),
        user=_user(user, member),
    )


def _user(user: service.User, member: Member) -> schemas.User:
    return schemas.User(
        id=user.id,
        email=user.email,
        name=user.name,
        role=member.role,
        institution_id=member.institution_id,
        member_id=member.id,
    )


def _token(item: TokenItem) -> schemas.Token:
    used = item.last_used_at
    return schemas.Token(
        id=item.token_id,
        name=item.name,
        kind=item.kind,
        abilities=list(item.abilities),
        created_at=rfc3339(service.moment(item.created_at)),
        expires_at=rfc3339(service.moment(item.expires_at)),
        last_used_at=rfc3339(service.moment(used)) if used else None,
    )
