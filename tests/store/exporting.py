"""An institution of its own with rows to export, and the ways to ask for its files."""

import csv
import hashlib
import io
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from chalicelib.auth import service as auth
from chalicelib.core.abilities import Role
from chalicelib.core.store import Transaction
from chalicelib.core.workers import MessagesFailed
from chalicelib.exports.worker import make_export, sweep_exports
from chalicelib.institutions import service as institutions
from chalicelib.learning import service as learning
from tests.store.conftest import Answer, Died, System

EXPORTS = "/api/integrations/exports"
BUCKET = "talktiko-local-exports"
DAY = datetime(2026, 5, 1, 8, tzinfo=UTC)
SPAN = {"from": "2026-05-01T00:00:00Z", "to": "2026-05-02T00:00:00Z"}
LEASE = 331

Item = dict[str, Any]


def raw(**values: str | int | float) -> Item:
    return {name: {"S" if isinstance(value, str) else "N": str(value)} for name, value in values.items()}


@dataclass
class School:
    """An institution, its owner's token, and what stands in its tables."""

    system: System
    institution_id: str
    token: str

    def ask(self, **body: Any) -> str:
        made = self.system.call("POST", EXPORTS, body, token=self.token)
        assert made.status == 201, made.body
        return str(made.body["data"]["id"])

    def shown(self, export_id: str) -> dict[str, Any]:
        shown: dict[str, Any] = self.get(f"/{export_id}").body["data"]
        return shown

    def get(self, path: str) -> Any:
        return self.system.call("GET", EXPORTS + path, token=self.token)

    def work(self) -> None:
        """Hand out what waits; a message that fails comes again."""
        for message in self.system.messages("exports"):
            try:
                self.system.work(make_export, [message])
            except MessagesFailed:
                self.system.work(make_export, [message])

    def until_done(self, export_id: str) -> dict[str, Any]:
        """However many runs that takes, some of them after a death."""
        for _ in range(20):
            self.work()
            job = self.shown(export_id)
            if job["status"] not in ("queued", "running"):
                return job
            self.system.later(LEASE)
            self.system.tick(sweep_exports)
        raise AssertionError(f"it does not end: {job}")

    def file(self, job: dict[str, Any]) -> bytes:
        suffix = ".csv.gz" if job["format"]["gzip"] else ".csv"
        key = f"{self.institution_id}/{job['id']}{suffix}"
        body: bytes = self.system.cloud.client("s3").get_object(Bucket=BUCKET, Key=key)["Body"].read()
        return body

    def keys(self) -> set[str]:
        found = self.system.cloud.client("s3").list_objects_v2(Bucket=BUCKET, Prefix=self.institution_id)
        return {one["Key"] for one in found.get("Contents", [])}

    def uploads(self) -> list[str]:
        """Uploads that S3 holds parts of."""
        found = self.system.cloud.client("s3").list_multipart_uploads(Bucket=BUCKET)
        return [one["Key"] for one in found.get("Uploads", []) if one["Key"].startswith(self.institution_id)]

    def write(self, items: list[Item], *, delete: bool = False) -> None:
        """Rows of the learning table, as the API would have written them."""
        dynamodb = self.system.cloud.client("dynamodb")
        for start in range(0, len(items), 25):
            requests = [
                {"DeleteRequest": {"Key": {"pk": one["pk"], "sk": one["sk"]}}}
                if delete
                else {"PutRequest": {"Item": one}}
                for one in items[start : start + 25]
            ]
            dynamodb.batch_write_item(RequestItems={"talktiko-local-learning": requests})

    def attempts(self, count: int) -> list[Item]:
        """One a second; every third in the same millisecond as the one before."""
        return [self._attempt(number) for number in range(count)]

    def _attempt(self, number: int) -> Item:
        at = DAY + timedelta(seconds=number - (number % 3 == 2))
        recorded_at = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        attempt_id = f"att_{number:026}"
        return raw(
            pk=f"mem_{number % 40:026}",
            sk=f"ATTEMPT#{attempt_id}",
            institution_key=learning.attempts_key(self.institution_id, DAY.date(), number % learning.SHARDS),
            institution_sort=f"{recorded_at}#{attempt_id}",
            course_id=f"crs_{number % 2:026}",
            lesson_id="lsn_01KAXG7Y0000000000000000A1",
            training_id="trn_01KAXG7Y0000000000000000A1",
            item_id=f"itm_{hashlib.sha256(attempt_id.encode()).hexdigest()}",
            item_version=1,
            item_type="cloze",
            skill="grammar",
            cefr_level="A1",
            result="correct",
            score=1,
            xp=10,
            duration_ms=4200,
            occurred_at="2026-05-01T22:30:00Z",
            local_date="2026-05-02",
            recorded_at=recorded_at,
        )

    def completions(self, count: int) -> list[Item]:
        return [
            raw(
                pk=f"mem_{number:026}",
                sk="COMPLETION#crs_01KAXG7Y0000000000000000A1",
                institution_key=learning.completions_key(
                    self.institution_id, DAY.date(), number % learning.SHARDS
                ),
                institution_sort=f"2026-05-01T08:00:{number % 60:02}.000Z#mem_{number:026}",
                course_id="crs_01KAXG7Y0000000000000000A1",
                completed_at=f"2026-05-01T08:00:{number % 60:02}.000Z",
            )
            for number in range(count)
        ]

    def progress(self, numbers: range) -> list[Item]:
        return [
            raw(
                pk=f"mem_{number:026}",
                sk="COURSE#crs_01KAXG7Y0000000000000000A1",
                institution_key=learning.courses_key(self.institution_id, number % learning.SHARDS),
                institution_sort=f"mem_{number:026}#crs_01KAXG7Y0000000000000000A1",
                items_passed=3,
                items_total=10,
                lessons_completed=0,
                lessons_total=4,
                xp=30,
                attempts=5,
                started_at="2026-05-01T22:30:00Z",
                last_activity_at="2026-05-03T22:30:00.120Z",
            )
            for number in numbers
        ]


