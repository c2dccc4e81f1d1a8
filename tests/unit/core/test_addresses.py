"""The rules of the guard as tables: which addresses, which URLs, which headers."""

from ipaddress import ip_address

import pytest

from chalicelib.core.addresses import Refused, check_addresses, check_headers, is_public, parse_url

REFUSED_ADDRESSES = {
    "0.0.0.0": "this network",  # noqa: S104 - nothing is bound here
    "0.1.2.3": "this network",
    "10.0.0.1": "private",
    "100.64.0.1": "carriers",
    "100.100.100.200": "Alibaba's metadata",
    "127.0.0.1": "loopback",
    "127.255.255.254": "loopback",
    "168.63.129.16": "Azure's host",
    "169.254.169.254": "metadata",
    "169.254.170.2": "ECS credentials",
    "172.16.0.1": "private",
    "172.31.255.255": "private",
    "192.0.0.192": "Oracle's metadata",
    "192.0.2.1": "documentation",
    "192.31.196.1": "AS112",
    "192.52.193.1": "AMT",
    "192.88.99.1": "6to4 relay",
    "192.168.1.1": "private",
    "192.175.48.1": "AS112",
    "198.18.0.1": "benchmarks",
    "198.51.100.1": "documentation",
    "203.0.113.1": "documentation",
    "224.0.0.1": "multicast",
    "239.255.255.250": "multicast",
    "240.0.0.1": "reserved",
    "255.255.255.255": "broadcast",
    "::": "unspecified",
    "::1": "loopback",
    "::127.0.0.1": "IPv4-compatible",
    "::ffff:127.0.0.1": "mapped loopback",
    "::ffff:a9fe:a9fe": "mapped metadata",
    "::ffff:0:127.0.0.1": "translated (SIIT)",
    "64:ff9b::a9fe:a9fe": "NAT64 of metadata",
    "64:ff9b::808:808": "NAT64",
    "64:ff9b:1::1": "local NAT64",
    "100::1": "discard only",
    "2001::1": "Teredo",
    "2001:2::1": "benchmarks",
    "2001:10::1": "ORCHID",
    "2001:20::1": "ORCHIDv2",
    "2001:db8::1": "documentation",
    "2002:a9fe:a9fe::": "6to4 of metadata",
    "2002:808:808::1": "6to4",
    "2620:4f:8000::1": "AS112",
    "3fff::1": "documentation",
    "5f00::1": "SRv6 segments",
    "fc00::1": "unique local",
    "fd00:ec2::254": "AWS metadata",
    "fe80::1": "link-local",
    "2a00:1450::1%eth0": "scoped",
    "fec0::1": "site-local",
    "ff02::1": "multicast",
    "ff0e::1": "global multicast",
    "4000::1": "not given out",
}
PUBLIC_ADDRESSES = [
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.1",
    "100.63.255.255",
    "100.128.0.1",
    "168.63.129.15",
    "172.15.255.255",
    "172.32.0.1",
    "192.0.1.1",
    "198.20.0.1",
    "223.255.255.254",
    "::ffff:8.8.8.8",
    "2001:200::1",
    "2001:4860:4860::8888",
    "2606:4700::1111",
    "2a00:1450:4001:80b::200e",
]


@pytest.mark.parametrize("text", REFUSED_ADDRESSES, ids=lambda text: f"{text} {REFUSED_ADDRESSES[text]}")
def test_addresses_that_are_not_public(text: str) -> None:
    assert not is_public(ip_address(text))


@pytest.mark.parametrize("text", PUBLIC_ADDRESSES)
def test_addresses_that_are_public(text: str) -> None:
    assert is_public(ip_address(text))


@pytest.mark.parametrize("text", REFUSED_ADDRESSES)
def test_local_stages_open_loopback_and_nothing_else(text: str) -> None:
    url = parse_url("https://partner.example/")
    if text in {"127.0.0.1", "127.255.255.254", "::1", "::ffff:127.0.0.1"}:
        assert check_addresses(url, [text], allow_loopback=True)
        return
    with pytest.raises(Refused) as refused:
        check_addresses(url, [text], allow_loopback=True)
    assert refused.value.reason == "blocked_address"


