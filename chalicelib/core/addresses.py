"""Which customer-supplied URLs and addresses we may connect to. Rules only: nothing here does I/O.

A URL is read once, by `parse_url`; everything later (lookup, SNI, `Host`, request line) comes from what it
returns, so that no two parsers can disagree. Addresses are judged by `is_public`. What may be reached:

* https on port 443 or 1024 to 65535, except the bad ports of the Fetch standard;
* a name with a dot, or an address literal, that stands for public addresses only;
* in local stages also loopback, over http too. Nothing else can be opened, and nothing turns this off.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Literal, NoReturn
from urllib.parse import SplitResult, quote, urlsplit

from pydantic_core import Url

Address = IPv4Address | IPv6Address
Reason = Literal["invalid_url", "invalid_header", "dns", "blocked_address"]

MAX_URL_LENGTH = 2048
"""In characters."""

ADDRESS_NOT_ALLOWED = "The address of this host is not allowed."
"""One text for every refused address: it must not tell a caller what lies behind a name."""

DENIED_V4 = tuple(
    IPv4Network(block)
    for block in (
        "0.0.0.0/8",  # "this network", RFC 791
        "10.0.0.0/8",  # private, RFC 1918
        "100.64.0.0/10",  # shared by carriers (and Alibaba's metadata service), RFC 6598
        "127.0.0.0/8",  # loopback, RFC 1122
        "168.63.129.16/32",  # Azure's host services
        "169.254.0.0/16",  # link-local, the metadata services of AWS and others, RFC 3927
        "172.16.0.0/12",  # private, RFC 1918
        "192.0.0.0/24",  # IETF protocol assignments (and Oracle's metadata service), RFC 6890
        "192.0.2.0/24",  # documentation, RFC 5737
        "192.31.196.0/24",  # AS112, RFC 7535
        "192.52.193.0/24",  # AMT relays, RFC 7450
        "192.88.99.0/24",  # 6to4 relays, RFC 7526
        "192.168.0.0/16",  # private, RFC 1918
        "192.175.48.0/24",  # AS112, RFC 7534
        "198.18.0.0/15",  # benchmarks, RFC 2544
        "198.51.100.0/24",  # documentation, RFC 5737
        "203.0.113.0/24",  # documentation, RFC 5737
        "224.0.0.0/4",  # multicast, RFC 5771
        "240.0.0.0/4",  # reserved, and broadcast, RFC 1112
    )
)
PUBLIC_V6 = IPv6Network("2000::/3")
"""The only IPv6 space given out for public use (RFC 4291 section 2.4). Outside of it lie loopback,
IPv4-compatible `::/96`, NAT64 `64:ff9b::/96` and `64:ff9b:1::/48`, `100::/64`, `5f00::/16`, `fc00::/7`,
`fe80::/10`, `fec0::/10` and `ff00::/8`, several of which `ipaddress.is_global` of CPython 3.11 calls global.
"""

DENIED_V6 = tuple(
    IPv6Network(block)
    for block in (
        "2001::/23",  # IETF protocol assignments: Teredo, ORCHID, benchmarks, RFC 2928
        "2001:db8::/32",  # documentation, RFC 3849
        "2002::/16",  # 6to4, which carries an IPv4 address, RFC 3056
        "2620:4f:8000::/48",  # AS112, RFC 7534
        "3fff::/20",  # documentation, RFC 9637
    )
)
BAD_PORTS = frozenset(
    {1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566}
    | {6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080}
)
"""Ports from 1024 on of protocols that can be confused by HTTP (Fetch standard, "bad port")."""

LOCAL_SUFFIXES = ("internal", "local", "localdomain", "home.arpa", "onion")
"""Names that only have a meaning inside somebody's network, or none in DNS (RFC 6762, 7686, 8375)."""

