"""How an endpoint hands out a file: by a link of the moment, as a redirect or as JSON."""

from datetime import datetime

from pydantic import Field

from chalicelib.core.clock import rfc3339
from chalicelib.core.http import Raw
from chalicelib.core.paging import Query
from chalicelib.core.types import Schema, Time


class DownloadQuery(Query):
    redirect: bool = Field(
        True, description="With `false` the link is told as JSON (200) instead of redirected to (302)."
    )


class DownloadLink(Schema):
    """Where the file is for the next five minutes. No token is needed there: keep the link to yourself."""

    url: str
    expires_at: Time


def answer(query: DownloadQuery, url: str, until: datetime) -> DownloadLink | Raw:
    if query.redirect:
        return Raw(status=302, headers={"Location": url})
    return DownloadLink(url=url, expires_at=rfc3339(until))