def test_one_bad_address_is_enough() -> None:
    url = parse_url("https://partner.example/")
    with pytest.raises(Refused) as refused:
        check_addresses(url, ["8.8.8.8", "10.0.0.7", "1.1.1.1"])
    assert (refused.value.reason, refused.value.address) == ("blocked_address", "10.0.0.7")
    assert "10.0.0.7" not in refused.value.message


def test_good_addresses_keep_their_order_unmapped_and_once() -> None:
    url = parse_url("https://partner.example/")
    found = ["2606:4700::1111", "8.8.8.8", "::ffff:8.8.8.8", "1.1.1.1"]
    assert check_addresses(url, found) == ("2606:4700::1111", "8.8.8.8", "1.1.1.1")


def test_a_host_without_addresses_is_refused() -> None:
    with pytest.raises(Refused) as refused:
        check_addresses(parse_url("https://partner.example/"), [])
    assert refused.value.reason == "dns"


def test_http_is_for_loopback_only() -> None:
    url = parse_url("http://partner.example:8000/", allow_loopback=True)
    with pytest.raises(Refused) as refused:
        check_addresses(url, ["127.0.0.1", "8.8.8.8"], allow_loopback=True)
    assert refused.value.reason == "invalid_url"


@pytest.mark.parametrize(
    ("url", "host", "port", "target"),
    [
        ("https://hooks.partner.example/a/b?c=d&e=%20f", "hooks.partner.example", 443, "/a/b?c=d&e=%20f"),
        ("HTTPS://Hooks.Partner.Example", "hooks.partner.example", 443, "/"),
        ("https://partner.example.:443/", "partner.example", 443, "/"),
        ("https://partner.example:/", "partner.example", 443, "/"),
        ("https://partner.example:8443?x=1", "partner.example", 8443, "/?x=1"),
        ("https://partner.example:65535/", "partner.example", 65535, "/"),
        ("https://sub_domain.partner.example/", "sub_domain.partner.example", 443, "/"),
        ("https://metadata.idp.example/saml", "metadata.idp.example", 443, "/saml"),
        ("https://localhost.partner.example/", "localhost.partner.example", 443, "/"),
        ("https://straße.example/grüße?q=ü", "xn--strae-oqa.example", 443, "/gr%C3%BC%C3%9Fe?q=%C3%BC"),
        ("https://пример.example/", "xn--e1afmkfd.example", 443, "/"),
        ("https://8.8.8.8/", "8.8.8.8", 443, "/"),
        ("https://１.1.1.1/", "1.1.1.1", 443, "/"),
        ("https://[2606:4700:0::1111]:8443/", "2606:4700::1111", 8443, "/"),
        ("https://partner.example/{id}|x", "partner.example", 443, "/%7Bid%7D%7Cx"),
        ("https://partner.example//double//", "partner.example", 443, "//double//"),
    ],
)
def test_urls_that_are_fine(url: str, host: str, port: int, target: str) -> None:
    parsed = parse_url(url)
    assert (parsed.scheme, parsed.host, parsed.port, parsed.target) == ("https", host, port, target)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "partner.example",
        "//partner.example/",
        "http://partner.example/",
        "ftp://partner.example/",
        "file:///etc/passwd",
        "gopher://partner.example/",
        "javascript:alert(1)",
        "https:",
        "https:///path",
        "https://",
        "https://:443/",
        "https://user@partner.example/",
        "https://user:password@partner.example/",
        "https://@partner.example/",
        "https://partner.example@127.0.0.1/",
        "https://partner.example/#fragment",
        "https://partner.example/#",
        "https://partner.example/a b",
        "https://partner.example/a\tb",
        "https://partner.example/a\r\nX: y",
        "https://partner.exa\nmple/",
        " https://partner.example/",
        "https://partner.example\\@127.0.0.1/",
        "https://partner.example/\x00",
        "https://partner.example/\x85",
        "https://partner.example/" + "a" * 2048,
        "https://partner%2eexample/",
        "https://[fe80::1%25eth0]/",
        "https://[::1/",
        "https://[::1].partner.example/",
        "https://partner.example[::1]/",
        "https://[127.0.0.1]/",
        "https://[v1.x]/",
        "https://::1/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0x7f.1/",
        "https://0x7f.0.0.0x1/",
        "https://0177.0.0.1/",
        "https://127.1/",
        "https://127.0.0.1.2/",
        "https://256.1.1.1/",
        "https://partner.0x/",
        "https://localhost/",
        "https://localhost./",
        "https://LOCALHOST/",
        "https://ⓛocalhost/",
        "https://app.localhost/",
        "https://intranet/",
        "https://metadata/",
        "https://metadata.google.internal/",
        "https://ip-10-0-0-1.eu-central-1.compute.internal/",
        "https://printer.local/",
        "https://router.home.arpa/",
        "https://localhost.localdomain/",
        "https://hidden.onion/",
        "https://a..example/",
        "https://.example/",
        "https://partner.example../",
        "https://-a.example/",
        "https://a-.example/",
        "https://" + "a" * 64 + ".example/",
        "https://" + "a." * 130 + "example/",
        "https://a!b.example/",
        "https://xn--\u200d.example/",
        "https://partner.example:0/",
        "https://partner.example:22/",
        "https://partner.example:80/",
        "https://partner.example:1023/",
        "https://partner.example:6667/",
        "https://partner.example:65536/",
        "https://partner.example:-1/",
        "https://partner.example:４４３/",
        "https://partner.example:443:443/",
        "https://api.talktiko.example/",
        "https://eu.api.talktiko.example/",
    ],
)
def test_urls_that_are_refused(url: str) -> None:
    with pytest.raises(Refused) as refused:
        parse_url(url, own_hosts=["api.talktiko.example"])
    assert refused.value.reason == "invalid_url"