def new_school(system: System) -> School:
    """A new institution on the plan pro, and its owner signed in."""
    transaction = Transaction()
    institution_id = institutions.create(transaction, "Export AG", "pro", system.now)
    transaction.commit()
    owner = new_member(system, institution_id, Role.OWNER)
    return School(system, institution_id, owner.sign_in().body["data"]["token"])


@dataclass
class Person:
    """A member with an account of its own."""

    system: System
    institution_id: str
    user_id: str
    id: str
    email: str
    name: str

    def sign_in(self, institution_id: str | None = None) -> Answer:
        body = {"email": self.email, "password": "correct horse"}
        return self.system.call(
            "POST", "/api/auth/sign-in", {**body, "institution_id": institution_id or self.institution_id}
        )


def new_member(system: System, institution_id: str, role: Role) -> Person:
    """As one who has signed up is: a member of the public institution too."""
    email, name, transaction = f"{secrets.token_hex(8)}@example.org", secrets.token_hex(8), Transaction()
    user, _ = auth.sign_up(transaction, email=email, password="correct horse", name=name, now=system.now)
    member = institutions.add_member(transaction, institution_id, user.id, role, 100_000, system.now)
    transaction.commit()
    return Person(system, institution_id, user.id, member.id, email, name)


def rows(file: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(file.decode("utf-8-sig"), newline="")))


def deaths(system: System, of: set[str]) -> Iterator[Callable[[Callable[[], None]], bool]]:
    """For each n, runs something that dies before its n-th call of these; ends when it outlives them all."""
    for number in range(1, 60):
        outlived: list[bool] = []

        def run(step: Callable[[], None], number: int = number, outlived: list[bool] = outlived) -> bool:
            seen = 0

            def dies(name: str, _: Any) -> bool:
                nonlocal seen
                seen += name in of
                return seen == number and name in of

            system.calls.dies_before = dies
            try:
                step()
            except Died:
                outlived.append(False)
            else:
                outlived.append(True)
            finally:
                system.calls.dies_before = None
            return outlived[-1]

        yield run
        if outlived[-1]:
            assert number > 2, "it does nothing to die before"
            return
    raise AssertionError("it never got through")
