"""What an integrator reads first."""

from chalicelib.core.openapi.refusals import REFUSALS


def introduction(base_url: str) -> str:
    """The document's description, in Markdown."""
    statuses = "\n".join(f"| {r.status} | [{r.title}]({base_url}/docs/errors#{r.kind}) |" for r in REFUSALS)
    return f"""\
Everything is JSON in UTF-8. Times are RFC 3339 in UTC, durations are in the unit that a name ends with, \
money is in the currency's smallest unit. Unknown fields and parameters are refused, so that a typing \
error does not pass in silence.

## Authentication

Send an API token as `Authorization: Bearer tlk_…`. Tokens are made in the dashboard under Settings, \
Integrations, API Tokens, or by `POST /api/integrations/tokens`, and shown once. Each holds abilities \
such as `progress:read`, never more than its owner's role allows; `*` stands for all of these. What \
belongs to another institution is answered with 404, as if it did not exist.

## Pagination

Lists answer `data`, `links` and `meta`. `page` counts from 1; `per_page` is 15 unless you say otherwise, \
and at most 100. Follow `links.next` as it stands until it is null: it carries a cursor, so that late \
pages cost no more than early ones. `total` and `last_page` are null where nothing counts them.

## Errors

Every refusal is an `application/problem+json` document (RFC 9457) with `type`, `title`, `status`, \
`detail`, `instance` and `request_id`; `message` repeats the detail, and 422 adds `errors` by field.

| status | meaning |
| --- | --- |
{statuses}

## Idempotency

Requests that create or charge take an `Idempotency-Key`. Within 24 hours the same key with the same \
body gives the first answer again, marked `Idempotent-Replayed: true`, and nothing happens twice; with \
another body it is refused with 422. After a lost answer, repeat the request with its key and token.

## Rate limits

Requests are counted per token and minute: 100 on the Free plan, 1,000 on Pro, by agreement on \
Enterprise. `X-RateLimit-Limit`, `X-RateLimit-Remaining` and `X-RateLimit-Reset` tell where you stand. \
Over the limit the answer is 429, and a client that waits `Retry-After` seconds gets through.

## Webhook signatures

Each delivery carries `X-Signature-256`: the lower-case hex HMAC-SHA256 of the exact body bytes, keyed with \
the webhook's secret as it was shown (`whsec_` included). Compute it over the body as received, before any \
parsing, and compare in constant time. The Standard Webhooks headers stand beside it. Answer with any 2xx \
within 10 seconds; else the delivery is sent again after about 1, 5 and 25 minutes.
"""
