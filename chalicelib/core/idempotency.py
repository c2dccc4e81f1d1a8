"""Idempotency-Key: the record of an answer stands in the transaction of its effect.

    PK IDEMPOTENCY#<sha256 of institution, caller, method, path, key>   body hash, answer, 24 h

So there is no lease and no half effect: of callers that race, one commits, the others find its
answer. Only answers of effects are kept; a refusal has changed nothing and is decided anew.
draft-ietf-httpapi-idempotency-key-header-06.
"""

import hashlib
import json
import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic_core import to_json
from pynamodb.attributes import BinaryAttribute, NumberAttribute, UnicodeAttribute

from chalicelib.core import sealing
from chalicelib.core.clock import epoch
from chalicelib.core.errors import Invalid, Malformed
from chalicelib.core.store import RawItem, Table, Transaction, table

KEPT = timedelta(hours=24)
_KEY = re.compile(r"[\x21-\x7e]{1,255}")


class AnswerItem(Table):
    """The stored answer to one key."""

    class Meta:
        table_name = table("requests")

    pk = UnicodeAttribute(hash_key=True)
    body_hash = UnicodeAttribute()
    status = NumberAttribute()
    answer = BinaryAttribute(legacy_encoding=False)
    secret = UnicodeAttribute(null=True)
    sealed = BinaryAttribute(legacy_encoding=False, null=True)
    expires_at = NumberAttribute()


class Replay(Exception):
    """The effect has happened before; this was the answer."""

    def __init__(self, status: int, answer: bytes) -> None:
        super().__init__(status)
        self.status = status
        self.answer = answer


@dataclass(frozen=True)
class IdempotentRequest:
    """One request that carries a key: its scope is institution, caller, method and path.

    The caller is a member, or a token where the answer shows a secret: nobody may be told again what
    was told to another, and no token what was given to a wider one.
    """

    institution_id: str
    record_id: str
    body_hash: str

    @classmethod
    def of(
        cls, header: str, *, institution_id: str, caller: str, method: str, path: str, body: bytes
    ) -> "IdempotentRequest":
        """Raises `Malformed` for a key that is empty, over 255 characters or not printable ASCII."""
        key = header.strip()
        if not _KEY.fullmatch(key):
            raise Malformed("Idempotency-Key: 1 to 255 printable ASCII characters without spaces.")
        scope = "\n".join((institution_id, caller, method, path, key))
        record = hashlib.sha256(scope.encode()).hexdigest()
        return cls(institution_id, f"IDEMPOTENCY#{record}", hashlib.sha256(body).hexdigest())

    def remember(
        self, transaction: Transaction, *, status: int, answer: bytes, secret: str | None, now: datetime
    ) -> None:
        """Add the record to the effect's transaction; what the field `secret` shows is stored sealed.

        The commit then raises `Replay` if the key was used before, `Invalid` if with another body.
        """
        item = AnswerItem(
            self.record_id,
            body_hash=self.body_hash,
            status=status,
            answer=answer,
            expires_at=epoch(now + KEPT),
        )
        if secret is not None:
            shown = json.loads(answer)
            item.secret, item.sealed = secret, self._sealed(shown["data"][secret])
            shown["data"][secret] = None
            item.answer = to_json(shown)
        unused = AnswerItem.pk.does_not_exist() | (AnswerItem.expires_at < epoch(now))
        transaction.put(item, unused, self._earlier, foremost=True)

    def earlier(self, now: datetime) -> Exception | None:
        """What an earlier use of the key left, if any: `Replay` or `Invalid`."""
        try:
            item = AnswerItem.get(self.record_id, consistent_read=True)
        except AnswerItem.DoesNotExist:
            return None
        return None if item.expires_at < epoch(now) else self._judged(item)

    def _earlier(self, raw: RawItem) -> Exception:
        item = AnswerItem()
        item.deserialize({name: dict(value) for name, value in raw.items()})
        return self._judged(item)

    def _judged(self, item: AnswerItem) -> Exception:
        if item.body_hash != self.body_hash:
            return Invalid({"Idempotency-Key": ["was used before with another body"]})
        answer = item.answer
        if item.secret is not None:
            shown = json.loads(answer)
            shown["data"][item.secret] = self._opened(item.sealed)
            answer = to_json(shown)
        return Replay(int(item.status), answer)

    def _sealed(self, secret: str) -> bytes:
        return sealing.seal(
            secret, institution_id=self.institution_id, kind="answer", record_id=self.record_id
        )

    def _opened(self, sealed: bytes) -> str:
        return sealing.unseal(
            sealed, institution_id=self.institution_id, kind="answer", record_id=self.record_id
        )
