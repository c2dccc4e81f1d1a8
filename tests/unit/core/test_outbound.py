"""The guarded connection against real servers on loopback that misbehave in every way we know of.

Names reach the receivers through an injected resolver. After each test neither a thread nor a descriptor may
be left.
"""

import gzip
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme

from chalicelib.core.outbound import (
    Durations,
    Outcome,
    Refused,
    check_url,
    post,
    request,
    system_addresses,
    system_context,
)
from tests.misbehaving import Receiver, Script, answers, drips, resets, says_nothing

DEADLINE = 0.4
SLACK = 0.3  # for a busy machine; a quiet one needs some milliseconds
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
NAME = "hooks.partner.test"


def to_loopback(host: str, port: int) -> list[str]:
    return ["127.0.0.1"]


def send(receiver: Receiver, path: str = "/hook", body: bytes = b"{}", deadline: float = 5.0) -> Outcome:
    return post(receiver.url(path), body, {}, deadline_seconds=deadline, allow_loopback=True)


@contextmanager
def ends_within(seconds: float) -> Iterator[None]:
    begun = time.monotonic()
    yield
    assert time.monotonic() - begun < seconds


def open_descriptors() -> int:
    folder = Path("/proc/self/fd")
    return len(os.listdir(folder)) if folder.exists() else 0  # noqa: PTH208 - iterdir opens one itself


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    threads, descriptors = set(threading.enumerate()), open_descriptors()
    yield
    for thread in set(threading.enumerate()) - threads:
        thread.join(1)
        assert not thread.is_alive(), thread
    assert open_descriptors() == descriptors


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def trusting(authority: trustme.CA) -> ssl.SSLContext:
    """Like `system_context`, but for the tests' own authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(context)
    return context


Secured = Callable[..., AbstractContextManager[Receiver]]


@pytest.fixture(scope="module")
def secured(authority: trustme.CA) -> Secured:
    """A receiver with a certificate for `names`."""

    def make(script: Script, *names: str, not_after: datetime | None = None) -> Receiver:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(*names, not_after=not_after).configure_cert(context)
        return Receiver(script, context)

    return make


def send_secured(
    receiver: Receiver, context: ssl.SSLContext, host: str = NAME, deadline: float = 5.0
) -> Outcome:
    return post(
        receiver.url("/hook?a=b", host, "https"),
        b"{}",
        {},
        deadline_seconds=deadline,
        allow_loopback=True,
        resolver=to_loopback,
        ssl_context=context,
    )


# What is sent, what comes back


def test_a_request_and_its_outcome() -> None:
    body = '{"title":"Grüße"}'.encode()
    answer = b"HTTP/1.1 202 Accepted\r\nRetry-After: 7\r\nContent-Length: 4\r\n\r\nfine"
    with Receiver(answers(answer)) as receiver:
        outcome = post(receiver.url("/a?b=c"), body, {"X-Event": "e"}, allow_loopback=True)
    head, _, sent = receiver.requests[0].partition(b"\r\n\r\n")
    assert head.splitlines()[0] == b"POST /a?b=c HTTP/1.1"
    assert sorted(head.splitlines()[1:]) == [
        b"Accept-Encoding: identity",
        b"Connection: close",
        b"Content-Length: %d" % len(body),
        b"Host: 127.0.0.1:%d" % receiver.port,
        b"User-Agent: Talktiko/1",
        b"X-Event: e",
    ]
    assert sent == body
    assert outcome.accepted
    assert (outcome.status_code, outcome.error_class, outcome.error) == (202, None, None)
    assert outcome.headers == {"retry-after": "7", "content-length": "4"}
    assert (outcome.body, outcome.body_text, outcome.truncated) == (b"fine", "fine", False)
    assert (outcome.request_bytes, outcome.response_bytes) == (len(body), 4)
    assert (outcome.resolved_address, outcome.tls_version) == ("127.0.0.1", None)
    assert outcome.durations.first_byte is not None
    assert outcome.durations.tls is None
    assert outcome.durations.total < 5000


def test_a_get_reads_as_much_as_the_caller_wants() -> None:
    document = b"k" * 100_000
    with Receiver(answers(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", document)) as receiver:
        outcome = request(
            "GET", receiver.url(), headers={"user-agent": "mine"}, body_limit=100_000, allow_loopback=True
        )
    assert receiver.requests[0].startswith(b"GET /hook HTTP/1.1\r\n")
    assert b"user-agent: mine" in receiver.requests[0]
    assert b"Talktiko" not in receiver.requests[0]
    assert b"Content-Length" not in receiver.requests[0]
    assert (outcome.body, outcome.truncated) == (document, False)


@pytest.mark.parametrize(
    ("answer", "status", "body"),
    [
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, b""),
        (b"HTTP/1.0 200\r\n\r\nuntil the end", 200, b"until the end"),
        (b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok", 200, b"ok"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, 200, b"ok"),
        (b"HTTP/1.1 500 No\r\nContent-Length: 3\r\n\r\nbad", 500, b"bad"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nT: r\r\n\r\n",
            200,
            b"abcde",
        ),
    ],
)
def test_forms_of_a_complete_answer(answer: bytes, status: int, body: bytes) -> None:
    with Receiver(answers(answer)) as receiver:
        outcome = send(receiver)
    assert (outcome.status_code, outcome.error_class, outcome.body) == (status, None, body)
    assert outcome.accepted == (status < 300)


def test_a_redirect_is_an_answer_like_any_other() -> None:
    with Receiver(answers(OK)) as target:
        redirect = b"HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n" % target.url().encode()
        with Receiver(answers(redirect)) as receiver:
            outcome = send(receiver)
    assert (outcome.status_code, outcome.accepted) == (302, False)
    assert outcome.headers["location"] == target.url()
    assert target.connections == 0


def test_gzip_stays_as_it_came() -> None:
    packed = gzip.compress(b"x" * 1_000_000)
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)
    with Receiver(answers(head, packed)) as receiver:
        assert send(receiver).body == packed


def test_an_endless_body_is_cut() -> None:
    with Receiver(drips(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 4096, gap=0)) as receiver:
        outcome = send(receiver)
    assert (outcome.status_code, outcome.error_class, outcome.truncated) == (200, None, True)
    assert outcome.response_bytes == 16 * 1024
    assert outcome.body_text == "x" * 4096


def test_a_body_of_just_the_limit_is_whole() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 16384\r\n\r\n"
    with Receiver(answers(head, b"x" * 16384)) as receiver:
        outcome = send(receiver)
    assert (outcome.response_bytes, outcome.truncated) == (16384, False)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"line\r\nnext\tcell", "line\nnext\tcell"),
        (b"\x1b[2J\x00\x07\r", r"\x1b[2J\x00\x07" + "\\r"),
        (b"\xff\xfe", r"\xff\xfe"),
        ("Grüße 🎉".encode(), "Grüße 🎉"),
        ("a\u202eb\u2028c\x85".encode(), r"a\u202eb\u2028c\x85"),
        (b"x" * 4095 + "ü".encode(), "x" * 4095),
        (b"\x00" * 4096, (r"\x00" * 1024)),
    ],
)
def test_the_kept_text_is_harmless_and_short(body: bytes, text: str) -> None:
    assert Outcome(Durations(0), 0, body=body).body_text == text


def test_headers_of_the_answer_are_kept_up_to_a_limit() -> None:
    lines = b"".join(b"X-%02d: %s\r\n" % (number, b"v" * 500) for number in range(90))
    answer = b"HTTP/1.1 200 OK\r\nVary: a\r\nVary: b\x1b\xe9\r\n" + lines + b"Content-Length: 0\r\n\r\n"
    with Receiver(answers(answer)) as receiver:
        outcome = send(receiver)
    assert outcome.headers["vary"] == r"a, b\x1bé"
    assert 10 < len(outcome.headers) < 20
    assert "x-89" not in outcome.headers


def test_nothing_of_an_answer_reaches_a_log(caplog: pytest.LogCaptureFixture) -> None:
    odd = b"HTTP/1.1 200 OK\r\nX-Fine: private\r\nno colon here\r\nX: y\r\n\r\nprivate"
    with Receiver(answers(odd)) as receiver:
        outcome = send(receiver, "/hook?token=private")
    assert "private" not in repr(outcome)
    assert caplog.records == []


# Names, addresses, certificates


def test_the_certificate_is_checked_for_the_name_not_the_address(
    secured: Secured, trusting: ssl.SSLContext
) -> None:
    with secured(answers(OK), NAME) as receiver:
        outcome = send_secured(receiver, trusting)
    assert outcome.accepted, outcome
    assert b"\r\nHost: hooks.partner.test:%d\r\n" % receiver.port in receiver.requests[0]
    assert (outcome.resolved_address, outcome.tls_version) == ("127.0.0.1", "TLSv1.3")
    assert outcome.durations.tls is not None


def test_the_name_is_told_in_the_handshake(authority: trustme.CA, trusting: ssl.SSLContext) -> None:
    names: list[str | None] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(NAME).configure_cert(context)
    context.sni_callback = lambda _socket, name, _context: names.append(name)
    with Receiver(answers(OK), context) as receiver:
        assert send_secured(receiver, trusting).accepted
    assert names == [NAME]


def test_an_address_literal_needs_a_certificate_for_the_address(
    secured: Secured, trusting: ssl.SSLContext
) -> None:
    with secured(answers(OK), "127.0.0.1") as receiver:
        assert send_secured(receiver, trusting, "127.0.0.1").accepted
    with secured(answers(OK), NAME) as receiver:
        assert send_secured(receiver, trusting, "127.0.0.1").error_class == "tls"


def test_a_certificate_for_another_name_is_refused(secured: Secured, trusting: ssl.SSLContext) -> None:
    with secured(answers(OK), "other.test", "127.0.0.1") as receiver:
        outcome = send_secured(receiver, trusting)
    assert outcome.error_class == "tls"
    assert outcome.error is not None
    assert "Hostname mismatch" in outcome.error
    assert receiver.requests == []


def test_an_expired_certificate_is_refused(secured: Secured, trusting: ssl.SSLContext) -> None:
    with secured(answers(OK), NAME, not_after=datetime(2020, 1, 1, tzinfo=UTC)) as receiver:
        outcome = send_secured(receiver, trusting)
    assert outcome.error == "The certificate was not accepted: certificate has expired."
    assert receiver.requests == []


def test_an_authority_that_the_system_does_not_know_is_refused(secured: Secured) -> None:
    with secured(answers(OK), NAME) as receiver:
        outcome = send_secured(receiver, system_context())
    assert outcome.error_class == "tls"
    assert receiver.requests == []


def test_https_to_a_server_without_tls(trusting: ssl.SSLContext) -> None:
    with Receiver(drips(b"HTTP/1.1 400 Bad Request\r\n\r\n", b"", reads=False)) as receiver:
        outcome = send_secured(receiver, trusting)
    assert (outcome.error_class, outcome.error) == ("tls", "The TLS handshake failed.")


def test_our_own_context_verifies_and_asks_for_tls_1_2() -> None:
    context = system_context()
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context.cert_store_stats()["x509_ca"] > 50
    assert system_context() is context


def test_where_the_system_has_no_authorities_botocore_s_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere")
    monkeypatch.setenv("SSL_CERT_DIR", "/nowhere")
    assert system_context.__wrapped__().cert_store_stats()["x509_ca"] > 50


def test_a_context_that_does_not_verify_is_not_taken() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with pytest.raises(ValueError, match="must verify"):
        request("GET", "https://partner.example/", ssl_context=context)


def test_a_name_is_looked_up_once_so_that_it_cannot_change_its_mind() -> None:
    given = iter([["127.0.0.1"], ["169.254.169.254"]])
    asked: list[str] = []

    def rebinding(host: str, port: int) -> list[str]:
        asked.append(host)
        return next(given)

    with Receiver(answers(OK)) as receiver:
        outcome = post(receiver.url(host=NAME), b"", {}, allow_loopback=True, resolver=rebinding)
    assert outcome.accepted
    assert asked == [NAME]


def test_a_host_with_one_bad_address_is_not_contacted() -> None:
    with Receiver(answers(OK)) as receiver:
        outcome = post(
            receiver.url(host=NAME),
            b"",
            {},
            allow_loopback=True,
            resolver=lambda _host, _port: ["127.0.0.1", "10.0.0.1"],
        )
    assert (outcome.error_class, outcome.refused_address) == ("blocked_address", "10.0.0.1")
    assert outcome.resolved_address is None
    assert "10.0.0.1" not in (outcome.error or "")
    assert receiver.connections == 0


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", NAME])
def test_loopback_is_closed_unless_a_local_stage_opens_it(host: str) -> None:
    with Receiver(answers(OK)) as receiver:
        outcome = post(receiver.url(host=host, scheme="https"), b"", {}, resolver=to_loopback)
    assert outcome.error_class == "blocked_address"
    assert receiver.connections == 0


def test_http_is_closed_unless_a_local_stage_opens_it() -> None:
    with Receiver(answers(OK)) as receiver:
        outcome = post(receiver.url(), b"", {})
    assert outcome.error_class == "invalid_url"
    assert receiver.connections == 0


def test_a_literal_does_not_pass_around_the_check_by_a_lenient_resolver() -> None:
    with pytest.raises(Refused) as refused:
        check_url("https://169.254.169.254/latest/meta-data", resolver=lambda _host, _port: ["8.8.8.8"])
    assert refused.value.reason == "blocked_address"


def test_our_own_host_is_refused_at_save_and_at_sending() -> None:
    with pytest.raises(Refused):
        check_url("https://api.talktiko.example/", own_hosts=["api.talktiko.example"])
    outcome = post("https://api.talktiko.example/", b"", {}, own_hosts=["api.talktiko.example"])
    assert outcome.error_class == "invalid_url"


def test_a_checked_url_tells_all_its_addresses() -> None:
    target = check_url("https://partner.example/x", resolver=lambda _host, _port: ["8.8.8.8", "1.1.1.1"])
    assert (target.url.host, target.addresses) == ("partner.example", ("8.8.8.8", "1.1.1.1"))


def test_the_system_s_resolver_knows_localhost() -> None:
    assert "127.0.0.1" in system_addresses("localhost", 443)


@pytest.mark.parametrize("failure", [socket.gaierror(-2, "Name or service not known"), UnicodeError(), None])
def test_a_name_that_nobody_knows(failure: Exception | None) -> None:
    def unknown(host: str, port: int) -> Sequence[str]:
        if failure:
            raise failure
        return []

    outcome = post("https://partner.example/", b"", {}, resolver=unknown)
    assert (outcome.error_class, outcome.error) == ("dns", "The host name could not be found.")


def test_the_next_address_is_tried_when_one_cannot_be_reached() -> None:
    with Receiver(answers(OK)) as receiver:
        outcome = post(
            receiver.url(host=NAME),
            b"",
            {},
            allow_loopback=True,
            resolver=lambda _host, _port: ["127.0.0.2", "::1", "127.0.0.1"],
        )
    assert outcome.accepted
    assert outcome.resolved_address == "127.0.0.1"


def test_proxies_of_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    with Receiver(answers(OK)) as proxy, Receiver(answers(OK)) as receiver:
        for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url("/"))
        assert send(receiver).accepted
    assert proxy.connections == 0


@pytest.mark.parametrize(
    "headers", [{"X-A": "b\r\nX-C: d"}, {"X-A\r\nX-C": "d"}, {"Host": "elsewhere.example"}]
)
def test_headers_that_would_change_the_message_are_not_sent(headers: dict[str, str]) -> None:
    with Receiver(answers(OK)) as receiver:
        outcome = post(receiver.url(), b"", headers, allow_loopback=True)
    assert outcome.error_class == "invalid_header"
    assert receiver.connections == 0


# Broken connections and answers


def test_a_closed_port() -> None:
    with Receiver(answers(OK)) as receiver:
        pass
    outcome = send(receiver)
    assert (outcome.error_class, outcome.error) == ("connect", "The host could not be reached.")


@pytest.mark.parametrize(
    "script",
    [
        resets,
        answers(),
        answers(b"HTTP/1.1 2"),
        answers(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"),
        answers(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok"),
        answers(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nok"),
    ],
    ids=["reset", "nothing", "in the status", "in the head", "in the body", "in a chunk"],
)
def test_a_connection_that_breaks_off(script: Script) -> None:
    with Receiver(script) as receiver:
        outcome = send(receiver)
    assert outcome.error_class == "protocol"
    assert outcome.error == "The connection was closed before the answer was complete."
    assert not outcome.accepted


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"<html>hello</html>\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 99 Low\r\n\r\n",
        b"HTTP/3.0 200 OK\r\n\r\n",
        b"\x00\xff\n" * 50,
        b"HTTP/1.1 200 OK\r\nX: " + b"v" * 70_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"".join(b"X: %s\r\n" % (b"v" * 9000) for _ in range(9)) + b"\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 5000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1" * 70_000,
    ],
    ids=lambda answer: repr(answer[:24]),
)
def test_an_answer_that_is_not_http(answer: bytes) -> None:
    with Receiver(answers(answer)) as receiver:
        outcome = send(receiver)
    assert outcome.error_class == "protocol"
    assert not outcome.accepted


# Deadlines


@pytest.mark.parametrize(
    "script",
    [
        says_nothing,
        drips(b"HTTP/1.1 2", b"0"),
        drips(b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n"),
        drips(b"HTTP/1.1 200 OK\r\nX-A: ", b"b"),
        drips(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        drips(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b"b"),
        drips(b"HTTP/1.1 200 OK\r\n\r\n", b"b"),
        drips(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nb\r\n"),
        drips(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1"),
        drips(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"T: r\r\n"),
    ],
    ids=[
        "silence",
        "status",
        "headers",
        "one header",
        "100 Continue",
        "body",
        "body without length",
        "chunks",
        "chunk size",
        "trailers",
    ],
)
def test_a_receiver_that_drips_is_left_at_the_deadline(script: Script) -> None:
    with Receiver(script) as receiver, ends_within(DEADLINE + SLACK):
        outcome = send(receiver, deadline=DEADLINE)
    assert (outcome.error_class, outcome.accepted) == ("timeout", False)
    assert outcome.error == f"There was no complete answer within {DEADLINE:g} s."
    assert DEADLINE - 0.05 < outcome.durations.total / 1000 < DEADLINE + SLACK


def test_a_dripping_body_under_tls(secured: Secured, trusting: ssl.SSLContext) -> None:
    script = drips(b"HTTP/1.1 200 OK\r\n\r\n", b"b")
    with secured(script, NAME) as receiver, ends_within(DEADLINE + SLACK):
        outcome = send_secured(receiver, trusting, deadline=DEADLINE)
    assert (outcome.status_code, outcome.error_class) == (200, "timeout")


def test_a_dripping_handshake(trusting: ssl.SSLContext) -> None:
    record = b"\x16\x03\x03\x40\x00"  # a handshake record that announces 16 KiB
    with Receiver(drips(record, b"\x00", reads=False)) as receiver, ends_within(DEADLINE + SLACK):
        outcome = send_secured(receiver, trusting, deadline=DEADLINE)
    assert (outcome.status_code, outcome.error_class) == (None, "timeout")
    assert outcome.durations.tls is not None
    assert outcome.durations.first_byte is None


def test_a_receiver_that_does_not_read() -> None:
    with Receiver(says_nothing) as receiver, ends_within(DEADLINE + SLACK):
        outcome = send(receiver, body=b"x" * 20_000_000, deadline=DEADLINE)
    assert outcome.error_class == "timeout"


def test_a_host_that_does_not_answer_the_connection() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        waiting = [socket.socket() for _ in range(4)]  # more than the queue holds: the rest gets no answer
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        url = f"http://127.0.0.1:{full.getsockname()[1]}/"
        with ends_within(0.3 + SLACK):
            slow = post(url, b"", {}, connect_seconds=0.3, allow_loopback=True)
        with ends_within(0.3 + SLACK):
            over = post(url, b"", {}, deadline_seconds=0.3, allow_loopback=True)
        for one in waiting:
            one.close()
    assert (slow.error_class, over.error_class) == ("connect", "timeout")


def test_a_slow_lookup_is_left_at_its_limit_and_at_the_deadline() -> None:
    enough = threading.Event()

    def slow(host: str, port: int) -> list[str]:
        enough.wait(5)
        return ["8.8.8.8"]

    try:
        with ends_within(0.2 + SLACK), pytest.raises(Refused) as refused:
            check_url("https://partner.example/", dns_seconds=0.2, resolver=slow)
        with ends_within(0.4 + SLACK):
            outcome = post("https://partner.example/", b"", {}, deadline_seconds=0.4, resolver=slow)
    finally:
        enough.set()
    assert refused.value.reason == "dns"
    assert outcome.error_class == "timeout"
    assert outcome.resolved_address is None


def test_fifty_threads_do_not_disturb_each_other() -> None:
    together = threading.Barrier(50, timeout=5)

    def echo(receiver: Receiver, connection: socket.socket) -> None:
        body = receiver.read_request(connection)
        together.wait()  # all fifty are under way
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    with Receiver(echo) as receiver, ThreadPoolExecutor(50) as threads:
        bodies = [b"body %d" % number for number in range(50)]
        outcomes = list(threads.map(lambda body: post(receiver.url(), body, {}, allow_loopback=True), bodies))
    assert [outcome.body for outcome in outcomes] == bodies
