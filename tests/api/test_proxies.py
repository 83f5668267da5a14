"""Who asks, and how, where proxies stand in front: only those that are trusted say so."""

from dataclasses import replace

import pytest
from starlette.types import Receive, Scope, Send

from tests.api.connecting import LIVEZ, PATIENT, connected, one_answer
from tests.api.harness import ApiHarness
from tests.api.serving import served

FORWARDED = "x-forwarded-for: 203.0.113.7\r\nx-forwarded-proto: https\r\n"


async def seen_as(api: ApiHarness, source: str, forwarded: str, *trusted: str, bind: str) -> tuple[str, str]:
    """The address under which a wrong key is counted, and the scheme, for a request from `source`."""
    seen: list[tuple[str, str]] = []
    door = api.app

    async def noting(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            seen.append((scope["client"][0], scope["scheme"]))
        await door(scope, receive, send)

    async with (
        served(replace(api, app=noting), PATIENT, *trusted, host=bind) as port,
        connected(port, source=source) as (reader, writer),
    ):
        writer.write(LIVEZ + forwarded.encode() + b"\r\n")
        await one_answer(reader)
    return seen[0]


@pytest.mark.parametrize(
    ("trusted", "forwarded", "address", "scheme"),
    [
        ([], FORWARDED, "127.0.0.2", "http"),
        (["127.0.0.3"], FORWARDED, "127.0.0.2", "http"),
        (["127.0.0.2"], FORWARDED, "203.0.113.7", "https"),
        (["127.0.0.0/8"], FORWARDED, "203.0.113.7", "https"),
        (["127.0.0.2"], "x-forwarded-for: 192.0.2.1, 203.0.113.7\r\n", "203.0.113.7", "http"),
        (["127.0.0.2"], "", "127.0.0.2", "http"),
    ],
)
@pytest.mark.parametrize("bind", ["0.0.0.0", "::"])
async def test_only_a_trusted_proxy_says_who_asks(
    api: ApiHarness, trusted: list[str], forwarded: str, address: str, scheme: str, bind: str
) -> None:
    """Also where one socket hears both kinds of IP, and names an IPv4 peer as an IPv6 address."""
    assert await seen_as(api, "127.0.0.2", forwarded, *trusted, bind=bind) == (address, scheme)
