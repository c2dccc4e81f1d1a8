"""Our signatures against independent ones: fixed vectors, OpenSSL, the Standard Webhooks library.

The samples of the documentation check them too, PHP's as the reference page has it.
"""

import shutil
import subprocess
from base64 import b64encode
from datetime import UTC, datetime
from pathlib import Path

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from chalicelib.webhooks.signing import (
    InvalidSecret,
    body_signature,
    hint_of,
    key_of,
    new_secret,
    signature_headers,
    standard_signature,
)

# case hook-1
SECRET = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
BODY = (
    r'{"id":"evt_1","type":"lesson.completed",'
    r'"data":{"title":"Grüße, ¿qué?","score":1.0,"url":"https:\/\/x","emoji":"🎉"}}'
).encode()
SIGNATURE = "11d1090137b314a3a48d4e14999b822110633959fcb000a9a2b0ed3fe8c8f82f"

OTHER_SECRET = new_secret(b"n" * 32)
NOW = datetime.now(UTC)


def test_hook_1_is_signed_over_the_sent_bytes() -> None:
    assert len(BODY) == 123
    assert body_signature(SECRET, BODY) == SIGNATURE


def test_svix_s_fixed_vector() -> None:
    signature = standard_signature(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
    )
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_headers_of_an_attempt() -> None:
    at = datetime(2026, 1, 2, 3, 4, 5, 999_999, tzinfo=UTC)
    assert signature_headers(BODY, message_id="evt_1", sent_at=at, secrets=[SECRET]) == {
        "webhook-id": "evt_1",
        "webhook-timestamp": "1767323045",
        "webhook-signature": standard_signature(SECRET, "evt_1", 1767323045, BODY),
        "X-Signature-256": SIGNATURE,
    }


@pytest.mark.parametrize("receiver_s", [SECRET, OTHER_SECRET])
def test_in_an_overlap_the_standard_library_accepts_with_either_secret(receiver_s: str) -> None:
    headers = signature_headers(BODY, message_id="evt_1", sent_at=NOW, secrets=[SECRET, OTHER_SECRET])
    Webhook(receiver_s).verify(BODY, headers)
    assert headers["webhook-signature"] == " ".join(
        standard_signature(secret, "evt_1", int(NOW.timestamp()), BODY) for secret in (OTHER_SECRET, SECRET)
    )
    assert headers["X-Signature-256"] == SIGNATURE
    assert headers["X-Signature-256-Next"] == body_signature(OTHER_SECRET, BODY)


def test_the_standard_library_signs_the_same() -> None:
    headers = signature_headers(BODY, message_id="evt_1", sent_at=NOW, secrets=[SECRET])
    assert Webhook(SECRET).sign("evt_1", NOW, BODY.decode()) == headers["webhook-signature"]


@pytest.mark.parametrize("changed", ["body", "id", "secret"])
def test_the_standard_library_refuses_what_was_changed(changed: str) -> None:
    headers = signature_headers(BODY, message_id="evt_1", sent_at=NOW, secrets=[SECRET])
    body = BODY + b" " if changed == "body" else BODY
    if changed == "id":
        headers["webhook-id"] = "evt_2"
    with pytest.raises(WebhookVerificationError):
        Webhook(OTHER_SECRET if changed == "secret" else SECRET).verify(body, headers)


def test_openssl_signs_the_same(tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is missing: install openssl")
    (tmp_path / "body").write_bytes(BODY)
    command = ["openssl", "dgst", "-sha256", "-hmac", SECRET, "-r", str(tmp_path / "body")]
    printed = subprocess.run(command, capture_output=True, check=True, text=True, timeout=10).stdout
    assert printed.split()[0] == body_signature(SECRET, BODY)


def test_a_new_secret_can_be_read_back() -> None:
    random_bytes = bytes(range(32))
    assert new_secret(random_bytes) == SECRET
    assert key_of(SECRET) == random_bytes
    assert hint_of(SECRET) == "Hh8="


@pytest.mark.parametrize("length", [24, 64])
def test_a_customer_s_secret_may_have_24_to_64_bytes(length: int) -> None:
    assert len(key_of("whsec_" + b64encode(b"k" * length).decode())) == length


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "whsec_",
        SECRET.removeprefix("whsec_"),
        SECRET.replace("whsec_", "WHSEC_"),
        SECRET.replace("whsec_", "whsec_whsec_"),
        SECRET.rstrip("="),
        SECRET + "\n",
        " " + SECRET,
        SECRET[:-2] + "9=",  # stray bits that decode to the same key
        SECRET.replace("AAEC", "AA-_"),
        SECRET.replace("AAEC", "AÄEC"),
        "whsec_" + b64encode(b"k" * 23).decode(),
        "whsec_" + b64encode(b"k" * 65).decode(),
    ],
)
def test_what_is_no_secret_is_refused_without_repeating_it(secret: str) -> None:
    with pytest.raises(InvalidSecret) as refused:
        key_of(secret)
    assert list(refused.value.fields) == ["secret"]
    assert "AAEC" not in str(refused.value)
    assert refused.value.__suppress_context__ or refused.value.__context__ is None


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_new_secret_takes_exactly_32_random_bytes(length: int) -> None:
    with pytest.raises(ValueError, match="32 random bytes"):
        new_secret(b"k" * length)


def test_a_full_stop_in_the_id_is_refused() -> None:
    with pytest.raises(ValueError, match="full stop"):
        standard_signature(SECRET, "evt_1.2", 1, BODY)


def test_a_time_without_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        signature_headers(BODY, message_id="evt_1", sent_at=NOW.replace(tzinfo=None), secrets=[SECRET])
