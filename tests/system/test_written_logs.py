"""What all the system tests before this one made the functions write: it stands last by its name."""

import re
from collections.abc import Iterator

from tests.conftest import LocalCloud
from tests.system.client import Client

NEVER = {
    "a token": r"tlk_[0-9A-HJKMNP-TV-Z]{26}",
    "a secret of a webhook": r"whsec_",
    "a signed link": r"X-Amz-Signature|X-Amz-Credential",
    "a signature": r"v1a?,[A-Za-z0-9+/]{43}=|sha256=[0-9a-f]{64}",
    "an address of a person": r"[\w.+-]+@[\w-]+\.(org|example|com|test)",
    "a password": r"correct horse|demo-(owner|instructor|learner)|password_hash|argon2",
    "a header of authentication": r"(?i)bearer [A-Za-z0-9]|authorization",
}


def written(local_cloud: LocalCloud) -> Iterator[tuple[str, str]]:
    logs = local_cloud.client("logs")
    for page in logs.get_paginator("describe_log_groups").paginate():
        for group in page["logGroups"]:
            name = group["logGroupName"]
            for found in logs.get_paginator("filter_log_events").paginate(logGroupName=name):
                yield from ((name, event["message"]) for event in found["events"])


def test_no_secret_and_no_person_is_in_any_log(local_cloud: LocalCloud, learner: Client) -> None:
    assert learner.get("/api/auth/me").status == 200
    lines = list(written(local_cloud))
    assert any("http.request" in line for _, line in lines)
    people = {account[name] for account in local_cloud.accounts for name in ("email", "password")}
    for what, pattern in {**NEVER, "an account": "|".join(map(re.escape, people))}.items():
        shown = [(group, line[:300]) for group, line in lines if re.search(pattern, line)]
        assert not shown, (what, shown[:3])
