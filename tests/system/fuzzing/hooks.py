"""What schemathesis cannot know of this API. It loads this file before it begins."""

import json
import os
import uuid
from collections.abc import Iterator
from typing import Any

import schemathesis
from schemathesis import Case, HookContext

# Some sign-ins succeed; more of one account would be throttled.
SIGN_INS: Iterator[dict[str, Any]] = iter([{**json.loads(os.environ["LEARNER"]), "institution_id": None}] * 5)
TOKENS_IN_USE = os.environ["TOKENS_IN_USE"].split()


@schemathesis.hook
def before_call(_: HookContext, case: Case[Any], kwargs: dict[str, object]) -> None:
    if case.meta and case.meta.generation.mode.is_positive:
        if "Idempotency-Key" in case.headers:  # one that repeats is a replay or a refusal
            case.headers["Idempotency-Key"] = str(uuid.uuid4())
        case.query.pop("cursor", None)  # nobody can make one up
        if case.operation.path == "/api/auth/sign-in" and isinstance(case.body, dict):
            case.body.update(next(SIGN_INS, {"email": f"{uuid.uuid4()}@example.org"}))
    if case.method == "DELETE" and case.path_parameters.get("token") in TOKENS_IN_USE:
        case.path_parameters["token"] = "tok_01M89851RJ0DD3YRST4CHN5KN0"
