"""Receivers that misbehave, from the deployed function over real connections: each is told in time."""

import gzip
import ssl
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import trustme

from tests.misbehaving import Receiver, Script, answers, drips, resets, says_nothing
from tests.system.client import Client

HEAD = b"HTTP/1.1 200 OK\r\n"
BOMB = gzip.compress(bytes(20_000_000))
SCRIPTS: dict[str, Script] = {
    "resets": resets,
    "breaks off": answers(HEAD + b"Content-Length: 100\r\n\r\nhalf"),
    "is endless": drips(HEAD + b"\r\n", b"x" * 65536, gap=0, lasts=15),
    "sends a bomb": answers(HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(BOMB), BOMB),
    "leads inside": answers(
        b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/latest\r\nContent-Length: 0\r\n\r\n"
    ),
    "speaks no HTTP": answers(b"SSH-2.0-OpenSSH_9.6\r\n"),
    "hangs": says_nothing,
    "drips its head": drips(HEAD, b"x: y\r\n", gap=0.3, lasts=15),
}


def test_whatever_a_receiver_does_its_owner_is_told_in_time(owner: Client) -> None:
    def tried(url: str) -> Any:
        answer = owner.call("POST", "/api/integrations/webhooks/test", {"url": url})
        assert answer.status == 200, answer.body
        return answer.body["data"]

    with ExitStack() as stack:
        urls = {name: stack.enter_context(Receiver(script)).url() for name, script in SCRIPTS.items()}
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
        unknown = stack.enter_context(Receiver(answers(HEAD + b"Content-Length: 0\r\n\r\n"), context))
        urls["has a certificate of nobody's"] = unknown.url(scheme="https")
        with ThreadPoolExecutor(len(urls)) as pool:
            results = dict(zip(urls, pool.map(tried, urls.values()), strict=True))

    told = {name: (one["success"], one["status_code"], one["error_class"]) for name, one in results.items()}
    assert told == {
        "resets": (False, None, "protocol"),
        "breaks off": (True, 200, "protocol"),
        "is endless": (True, 200, None),
        "sends a bomb": (True, 200, None),
        "leads inside": (False, 302, "http_status"),
        "speaks no HTTP": (False, None, "protocol"),
        "hangs": (False, None, "timeout"),
        "drips its head": (False, None, "timeout"),
        "has a certificate of nobody's": (False, None, "tls"),
    }
    assert all(one["duration_ms"] < 11_000 for one in results.values())
    assert all(one["response_bytes"] <= 16 * 1024 for one in results.values())
    assert results["is endless"]["response_truncated"]
    assert results["leads inside"]["response_headers"]["location"] == "http://169.254.169.254/latest"