SET_BY_US = frozenset(
    {"accept-encoding", "connection", "content-length", "expect", "host", "keep-alive", "te", "trailer"}
    | {"transfer-encoding", "upgrade"}
)
"""Headers that frame the message or steer the connection: never a caller's."""

_FORBIDDEN_CHARACTER = re.compile(r"[\x00-\x20\x7f-\x9f\\]")
_NETLOC = re.compile(r"(?:\[(?P<literal>[0-9a-fA-F:.]+)\]|(?P<name>[^\[\]:@%]+))(?::\d*)?")
_NAME = re.compile(r"(?:(?!-)[a-z0-9_-]{1,63}(?<!-)\.)*(?!-)[a-z0-9_-]{1,63}(?<!-)")
_ENDS_IN_NUMBER = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 section 5.6.2
_HEADER_VALUE = re.compile(r"[\x20-\x7e\t]*")
_KEPT_IN_PATH = "!#$%&'()*+,/:;=?@[]~"


class Refused(Exception):
    """This URL, header or address may not be used.

    `reason` is a class for logs and records, `message` a sentence for the person who configured the URL.
    `address` is the address that was refused, if one was: for our logs, not for the customer.
    """

    def __init__(self, reason: Reason, message: str, address: str | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.address = address


@dataclass(frozen=True)
class ParsedUrl:
    """A URL that keeps the rules of form. Its host has not been looked up yet.

    `host` is lower-case ASCII without brackets or final dot, `target` the path and query as sent.
    """

    scheme: Literal["http", "https"]
    host: str
    port: int
    target: str

    @property
    def literal(self) -> Address | None:
        """The address, if the host is written as one."""
        return _literal(self.host)


def parse_url(url: str, *, allow_loopback: bool = False, own_hosts: Collection[str] = ()) -> ParsedUrl:
    """Read a customer's URL, or raise Refused("invalid_url").

    Args:
        url: As the customer wrote it. International names are converted (UTS 46).
        allow_loopback: Local stages only: http and `localhost` become acceptable here.
        own_hosts: Our own host names; they and what is below them are refused.
    """
    parts = _split(url)
    scheme = _scheme(parts, allow_loopback=allow_loopback)
    host = _host(parts)
    _check_name(host, allow_loopback=allow_loopback, own_hosts=own_hosts)
    port = _port(parts, scheme)
    path = quote(parts.path or "/", safe=_KEPT_IN_PATH)
    query = quote(parts.query, safe=_KEPT_IN_PATH)
    return ParsedUrl(scheme, host, port, f"{path}?{query}" if query else path)


def unmapped(address: Address) -> Address:
    """The IPv4 address inside `::ffff:0:0/96` (RFC 4291 section 2.5.5.2), or the address itself."""
    inner = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return inner or address


def is_public(address: Address) -> bool:
    """Whether the public internet routes to it. Stricter than `ipaddress.is_global`, which is asked too."""
    address = unmapped(address)
    if not address.is_global or address.is_multicast:
        return False
    if isinstance(address, IPv4Address):
        return not any(address in block for block in DENIED_V4)
    if address.scope_id is not None or address not in PUBLIC_V6:
        return False
    return not any(address in block for block in DENIED_V6)


def check_addresses(
    url: ParsedUrl, found: Collection[str], *, allow_loopback: bool = False
) -> tuple[str, ...]:
    """All addresses of the host, in their order, fit to connect to.

    Raises:
        Refused: "dns" when there are none; "blocked_address" when any one of them is not public: a host with
            one bad address is bad; "invalid_url" for http to anything but loopback.
    """
    if not found:
        raise Refused("dns", "The host name has no address.")
    addresses = [unmapped(ip_address(text)) for text in found]
    for address in addresses:
        if not (is_public(address) or (allow_loopback and address.is_loopback)):
            raise Refused("blocked_address", ADDRESS_NOT_ALLOWED, str(address))
    if url.scheme == "http" and not all(address.is_loopback for address in addresses):
        _invalid("The URL must begin with https://.")
    return tuple(dict.fromkeys(map(str, addresses)))


def check_headers(headers: Mapping[str, str]) -> None:
    """Raise Refused("invalid_header") for what cannot be sent safely.

    Names are tokens, values visible ASCII, spaces and tabs (RFC 9110 section 5.5): no line breaks. The
    headers of `SET_BY_US` and `Proxy-*` are not a caller's.
    """
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name):
            raise Refused("invalid_header", "A header name contains characters that are not allowed.")
        if not _HEADER_VALUE.fullmatch(value):
            raise Refused("invalid_header", f"The value of {name} contains characters that are not allowed.")
        if name.lower() in SET_BY_US or name.lower().startswith("proxy-"):
            raise Refused("invalid_header", f"The header {name} cannot be set.")


