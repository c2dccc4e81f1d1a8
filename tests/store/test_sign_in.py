"""Signing in: throttled per account and address, the same answer in content and time, no weak passwords."""

import secrets
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import pytest

from tests.store.conftest import Answer, System, refused

PASSWORD = "correct horse"


@pytest.fixture
def email(system: System, school: str) -> str:
    """A new account's."""
    address = f"{secrets.token_hex(6)}@example.org"
    assert sign_up(system, email=address).status == 201
    return address


def sign_up(system: System, **account: str) -> Answer:
    wanted = {"email": f"{secrets.token_hex(6)}@example.org", "password": PASSWORD, "name": "Ana Ruiz"}
    return system.call("POST", "/api/auth/sign-up", {**wanted, **account})


def sign_in(system: System, email: str, password: str = PASSWORD, address: str = "192.0.2.1") -> Answer:
    return system.call("POST", "/api/auth/sign-in", {"email": email, "password": password}, address=address)


def an_address() -> str:
    return f"2001:db8:{secrets.token_hex(2)}:{secrets.token_hex(2)}::1"


@pytest.mark.parametrize("known", [True, False])
def test_an_account_is_throttled_at_one_address_whether_it_exists_or_not(
    system: System, email: str, configured: Callable[..., None], known: bool
) -> None:
    configured(SIGN_IN_LIMIT=3)
    tried, here = email if known else f"{secrets.token_hex(6)}@example.org", an_address()
    answers = [sign_in(system, tried, "wrong", here) for _ in range(4)]
    assert [one.status for one in answers] == [401, 401, 401, 429]
    stopped = answers[-1]
    assert stopped.body["detail"] == "Too many requests; try again later."
    assert sign_in(system, email, address=an_address()).status == 200, "the owner, elsewhere"
    system.later(int(stopped.headers["retry-after"]) - 1)
    assert sign_in(system, tried, "wrong", here).status == 429
    system.later(1)
    assert sign_in(system, tried, "wrong", here).status == 401


def test_an_account_is_throttled_over_all_addresses(
    system: System, email: str, configured: Callable[..., None]
) -> None:
    configured(SIGN_IN_ACCOUNT_LIMIT=4)
    spellings = [email, email.upper(), email.title(), email]
    assert [sign_in(system, one, "wrong", an_address()).status for one in spellings] == [401] * 4
    assert sign_in(system, email, address=an_address()).status == 429


def test_an_address_is_throttled_over_all_accounts(system: System, configured: Callable[..., None]) -> None:
    configured(SIGN_IN_ADDRESS_LIMIT=4)
    here = an_address()
    addresses = [here, here.replace("::1", "::2"), here, here.replace("::1", ":ffff:1:2:3"), here]
    tries = [sign_in(system, f"{secrets.token_hex(6)}@example.org", "x", one) for one in addresses]
    assert [one.status for one in tries] == [401] * 4 + [429], "a /64 is one address"


def test_a_sign_in_that_ran_twice_is_counted_once(system: System, email: str) -> None:
    stale = [
        refused("TransactionCanceledException", CancellationReasons=[{"Code": "ConditionalCheckFailed"}] * 2)
    ]

    def once(name: str, _: Any) -> Any:
        return stale.pop() if name == "TransactWriteItems" and stale else None

    system.calls.clear()
    system.calls.answered = once
    assert sign_in(system, email).status == 200
    assert system.calls.names().count("TransactWriteItems") == 2
    counted = [call for call in system.calls.of("UpdateItem") if "sign-in#" in repr(call["Key"])]
    assert len(counted) == 3, "address, account, and both"


