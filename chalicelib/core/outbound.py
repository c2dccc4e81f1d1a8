"""The one way out to a URL that a customer gave us: webhooks, LRS, IdP metadata, JWKS.

`check_url` is called when a URL is saved, `request` (or `post`) for every connection; both run one guard:

* the name is looked up once, all its addresses must be public, and the connection goes to one of just those
  addresses, with SNI, certificate check and `Host` of the name: a name that changes its mind gains nothing;
* no redirects, no proxies from the environment, no cookies, no content decoding, TLS 1.2 at least;
* time limits are deadlines for the whole, not for one `recv`: a watchdog shuts the socket down, so that even
  a receiver that drips single bytes, in its TLS handshake, head or body, ends on time;
* of an answer at most 64 KiB of head and `body_limit` of body are read.

It stands on `http.client` rather than urllib3, which logs whole URLs when an answer's headers are odd, and
has to be subclassed in private places. Every call has its own connection and watchdog: threads do not meet.
"""

import codecs
import http.client
import io
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from types import TracebackType
from typing import Literal, Self, cast

from chalicelib.core.addresses import (
    ADDRESS_NOT_ALLOWED,
    Address,
    ParsedUrl,
    Refused,
    check_addresses,
    check_headers,
    parse_url,
)

__all__ = [
    "Durations",
    "ErrorClass",
    "Outcome",
    "Refused",
    "Target",
    "check_headers",
    "check_url",
    "post",
    "request",
]

Method = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
ErrorClass = Literal[
    "invalid_url", "invalid_header", "dns", "blocked_address", "connect", "tls", "timeout", "protocol"
]
Resolver = Callable[[str, int], Sequence[str]]
"""Host and port to addresses, best first. Raises OSError when the name has none."""

DNS_SECONDS = 2.0
CONNECT_SECONDS = 3.0
DEADLINE_SECONDS = 10.0
BODY_LIMIT = 16 * 1024
HEAD_LIMIT = 64 * 1024
KEPT_TEXT = 4 * 1024
KEPT_HEADERS = 8 * 1024
MAX_ADDRESSES_TRIED = 4

_NOT_PRINTABLE = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]"
)


@dataclass(frozen=True)
class Target:
    """A URL whose host has been looked up and found fit, with all its addresses."""

    url: ParsedUrl
    addresses: tuple[str, ...]