def _invalid(message: str) -> NoReturn:
    raise Refused("invalid_url", message)


def _split(url: str) -> SplitResult:
    if len(url) > MAX_URL_LENGTH:
        _invalid(f"The URL may have at most {MAX_URL_LENGTH} characters.")
    # before urlsplit, which drops tabs and line breaks silently
    if _FORBIDDEN_CHARACTER.search(url):
        _invalid("The URL must not contain spaces, control characters or backslashes.")
    if "#" in url:
        _invalid("The URL must not have a fragment (#).")
    try:
        parts = urlsplit(url)
    except ValueError:
        _invalid("This is not a valid URL.")
    if "@" in parts.netloc:
        _invalid("The URL must not contain a user name or password.")
    return parts


def _scheme(parts: SplitResult, *, allow_loopback: bool) -> Literal["http", "https"]:
    if parts.scheme == "https":
        return "https"
    if parts.scheme == "http" and allow_loopback:
        return "http"
    return _invalid("The URL must begin with https://.")


def _host(parts: SplitResult) -> str:
    match = _NETLOC.fullmatch(parts.netloc)
    if match is None:
        _invalid("The URL has no valid host.")
    if match["literal"]:
        try:
            return str(IPv6Address(match["literal"]))
        except ValueError:
            _invalid("The URL has no valid host.")
    return _ascii_name(match["name"])


def _ascii_name(name: str) -> str:
    """The name as DNS and TLS know it. Not by `encodings.idna`: IDNA 2003 turns "straße" into "strasse"."""
    if not name.isascii():
        try:
            name = Url(f"https://{name}/").host or ""
        except ValueError:
            _invalid("The URL has no valid host.")
    name = name.lower().removesuffix(".")
    if len(name) > 253 or not _NAME.fullmatch(name):
        _invalid("The URL has no valid host.")
    return name


def _check_name(host: str, *, allow_loopback: bool, own_hosts: Collection[str]) -> None:
    if _literal(host):
        return
    if _ENDS_IN_NUMBER.fullmatch(host):
        # 2130706433, 0x7f.1, 0177.0.0.1, 127.1: addresses to some resolvers, to us none
        _invalid("The URL has no valid host.")
    if _below(host, ["localhost"]) and not allow_loopback:
        _invalid("The host must be reachable from the internet.")
    if _below(host, LOCAL_SUFFIXES) or ("." not in host and host != "localhost"):
        _invalid("The host must be reachable from the internet.")
    if _below(host, own_hosts):
        _invalid("The URL must not point to this API.")


def _below(host: str, names: Collection[str]) -> bool:
    return any(host == name or host.endswith(f".{name}") for name in names)


def _literal(host: str) -> Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _port(parts: SplitResult, scheme: Literal["http", "https"]) -> int:
    try:
        port = parts.port
    except ValueError:
        port = 0
    default = 443 if scheme == "https" else 80
    if port is None or port == default:
        return default
    if port < 1024 or port in BAD_PORTS:
        _invalid("The port must be 443 or from 1024 to 65535, and not one of another protocol.")
    return port