@pytest.mark.parametrize(
    "url", ["http://localhost/", "http://app.localhost:3000/", "http://127.0.0.1:8000/", "http://[::1]:8000/"]
)
def test_local_stages_take_http_and_localhost(url: str) -> None:
    parse_url(url, allow_loopback=True)
    with pytest.raises(Refused):
        parse_url(url)


@pytest.mark.parametrize("url", ["http://2130706433/", "http://a.internal/", "ftp://127.0.0.1/", "http://h/"])
def test_local_stages_keep_the_rules_of_form(url: str) -> None:
    with pytest.raises(Refused):
        parse_url(url, allow_loopback=True)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-A", "b\r\nX-C: d"),
        ("X-A", "b\n"),
        ("X-A", "b\r c"),
        ("X-A", "b\x00"),
        ("X-A", "grün"),
        ("X-A\r\nX-B", "c"),
        ("X A", "b"),
        ("X-A:", "b"),
        ("", "b"),
        ("X-Ä", "b"),
        ("Host", "elsewhere.example"),
        ("content-length", "0"),
        ("Transfer-Encoding", "chunked"),
        ("Connection", "keep-alive"),
        ("Accept-Encoding", "gzip"),
        ("Expect", "100-continue"),
        ("Proxy-Authorization", "Basic eA=="),
    ],
)
def test_headers_that_are_refused(name: str, value: str) -> None:
    with pytest.raises(Refused) as refused:
        check_headers({"X-Fine": "yes", name: value})
    assert refused.value.reason == "invalid_header"


def test_headers_that_are_fine() -> None:
    check_headers(
        {"Content-Type": "application/json", "User-Agent": "a/1 (b)", "X-Empty": "", "X_~!": "a\tb"}
    )
