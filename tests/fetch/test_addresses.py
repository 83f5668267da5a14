"""Which addresses may be asked, in every notation."""

from ipaddress import ip_address, ip_network

import pytest

from covey.fetch import FetchRefused, check_url
from covey.fetch.addresses import check_address, take_apart

PRIVATE = [
    "http://127.0.0.1/",
    "http://127.1/",
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0x7f.0.0.1/",
    "http://0177.0.0.1/",
    "http://017700000001/",
    "http://127.0.0.1./",
    "http://127.0.0.1:8080/x?y=z",
    "http://0/",
    "http://0.0.0.0/",
    "http://10.1.2.3/",
    "http://172.16.0.1/",
    "http://192.168.1.1/",
    "http://169.254.169.254/latest/meta-data/",
    "http://100.64.0.1/",
    "http://192.0.0.8/",
    "http://192.0.2.1/",
    "http://192.88.99.1/",
    "http://198.18.0.1/",
    "http://198.51.100.1/",
    "http://203.0.113.1/",
    "http://224.0.0.1/",
    "http://240.0.0.1/",
    "http://255.255.255.255/",
    "http://[::1]/",
    "http://[::]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/",
    "http://[::127.0.0.1]/",
    "http://[64:ff9b::127.0.0.1]/",
    "http://[64:ff9b:1::8.8.8.8]/",
    "http://[2002:7f00:1::]/",
    "http://[2001::1]/",
    "http://[2001:db8::1]/",
    "http://[3fff::1]/",
    "http://[fe80::1]/",
    "http://[fec0::1]/",
    "http://[fc00::1]/",
    "http://[fd12:3456::1]/",
    "http://[ff02::1]/",
    "http://[5f00::1]/",
    "http://localhost/",
    "http://LOCALHOST./",
    "http://a.localhost/",
    "http://１２７.0.0.1/",
    "http://127。0。0。1/",
    "http://①②⑦.0.0.1/",
]

NO_URL = [
    "",
    "example.com",
    "//example.com/",
    "ftp://example.com/",
    "file:///etc/passwd",
    "gopher://example.com/",
    "http:///x",
    "http://",
    "http://example.com:0/",
    "http://example.com:99999/",
    "http://example.com:x/",
    "http://user@example.com/",
    "http://user:password@example.com/",
    "http://example.com@127.0.0.1/",
    "http://@example.com/",
    "http://example.com\\@127.0.0.1/",
    "http://exa mple.com/",
    "http://example.com/\r\nHost: x",
    "\thttp://example.com/",
    "http://exa%6dple.com/",
    "http://%31%32%37.0.0.1/",
    "http://[fe80::1%25eth0]/",
    "http://[fe80::1%eth0]/",
    "http://[::1/",
    "http://[v1.x]/",
    "http://256.256.256.256/",
    "http://1.2.3.4.5/",
    "http://example.com../",
    "http://.example.com/",
    "http://a..b/",
    "http://0x/",
    "http://08.1.1.1/",
    "http://example.com/" + "a" * 2000,
]


@pytest.mark.parametrize("url", [*PRIVATE, *NO_URL])
def test_refused(url: str) -> None:
    with pytest.raises(FetchRefused):
        check_url(url)


@pytest.mark.parametrize(
    ("url", "origin", "target"),
    [
        ("http://example.com", "http://example.com", "/"),
        ("HTTPS://Example.COM:443/a?b=c#d", "https://example.com", "/a?b=c"),
        ("https://example.com.:8443/a;b?", "https://example.com:8443", "/a;b"),
        ("http://münchen.example/", "http://xn--mnchen-3ya.example", "/"),
        ("http://a_b.example/", "http://a_b.example", "/"),
        ("http://8.8.8.8/", "http://8.8.8.8", "/"),
        ("http://134744072/", "http://8.8.8.8", "/"),
        ("http://[2606:4700::1111]:81/", "http://[2606:4700::1111]:81", "/"),
        ("http://[64:ff9b::8.8.8.8]/", "http://[64:ff9b::808:808]", "/"),
    ],
)
def test_taken(url: str, origin: str, target: str) -> None:
    check_url(url)
    place = take_apart(url)
    assert (place.origin, place.target) == (origin, target)


def test_networks_are_allowed_by_name() -> None:
    allow = [ip_network("10.1.0.0/16"), ip_network("fd00::/8")]
    for url in ("http://10.1.2.3/", "http://[::ffff:10.1.2.3]/", "http://[fd00::1]/"):
        check_url(url, allow)
    for url in ("http://10.2.0.1/", "http://127.0.0.1/", "http://[fc00::1]/"):
        with pytest.raises(FetchRefused, match="not on the public internet"):
            check_url(url, allow)


def test_every_private_literal_is_refused_as_an_answer_of_a_name_server_too() -> None:
    literals = [place.literal for place in map(take_apart, PRIVATE) if place.literal is not None]
    assert len(literals) > 40
    for literal in literals:
        with pytest.raises(FetchRefused, match=r"^some\.name leads to an address that is not"):
            check_address(ip_address(str(literal)), "some.name")