def test_either_path_makes_the_same_calls_and_one_verification(
    system: System, email: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from argon2 import PasswordHasher

    verify, verified = PasswordHasher.verify, []

    def counting(self: PasswordHasher, *given: str) -> Any:
        verified.append(given)
        return verify(self, *given)

    monkeypatch.setattr(PasswordHasher, "verify", counting)
    made, answers = [], []
    for tried in (email, "nobody@example.org"):
        system.calls.clear()
        answers.append(sign_in(system, tried, "wrong"))
        made.append([(name, parameters["TableName"]) for name, parameters in system.calls.made])
    assert made[0] == made[1]
    assert len(verified) == 2
    known, unknown = ({**one.headers, "x-ratelimit-remaining": ""} for one in answers)
    assert known == unknown
    assert answers[0].body == answers[1].body
    assert answers[0].status == answers[1].status == 401


def timed(system: System, email: str) -> float:
    began = time.perf_counter()
    assert sign_in(system, email, "wrong password").status == 401
    return time.perf_counter() - began


def apart(system: System, email: str, tries: int) -> float:
    """By which part of it the median time of the one path differs from the other's, tries interleaved."""
    known, unknown = [], []
    for _ in range(tries):
        known.append(timed(system, email))
        unknown.append(timed(system, f"{secrets.token_hex(6)}@example.org"))
    return abs(median(known) / median(unknown) - 1)


def test_a_wrong_password_takes_about_as_long_as_an_unknown_address(system: System, email: str) -> None:
    assert apart(system, email, 8) < 0.4, "without the verification it would be 0.9"


@pytest.mark.proof
def test_a_wrong_password_takes_as_long_as_an_unknown_address(system: System, email: str) -> None:
    assert apart(system, email, 200) < 0.03


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("password1", "common"),
        ("Iloveyou", "common"),
        ("Qwerty123", "common"),
        ("aaaaaaaabbbb", "repeats"),
        ("12121212", "common"),
        ("ana.ruiz@example.org", "made of"),
        ("Ana.Ruiz1984", "made of"),
        ("ana ruiz", "made of"),
        ("!!talktiko!!", "made of"),
        ("2026-example", "made of"),
    ],
)
def test_a_password_that_anyone_would_guess_is_refused(system: System, password: str, why: str) -> None:
    refusal = sign_up(system, email="ana.ruiz@example.org", password=password)
    assert refusal.status == 422
    assert why in refusal.body["errors"]["password"][0]
    assert password not in repr(refusal.body)


@pytest.mark.parametrize(
    "password",
    [
        "x7!k" * 50,
        "83749562",
        "🐎🔋📎✅ пароль",
    ],
)
def test_any_other_composition_is_taken_to_its_last_character(
    system: System, school: str, password: str
) -> None:
    email = f"{secrets.token_hex(6)}@example.org"
    assert sign_up(system, email=email, password=password).status == 201
    assert sign_in(system, email, password).status == 200
    assert sign_in(system, email, password[:-1]).status == 401


def test_the_list_of_common_passwords_holds_what_the_policy_would_take() -> None:
    from chalicelib.auth import passwords

    common = passwords._common()
    assert len(common) == 3000
    assert min(map(len, common)) == passwords.LEAST


def test_an_address_has_one_account_whatever_its_unicode_form(system: System, school: str) -> None:
    local = f"jos\u00e9.{secrets.token_hex(4)}"
    composed, decomposed = f"{local}@example.org", f"{local}@example.org".replace("\u00e9", "e\u0301")
    assert sign_up(system, email=decomposed).body["data"]["email"] == composed
    assert sign_up(system, email=composed).status == 422
    assert sign_in(system, composed).status == sign_in(system, decomposed).status == 200


@pytest.mark.parametrize(
    "hidden", ["\u200b", "\u200d", "\ufeff", "\u202e", "\u00ad", "\x7f", "\x85", "\ue000"]
)
def test_what_cannot_be_seen_has_no_place_in_an_address(system: System, hidden: str) -> None:
    refusal = sign_up(system, email=f"ana{hidden}@example.org")
    assert (refusal.status, list(refusal.body["errors"])) == (422, ["email"])


@pytest.mark.parametrize("control", ["\n", "\r\n", "\x1b[31m", "\x7f", "\x85", "\u2028"])
def test_names_are_one_line(system: System, email: str, control: str) -> None:
    assert list(sign_up(system, name=f"Ana{control}Ruiz").body["errors"]) == ["name"]
    token = sign_in(system, email).body["data"]["token"]
    body = {"name": f"lms{control}", "abilities": ["progress:read"]}
    made = system.call("POST", "/api/integrations/tokens", body, token=token)
    assert (made.status, list(made.body["errors"])) == (422, ["name"])