@dataclass(frozen=True)
class Durations:
    """In whole milliseconds; None for what was not reached. A failed phase counts until it failed.

    `first_byte` counts from sending the request until the head of the answer was there.
    """

    total: int
    dns: int | None = None
    connect: int | None = None
    tls: int | None = None
    first_byte: int | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of one request. A failure is an outcome, never an exception.

    `status_code` can stand beside an error: the head came, the body then broke off or took too long.
    `error` is a sentence in our own words for the URL's owner. `resolved_address` is the address we connected
    to, or tried last. `refused_address` is one that the guard refused: for our logs, not for the owner.
    `headers` are the answer's, names in lower case, up to 8 KiB. Sizes are of bodies, in bytes; `truncated`
    says that the answer had more. Headers and body stay out of `repr`, and so out of logs.
    """

    durations: Durations
    request_bytes: int
    status_code: int | None = None
    error_class: ErrorClass | None = None
    error: str | None = None
    resolved_address: str | None = None
    refused_address: str | None = None
    tls_version: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)
    truncated: bool = False

    @property
    def accepted(self) -> bool:
        """A complete answer with a 2xx status."""
        return self.error_class is None and self.status_code is not None and 200 <= self.status_code < 300

    @property
    def response_bytes(self) -> int:
        return len(self.body)

    @property
    def body_text(self) -> str:
        """The beginning of the body as text of at most 4 KiB, with control bytes and wrong UTF-8 escaped."""
        return _printable(self.body, KEPT_TEXT)


def check_url(
    url: str,
    *,
    allow_loopback: bool = False,
    own_hosts: Collection[str] = (),
    dns_seconds: float = DNS_SECONDS,
    resolver: Resolver | None = None,
) -> Target:
    """Check a URL's form and look its host up. Connects to nothing.

    Args:
        url: As the customer wrote it.
        allow_loopback: Local stages only: allows loopback addresses, over http too; and nothing else.
        own_hosts: Our own host names, which are refused.
        dns_seconds: How long the lookup may take.
        resolver: Asked instead of the system's resolver; for tests.

    Raises:
        Refused: "invalid_url", "dns" or "blocked_address". Not a DomainError: at save, turn its `message`
            into Invalid({"url": [...]}).
    """
    parsed = parse_url(url, allow_loopback=allow_loopback, own_hosts=own_hosts)
    found = [parsed.host] if parsed.literal else _look_up(resolver or system_addresses, parsed, dns_seconds)
    return Target(parsed, check_addresses(parsed, found, allow_loopback=allow_loopback))


def post(  # noqa: PLR0913 - each is a plain choice of the caller
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    deadline_seconds: float = DEADLINE_SECONDS,
    connect_seconds: float = CONNECT_SECONDS,
    allow_loopback: bool = False,
    own_hosts: Collection[str] = (),
    resolver: Resolver | None = None,
    ssl_context: ssl.SSLContext | None = None,
) -> Outcome:
    """Send exactly these bytes. See `request`."""
    return request(
        "POST",
        url,
        body=body,
        headers=headers,
        deadline_seconds=deadline_seconds,
        connect_seconds=connect_seconds,
        allow_loopback=allow_loopback,
        own_hosts=own_hosts,
        resolver=resolver,
        ssl_context=ssl_context,
    )


def request(  # noqa: PLR0913 - each is a plain choice of the caller
    method: Method,
    url: str,
    *,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    deadline_seconds: float = DEADLINE_SECONDS,
    connect_seconds: float = CONNECT_SECONDS,
    body_limit: int = BODY_LIMIT,
    allow_loopback: bool = False,
    own_hosts: Collection[str] = (),
    resolver: Resolver | None = None,
    ssl_context: ssl.SSLContext | None = None,
) -> Outcome:
    """Make one guarded request, following nothing and trying nothing twice.

    Args:
        method: The HTTP method.
        url: As the customer wrote it; checked here again, whatever was checked at save.
        body: Sent as it is, with its Content-Length.
        headers: Added to ours; see `check_headers` for what is refused.
        deadline_seconds: For the whole: lookup, connection, handshake, request and answer.
        connect_seconds: For reaching any of the host's addresses.
        body_limit: How many bytes of the answer's body are read.
        allow_loopback: Local stages only: allows loopback addresses, over http too; and nothing else.
        own_hosts: Our own host names, which are refused.
        resolver: Asked instead of the system's resolver; for tests.
        ssl_context: Instead of the system's certificate authorities; for tests. It must verify.

    Raises:
        ValueError: `ssl_context` does not verify certificates and names. Nothing that a receiver does raises.
    """
    _check_context(ssl_context)
    attempt = _Attempt(deadline_seconds, connect_seconds, body_limit, len(body or b""))
    try:
        check_headers(headers or {})
        with attempt.phase("dns"):
            target = check_url(
                url,
                allow_loopback=allow_loopback,
                own_hosts=own_hosts,
                dns_seconds=min(DNS_SECONDS, deadline_seconds),
                resolver=resolver,
            )
        _exchange(attempt, target, method, body, headers or {}, ssl_context)
    except Refused as refused:
        attempt.refused(refused)
    except (OSError, http.client.HTTPException, ValueError) as failure:
        attempt.failed(failure)
    return attempt.outcome()


def system_addresses(host: str, port: int) -> list[str]:
    """The addresses that the system's resolver gives, in its order of preference (RFC 6724)."""
    return [str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


@cache
def system_context() -> ssl.SSLContext:
    """Verifies against the system's authorities, or botocore's copy where the system has none. Built once."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # not create_default_context: that obeys SSLKEYLOGFILE
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    context.load_default_certs()
    if not context.cert_store_stats()["x509_ca"]:
        import botocore  # only where it is needed: importing it costs time

        context.load_verify_locations(Path(botocore.__file__).with_name("cacert.pem"))
    return context


class _Attempt:
    """What one request has come to so far: its clock, its watchdog, and the facts for the Outcome."""

    def __init__(self, deadline: float, connect: float, body_limit: int, request_bytes: int) -> None:
        self.deadline = deadline
        self.connect = connect
        self.body_limit = body_limit
        self.request_bytes = request_bytes
        self.started = time.monotonic()
        self.watchdog: _Watchdog | None = None
        self.now_in = ""
        self.milliseconds: dict[str, int] = {}
        self.address: str | None = None
        self.refused_address: str | None = None
        self.tls_version: str | None = None
        self.status: int | None = None
        self.headers: dict[str, str] = {}
        self.body = bytearray()
        self.truncated = False
        self.error_class: ErrorClass | None = None
        self.error: str | None = None

    @property
    def left(self) -> float:
        """Seconds until the deadline, at least one millisecond."""
        return max(self.started + self.deadline - time.monotonic(), 0.001)

    @property
    def is_over(self) -> bool:
        return self.left <= 0.01 or (self.watchdog is not None and self.watchdog.has_bitten)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        self.now_in = name
        begun = time.monotonic()
        try:
            yield
        finally:
            self.milliseconds[name] = _milliseconds_since(begun)

    def refused(self, refused: Refused) -> None:
        self.error_class, self.error = refused.reason, refused.message
        self.refused_address = refused.address
        if refused.reason == "dns" and self.is_over:
            self.timed_out()

    def failed(self, failure: Exception) -> None:
        """Put a failure in our own words: what it says itself may hold the URL or the receiver's bytes."""
        if self.is_over or (isinstance(failure, TimeoutError) and self.now_in != "connect"):
            self.timed_out()
        elif self.now_in == "connect":
            self.error_class, self.error = "connect", "The host could not be reached."
        elif self.now_in == "tls":
            self.error_class, self.error = "tls", _tls_error(failure)
        elif isinstance(failure, OSError | http.client.IncompleteRead):
            self.error_class, self.error = (
                "protocol",
                "The connection was closed before the answer was complete.",
            )
        else:
            self.error_class, self.error = "protocol", "The answer was not valid HTTP."

    def timed_out(self) -> None:
        self.error_class = "timeout"
        self.error = f"There was no complete answer within {self.deadline:g} s."

    def outcome(self) -> Outcome:
        return Outcome(
            durations=Durations(total=_milliseconds_since(self.started), **self.milliseconds),
            request_bytes=self.request_bytes,
            status_code=self.status,
            error_class=self.error_class,
            error=self.error,
            resolved_address=self.address,
            refused_address=self.refused_address,
            tls_version=self.tls_version,
            headers=self.headers,
            body=bytes(self.body),
            truncated=self.truncated,
        )


class _Watchdog:
    """Shuts a socket down at the deadline, whoever is waiting on it.

    It holds a duplicate of the descriptor: `SSLContext.wrap_socket` detaches the original before the
    handshake, and `shutdown` on any duplicate ends the connection for all of them.
    """

    def __init__(self, seconds: float) -> None:
        self.has_bitten = False
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._timer = threading.Timer(seconds, self._bite)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        self._timer.join()
        if self._socket is not None:
            self._socket.close()

    def watch(self, sock: socket.socket) -> None:
        with self._lock:
            self._socket = sock.dup()
        if self.has_bitten:
            self._bite()

    def _bite(self) -> None:
        with self._lock:
            self.has_bitten = True
            if self._socket is None:
                return
            try:
                self._socket.shutdown(socket.SHUT_RDWR)
            except OSError:
                return  # the other side was faster


class _Head:
    """The receiver's bytes while the head is read: bounded, and an early end is an error.

    `http.client` alone takes the end of the stream for the end of the head, and 100 lines of 64 KiB each.
    """

    def __init__(self, plain: io.BufferedReader) -> None:
        self._plain = plain
        self._left = HEAD_LIMIT

    def readline(self, size: int = -1) -> bytes:
        line = self._plain.readline(size)
        self._left -= len(line)
        if self._left < 0:
            raise http.client.HTTPException("head too long")
        if not line.endswith(b"\n"):
            raise http.client.IncompleteRead(line)
        return line

    def close(self) -> None:
        self._plain.close()


class _Response(http.client.HTTPResponse):
    def begin(self) -> None:
        plain = self.fp
        self.fp = cast(io.BufferedReader, _Head(plain))
        try:
            super().begin()
        finally:
            if self.fp is not None:  # it is None when a status line was no status line
                self.fp = plain


class _Connection(http.client.HTTPConnection):
    """Goes to a checked address; SNI, certificate check and `Host` stay with the name."""

    response_class = _Response

    def __init__(
        self, attempt: _Attempt, watchdog: _Watchdog, target: Target, context: ssl.SSLContext | None
    ) -> None:
        super().__init__(target.url.host, target.url.port)
        self.default_port = 443 if target.url.scheme == "https" else 80
        self._attempt = attempt
        self._watchdog = watchdog
        self._target = target
        self._context = context

    def connect(self) -> None:
        attempt = self._attempt
        with attempt.phase("connect"):
            self.sock = _reach_any(attempt, self._target)
        self.sock.settimeout(attempt.left)
        self._watchdog.watch(self.sock)
        if self._target.url.scheme == "https":
            context = self._context or system_context()
            with attempt.phase("tls"):
                wrapped = context.wrap_socket(self.sock, server_hostname=self._target.url.host)
            self.sock = wrapped
            attempt.tls_version = wrapped.version()


def _exchange(
    attempt: _Attempt,
    target: Target,
    method: Method,
    body: bytes | None,
    headers: Mapping[str, str],
    ssl_context: ssl.SSLContext | None,
) -> None:
    ours = {"User-Agent": "Talktiko/1", "Accept-Encoding": "identity", "Connection": "close"}
    given = {name.lower() for name in headers}
    sent = {name: value for name, value in ours.items() if name.lower() not in given} | dict(headers)
    with (
        _Watchdog(attempt.left) as attempt.watchdog,
        closing(_Connection(attempt, attempt.watchdog, target, ssl_context)) as connection,
    ):
        connection.connect()
        attempt.now_in, begun = "answer", time.monotonic()
        connection.request(method, target.url.target, body=body, headers=sent)
        with closing(connection.getresponse()) as response:
            attempt.milliseconds["first_byte"] = _milliseconds_since(begun)
            attempt.status = response.status
            attempt.headers = _kept_headers(response)
            _read_body(attempt, response)
        if attempt.watchdog.has_bitten:  # an answer without a length just ends when the socket is shut down
            raise TimeoutError


def _read_body(attempt: _Attempt, response: http.client.HTTPResponse) -> None:
    while piece := response.read1(attempt.body_limit + 1 - len(attempt.body)):
        attempt.body += piece
        if len(attempt.body) > attempt.body_limit:
            del attempt.body[attempt.body_limit :]
            attempt.truncated = True
            return
    if response.length:  # read1 takes an early end for an end
        raise http.client.IncompleteRead(b"", response.length)


def _kept_headers(response: http.client.HTTPResponse) -> dict[str, str]:
    kept: dict[str, str] = {}
    left = KEPT_HEADERS
    for written, value in response.getheaders():
        name, text = written.lower(), _printable(value.encode(), KEPT_HEADERS)
        left -= len(name) + len(text)
        if left < 0:
            break
        kept[name] = f"{kept[name]}, {text}" if name in kept else text
    return kept


def _look_up(resolver: Resolver, url: ParsedUrl, seconds: float) -> Sequence[str]:
    """Ask the resolver in a thread of its own: `getaddrinfo` cannot be interrupted.

    A lookup that is given up goes on in its daemon thread until the system's resolver gives up as well.
    """
    answer: list[Sequence[str]] = []
    done = threading.Event()

    def ask() -> None:
        try:
            answer.append(resolver(url.host, url.port))
        except (OSError, UnicodeError):
            answer.append([])
        finally:
            done.set()

    threading.Thread(target=ask, name="lookup", daemon=True).start()
    if not done.wait(seconds):
        raise Refused("dns", f"The host name could not be looked up within {seconds:g} s.")
    if not answer or not answer[0]:
        raise Refused("dns", "The host name could not be found.")
    return answer[0]


def _reach_any(attempt: _Attempt, target: Target) -> socket.socket:
    """A connection to the first address that answers; each gets a fair share of the time that is left.

    Raises:
        OSError: None could be reached.
    """
    ends = time.monotonic() + min(attempt.connect, attempt.left)
    addresses = target.addresses[:MAX_ADDRESSES_TRIED]
    failure = OSError("no address")
    for index, address in enumerate(addresses):
        share = (ends - time.monotonic()) / (len(addresses) - index)
        attempt.address = address
        try:
            return _reach(address, target.url.port, max(share, 0.001))
        except OSError as one:
            failure = one
    raise failure


def _reach(address: str, port: int, seconds: float) -> socket.socket:
    checked = ip_address(address)
    sock = socket.socket(socket.AF_INET if checked.version == 4 else socket.AF_INET6, socket.SOCK_STREAM)
    try:
        sock.settimeout(seconds)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.connect((address, port))
        _check_peer(sock, checked)
    except BaseException:
        sock.close()
        raise
    return sock


def _check_peer(sock: socket.socket, checked: Address) -> None:
    peer = str(sock.getpeername()[0])
    if ip_address(peer) != checked:
        raise Refused("blocked_address", ADDRESS_NOT_ALLOWED, peer)


def _check_context(context: ssl.SSLContext | None) -> None:
    if context is not None and not (context.check_hostname and context.verify_mode is ssl.CERT_REQUIRED):
        raise ValueError("the TLS context must verify certificates and names")


def _tls_error(failure: Exception) -> str:
    """OpenSSL's own fixed texts about certificates are safe to show; anything else is not."""
    if isinstance(failure, ssl.SSLCertVerificationError):
        return f"The certificate was not accepted: {failure.verify_message.rstrip('.')}."
    return "The TLS handshake failed."


def _milliseconds_since(begun: float) -> int:
    return round((time.monotonic() - begun) * 1000)


def _printable(data: bytes, limit: int) -> str:
    """UTF-8 text of at most `limit` bytes that cannot steer a terminal or the direction of writing."""
    decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
    text = decoder.decode(data[:limit], final=len(data) <= limit).replace("\r\n", "\n")
    shown = _NOT_PRINTABLE.sub(lambda match: ascii(match[0])[1:-1], text)
    return shown.encode()[:limit].decode(errors="ignore")
