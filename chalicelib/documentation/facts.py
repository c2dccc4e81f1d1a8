"""What the guides say that the code knows: a guide's `{{name}}` stands for one of these.

So a limit that changes in the code changes in the guides. Values are Markdown.
"""

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, get_args

from chalicelib.auth import service as auth
from chalicelib.core import audit, events, idempotency, outbound, paging, storage
from chalicelib.core.abilities import ABILITIES, EVERYTHING, Role, held
from chalicelib.core.http import ENDPOINTS
from chalicelib.core.openapi import document
from chalicelib.core.openapi.refusals import REFUSALS, Refusal
from chalicelib.core.openapi.telling import told
from chalicelib.core.settings import settings
from chalicelib.documentation.samples import SAMPLES, TOLERANCE_SECONDS, Sample
from chalicelib.exports import kinds
from chalicelib.exports import service as exports
from chalicelib.institutions import service as institutions
from chalicelib.webhooks import delivering, delivery_log, flow, recovery
from chalicelib.webhooks import models as webhooks


@lru_cache(maxsize=4)
def facts(base_url: str) -> Mapping[str, str]:
    """All of them, for an API that is reached at `base_url`. Complete where `app` is imported."""
    reference = document(base_url)
    per_page = next(
        parameter["schema"]
        for parameter in reference["paths"]["/api/courses"]["get"]["parameters"]
        if parameter["name"] == "per_page"
    )
    key = reference["components"]["parameters"]["IdempotencyKey"]["schema"]
    schedule = settings().webhook_retry_schedule
    return {
        "base_url": base_url,
        # authentication
        "sign_in_limit": f"{settings().sign_in_limit:,}",
        "sign_in_minutes": f"{auth.THROTTLE_SECONDS // 60}",
        "tokens_at_most": f"{institutions.TOKENS_AT_MOST}",
        "token_days": f"{auth.TOKEN_LIFE.days}",
        "abilities": _abilities(),
        # pagination
        "per_page": f"{per_page['default']}",
        "most_per_page": f"{per_page['maximum']}",
        "deepest": f"{paging.DEEPEST:,}",
        # errors
        "problem": _json(next(refusal.example for refusal in REFUSALS if refusal.status == 422)),
        "refusals": "\n".join(map(_refusal, REFUSALS)),
        # idempotency
        "key_hours": f"{idempotency.KEPT.total_seconds() / 3600:.0f}",
        "longest_key": f"{key['maxLength']}",
        "idempotent": "\n".join(
            f"- `{one.method} {one.path}`: {told(one.view)[0]}" for one in ENDPOINTS if one.idempotent
        ),
        # rate limits
        "free_limit": f"{institutions.PLAN_LIMITS['free']:,}",
        "pro_limit": f"{institutions.PLAN_LIMITS['pro']:,}",
        "public_limit": f"{settings().public_rate_limit:,}",
        # events and webhooks
        "event_types": _table(
            ["event", "tells"], [(f"`{name}`", told(data)[0]) for name, data in events.catalogue().items()]
        ),
        "webhooks_at_most": f"{webhooks.WEBHOOKS_AT_MOST}",
        "pings": f"{delivering.PINGS_PER_MINUTE}",
        "deadline": f"{outbound.DEADLINE_SECONDS:.0f}",
        "kept_kib": f"{outbound.KEPT_TEXT // 1024}",
        "delivery_days": f"{webhooks.KEPT.days}",
        "attempts": f"{1 + len(schedule)}",
        "retries": _listed(schedule),
        "jitter": f"{delivering.JITTER:.0%}".removesuffix("%"),
        "longest_wait": f"{delivering.LONGEST_RETRY_AFTER:,}",
        "at_once": f"{flow.AT_ONCE}",
        "in_a_row": f"{flow.IN_A_ROW}",
        "longest_open": f"{flow.LONGEST_OPEN.total_seconds() / 60:.0f}",
        "late_hours": f"{flow.LATE_AFTER.total_seconds() / 3600:.0f}",
        "failing_days": f"{flow.FAILING_FOR.days}",
        "recover_days": f"{recovery.REACHES_BACK.days}",
        "recover_most": f"{recovery.AT_MOST:,}",
        "delivery_headers": _delivery_headers(reference),
        "tolerance_minutes": f"{TOLERANCE_SECONDS // 60}",
        "languages": ", ".join(f"[{sample.language}](#{sample.anchor})" for sample in SAMPLES),
        "samples": "\n".join(map(_sample, SAMPLES)),
        # exports
        "link_minutes": f"{storage.LINK_LIVES.total_seconds() / 60:.0f}",
        "file_days": f"{storage.FILE_LIVES.days}",
        "export_limits": "; ".join(
            f"{plan}: {unfinished} unfinished, {rows:,} rows"
            for plan, (unfinished, rows) in exports.LIMITS.items()
        ),
        "default_span": f"{exports.DEFAULT_SPAN.days}",
        "longest_span": f"{exports.LONGEST_SPAN.days}",
        "export_types": "\n".join(
            _export_type(name, list(kind.columns)) for name, kind in kinds.KINDS.items()
        ),
        # auditing
        "attempt_fields": _fields(delivery_log.ATTEMPT_FIELDS),
        "closed_fields": _fields(delivery_log.CLOSED_FIELDS),
        "audit_fields": _fields(audit.FIELDS),
        "audit_actions": ", ".join(f"`{action}`" for action in get_args(audit.Action)),
    }


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _fields(told_of: Mapping[str, str]) -> str:
    return _table(["field", "tells"], [(f"`{name}`", text) for name, text in told_of.items()])


def _abilities() -> str:
    most = {role: held(role, [EVERYTHING]) for role in reversed(Role)}
    rows = [
        (f"`{ability}`", *("✓" if ability in held_at_most else "–" for held_at_most in most.values()))
        for ability in sorted(ABILITIES)
    ]
    return _table(["ability", *most], rows)


def _refusal(refusal: Refusal) -> str:
    headers = " and ".join(f"`{header}`" for header in refusal.headers)
    return f"""\
## {refusal.title} <small>{refusal.status}</small>

{refusal.meaning}

**What to do:** {refusal.advice}

{f"**Header:** {headers}" if headers else ""}

```json
{_json(refusal.example)}
```
"""


def _listed(seconds: Sequence[int]) -> str:
    """`1, 5 and 25 minutes`."""
    unit, name = (60, "minutes") if all(one % 60 == 0 for one in seconds) else (1, "seconds")
    *most, last = [f"{one // unit:,}" for one in seconds]
    return f"{', '.join(most)} and {last} {name}" if most else f"{last} {name}"


def _delivery_headers(reference: Mapping[str, Any]) -> str:
    told_headers = reference["webhooks"]["lesson.completed"]["post"]["parameters"]
    return "\n".join(f"| `{header['name']}` | {header['description']} |" for header in told_headers)


def _sample(sample: Sample) -> str:
    return f"### {sample.language}\n\n```\n{sample.code()}```\n"


def _export_type(name: str, columns: Sequence[str]) -> str:
    return f"### {name}\n\n{', '.join(f'`{column}`' for column in columns)}\n"
