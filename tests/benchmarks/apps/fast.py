"""`GET /api/integrations/tokens` once more, on FastAPI and Mangum.

Rules and storage are the product's own, so that a difference is one of the frameworks.
"""

import time
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Header, HTTPException, Query, Request, Response
from mangum import Mangum

from chalicelib.auth import schemas, service
from chalicelib.auth.routes import _token
from chalicelib.core import clock
from chalicelib.core.logs import log
from chalicelib.core.paging import Listing, Page, PageQuery, of_list
from chalicelib.core.settings import settings
from chalicelib.core.tokens import Principal, Refused, admit

app = FastAPI()


async def caller(response: Response, authorization: Annotated[str, Header()]) -> Principal:
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer":
        raise HTTPException(401)
    try:
        principal, allowance = admit(token, clock.now(), "192.0.2.1")
    except Refused as refused:
        raise HTTPException(refused.error.status) from refused
    if "tokens:read" not in principal.abilities:
        raise HTTPException(403)
    response.headers["X-RateLimit-Limit"] = str(allowance.limit)
    response.headers["X-RateLimit-Remaining"] = str(allowance.remaining)
    response.headers["X-RateLimit-Reset"] = str(allowance.reset)
    return principal


@app.get("/api/integrations/tokens")
async def list_tokens(
    request: Request,
    response: Response,
    query: Annotated[PageQuery, Query()],
    principal: Annotated[Principal, Depends(caller)],
) -> Page[schemas.Token]:
    started = time.perf_counter()
    rows = [(item.token_id, item) for item in service.tokens_of(principal, clock.now())]
    listing: Listing[Any] = Listing(
        f"{settings().public_url}{request.url.path}", principal.institution_id, query
    )
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Cache-Control"] = "no-store"
    page = listing.page(of_list(rows, descending=True), len(rows)).showing(_token)
    log.info(
        "http.request",
        method=request.method,
        path=request.url.path,
        status=200,
        duration_ms=round((time.perf_counter() - started) * 1000, 1),
        token_id=principal.token_id,
        institution_id=principal.institution_id,
    )
    return page


handler = Mangum(app, lifespan="off")
