"""Two institutions of the fuzzing's own, with an owner each: what it leaves behind is in nobody's way.

Runs in a process of its own, with the environment of the local cloud. Prints the owners' accounts.
"""

import json

from chalicelib.auth import service as auth
from chalicelib.core import clock
from chalicelib.core.abilities import Role
from chalicelib.core.store import Transaction
from chalicelib.institutions import service as institutions
from chalicelib.institutions.models import InstitutionItem

PASSWORD = "correct horse battery staple"
PER_MINUTE = 1_000_000
"""As an agreement would have it: with less, most requests would meet 429 and nothing else."""


def make(name: str) -> dict[str, str]:
    now, transaction = clock.now(), Transaction()
    institution_id = institutions.create(transaction, name, "pro", now)
    email = f"owner@{name}.example"
    user, _ = auth.sign_up(transaction, email=email, password=PASSWORD, name=name, now=now)
    institutions.add_member(transaction, institution_id, user.id, Role.OWNER, PER_MINUTE, now)
    transaction.commit()
    InstitutionItem(institution_id).update([InstitutionItem.per_minute.set(PER_MINUTE)])
    return {"name": name, "email": email, "password": PASSWORD, "institution_id": institution_id}


if __name__ == "__main__":
    print(json.dumps([make(name) for name in ("alpha", "beta")]))  # noqa: T201 (its result)
