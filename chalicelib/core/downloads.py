"""How an endpoint hands out a file: by a link of the moment, as a redirect or as JSON."""

from datetime import datetime

from pydantic import Field

from chalicelib.core.clock import rfc3339
from chalicelib.core.http import Raw
from chalicelib.core.paging import Query
from chalicelib.core.types import Schema, Time


class DownloadQuery(Query):
    """How to be told where the file is."""

    redirect: bool = Field(
        True, description="With `false` the link is told as JSON (200) instead of redirected to (302)."
    )


class DownloadLink(Schema):
    """Where the file is for the next five minutes. No token is needed there: keep the link to yourself."""

    url: str = Field(
        max_length=4000,
        examples=["https://exports.example.com/exp_01M89546FF7GTNRXWX51K5Y1E7.csv?X-Amz-Expires=300"],
    )
    expires_at: Time = Field(examples=["2026-11-25T12:05:00Z"])


def answer(query: DownloadQuery, url: str, until: datetime) -> DownloadLink | Raw:
    if query.redirect:
        return Raw(status=302, headers={"Location": url})
    return DownloadLink(url=url, expires_at=rfc3339(until))
