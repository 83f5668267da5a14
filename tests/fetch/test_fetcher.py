"""Requests to addresses from outside, against real servers that do not mean well."""

import asyncio
import gzip
import socket
import ssl
import subprocess
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from covey.fetch import Fetcher, FetchFailed, FetchRefused, NetworkLost
from covey.settings import Fetch
from tests.fetch.receivers import ALLOWED, Behaviour, says, serving


async def endless(_: str, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        writer.write(b"x" * 65536)
        await writer.drain()


def drips(started: asyncio.Event | None = None) -> Behaviour:
    async def answer(_: str, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")
        if started is not None:
            started.set()
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.01)

    return answer


def names(**known: Sequence[Any]) -> Callable[[str, int], Awaitable[Sequence[str]]]:
    """A name server that knows these names, with dots written as `__`; of several answers each is given once."""
    held: dict[str, Any] = {name.replace("__", "."): answers for name, answers in known.items()}

    async def resolve(host: str, _: int) -> Sequence[str]:
        if host not in held:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        answers = held[host]
        if isinstance(answers, list):
            found: Sequence[str] = answers.pop(0)
            return found
        return tuple(answers)

    return resolve


def fetcher(resolve: Any = None, tls: ssl.SSLContext | None = None, **settings: Any) -> Fetcher:
    settings.setdefault("allow", (ip_network(f"{ALLOWED}/32"),))
    return Fetcher(Fetch(**settings), resolve or names(hook__test=(ALLOWED,), inside__test=("127.0.0.1",)), tls)


async def test_an_answer_comes_as_it_is() -> None:
    async with serving(says("418 Teapot", b"short and stout", x_kind="pot")) as receiver:
        url = f"http://hook.test:{receiver.port}/a/b?c=d"
        answer = await fetcher().request("POST", url, headers={"X-Mine": "1"}, body=b"{}", timeout=5)
    assert (answer.status, answer.body, answer.headers["x-kind"]) == (418, b"short and stout", "pot")
    [head] = receiver.heads
    assert head.startswith("POST /a/b?c=d HTTP/1.1\r\n")
    lines = dict(line.lower().split(": ", 1) for line in head.strip().splitlines()[1:])
    assert lines["host"] == f"hook.test:{receiver.port}"
    assert (lines["x-mine"], lines["accept-encoding"], lines["connection"]) == ("1", "identity", "close")


async def test_no_proxy_of_the_environment_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(says()) as proxy, serving(says(body=b"direct")) as receiver:
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://{ALLOWED}:{proxy.port}")
        answer = await fetcher().request("GET", f"http://hook.test:{receiver.port}/", timeout=5)
    assert answer.body == b"direct"
    assert proxy.heads == []


async def test_a_name_is_looked_up_once_and_what_was_checked_is_asked() -> None:
    """A rebinding name server: the second answer, which nobody asks for, would be the machine itself."""
    answers = [(ALLOWED,), ("127.0.0.1",)]
    async with serving(says(body=b"checked")) as receiver:
        answer = await fetcher(names(hook__test=answers)).request(
            "GET", f"http://hook.test:{receiver.port}/", timeout=5
        )
    assert answer.body == b"checked"
    assert answers == [("127.0.0.1",)]


@pytest.mark.parametrize(
    "found",
    [
        ("127.0.0.1",),
        (ALLOWED, "127.0.0.1"),
        ("8.8.8.8", "10.0.0.1"),
        ("::1",),
        ("fe80::1%eth0",),
        ("::ffff:10.0.0.1",),
    ],
)
async def test_a_name_that_leads_inside_is_refused(found: tuple[str, ...], tmp_path: Path) -> None:
    async with serving(says(), host="127.0.0.1") as inside:
        refused = fetcher(names(hook__test=found))
        url = f"http://hook.test:{inside.port}/path?secret=1"
        with pytest.raises(FetchRefused, match=r"^hook\.test leads to an address that is not") as error:
            await refused.request("POST", url, timeout=5)
        with pytest.raises(FetchRefused):
            await refused.download(url, tmp_path / "file")
    assert "secret" not in str(error.value)
    assert inside.heads == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "location",
    ["http://127.0.0.1:{port}/", "http://inside.test:{port}/", "//inside.test:{port}/x", "file:///etc/passwd"],
)
async def test_a_redirect_inside_is_refused(location: str, tmp_path: Path) -> None:
    async with serving(says(), host="127.0.0.1") as inside:
        to = location.format(port=inside.port)
        async with serving(says("302 Found", location=to)) as receiver:
            with pytest.raises(FetchRefused):
                await fetcher().download(f"http://hook.test:{receiver.port}/", tmp_path / "file")
    assert inside.heads == []
    assert list(tmp_path.iterdir()) == []


async def test_redirects_are_followed_by_downloads_only(tmp_path: Path) -> None:
    async def leads(head: str, writer: asyncio.StreamWriter) -> None:
        last = head.startswith("GET /b/film.mp4 ")
        await (says(body=b"film", content_type="video/mp4") if last else says("302 Found", location="b/film.mp4"))(
            head, writer
        )

    async with serving(leads) as receiver:
        url = f"http://hook.test:{receiver.port}/a"
        answer = await fetcher().request("POST", url, timeout=5)
        assert answer.status == 302
        seen = list[tuple[int, int | None]]()
        found = await fetcher().download(url, tmp_path / "x", progress=lambda there, total: seen.append((there, total)))
    assert (found.size, found.content_type, found.name) == (4, "video/mp4", "film.mp4")
    assert (tmp_path / "x").read_bytes() == b"film"
    assert seen == [(4, 4)]


async def test_redirects_end(tmp_path: Path) -> None:
    async with serving(says("302 Found", location="/again")) as receiver:
        with pytest.raises(FetchRefused, match="leads on more than 5 times"):
            await fetcher().download(f"http://hook.test:{receiver.port}/", tmp_path / "x")
    assert len(receiver.heads) == 6


async def test_headers_stay_with_their_origin() -> None:
    there: list[int] = []

    async def leads(head: str, writer: asyncio.StreamWriter) -> None:
        await says("307 Go", location=f"http://other.test:{there[0]}/")(head, writer)

    async with serving(says(body=b"there")) as other, serving(leads) as receiver:
        there.append(other.port)
        asks = fetcher(names(hook__test=(ALLOWED,), other__test=(ALLOWED,)))
        url = f"http://hook.test:{receiver.port}/"
        await asks.request("GET", url, headers={"authorization": "x"}, timeout=5, redirects=2)
    assert "authorization" in receiver.heads[0]
    assert "authorization" not in other.heads[0]


async def test_a_slow_answer_ends_in_time(tmp_path: Path) -> None:
    async with serving(drips()) as receiver:
        url = f"http://hook.test:{receiver.port}/"
        with pytest.raises(FetchFailed, match=r"did not answer in full within 0\.2 seconds") as error:
            await fetcher(seconds=0.2).download(url, tmp_path / "x")
        with pytest.raises(FetchFailed):
            await fetcher().request("POST", url, timeout=0.2)
        assert (await fetcher().request("POST", url, timeout=5, most=0)).status == 200
    assert error.value.retryable
    assert list(tmp_path.iterdir()) == []


async def test_a_body_is_taken_up_to_its_limit(tmp_path: Path) -> None:
    async with serving(endless) as receiver:
        url = f"http://hook.test:{receiver.port}/"
        with pytest.raises(FetchRefused, match="more than 3,000,000 bytes"):
            await fetcher().download(url, tmp_path / "x", 3_000_000)
        answer = await fetcher().request("GET", url, timeout=5, most=100)
    assert answer.body == b"x" * 100
    assert list(tmp_path.iterdir()) == []


async def test_a_length_that_is_too_much_is_not_waited_for(tmp_path: Path) -> None:
    async with serving(drips()) as receiver:
        with pytest.raises(FetchRefused, match="more than 10 bytes"):
            await fetcher(bytes=10).download(f"http://hook.test:{receiver.port}/", tmp_path / "x")


async def test_a_packed_answer_is_refused(tmp_path: Path) -> None:
    bomb = gzip.compress(b"\0" * 10_000_000)
    async with serving(says(body=bomb, content_encoding="gzip")) as receiver:
        with pytest.raises(FetchRefused, match="packed"):
            await fetcher().download(f"http://hook.test:{receiver.port}/", tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("status", "retryable"), [("404 No", False), ("503 Busy", True), ("429 Slow", True)])
async def test_a_bad_status_is_no_file(status: str, retryable: bool, tmp_path: Path) -> None:
    async with serving(says(status, b"not a film")) as receiver:
        with pytest.raises(FetchFailed) as error:
            await fetcher().download(f"http://hook.test:{receiver.port}/?key=private", tmp_path / "x")
    assert error.value.message == f"hook.test answered {status[:3]}"
    assert error.value.retryable is retryable
    assert list(tmp_path.iterdir()) == []


async def test_a_broken_answer_is_no_file(tmp_path: Path) -> None:
    async def breaks(_: str, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf")
        await writer.drain()

    async with serving(breaks) as receiver:
        with pytest.raises(FetchFailed, match="broke before the answer was complete"):
            await fetcher().download(f"http://hook.test:{receiver.port}/", tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


async def test_nobody_there_and_no_such_name() -> None:
    async with serving(says()) as receiver:
        port = receiver.port
    with pytest.raises(FetchFailed, match="did not take the connection") as refused:
        await fetcher().request("POST", f"http://hook.test:{port}/", timeout=5)
    with pytest.raises(FetchFailed, match=r"^nowhere\.test is not known") as unknown:
        await fetcher().request("POST", "http://nowhere.test/", timeout=5)
    assert [type(one.value) for one in (refused, unknown)] == [FetchFailed, FetchFailed]
    assert [one.value.retryable for one in (refused, unknown)] == [True, False]


@pytest.mark.parametrize(
    "fault",
    [
        OSError("no name server"),
        socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"),
        socket.gaierror(socket.EAI_SYSTEM, "System error"),
    ],
)
async def test_a_name_server_that_gives_no_answer_says_nothing_of_the_name(fault: OSError) -> None:
    async def resolve(host: str, port: int) -> Sequence[str]:
        raise fault

    with pytest.raises(NetworkLost, match=r"^No name server answered what the address of hook\.test is$") as lost:
        await fetcher(resolve).request("GET", "http://hook.test/", timeout=5)
    assert lost.value.retryable


async def test_where_the_kernel_knows_no_way_the_network_may_be_gone() -> None:
    """Linux answers ENETUNREACH at once where TCP is asked to go to everybody (`tcp_v4_connect`)."""
    nobody = fetcher(names(hook__test=("255.255.255.255",)), allow=(ip_network("255.255.255.255/32"),))
    with pytest.raises(NetworkLost, match=r"^This server found no way to hook\.test$"):
        await nobody.request("GET", "http://hook.test/", timeout=5)


async def test_the_next_address_is_asked_when_one_takes_no_connection() -> None:
    async with serving(says(body=b"second"), host="127.0.0.3") as receiver:
        asks = fetcher(names(hook__test=(ALLOWED, "127.0.0.3")), allow=(ip_network("127.0.0.2/31"),))
        assert (await asks.request("GET", f"http://hook.test:{receiver.port}/", timeout=5)).body == b"second"


async def test_a_host_has_few_connections_at_once() -> None:
    go_on, full = asyncio.Event(), asyncio.Event()

    async def waits(head: str, writer: asyncio.StreamWriter) -> None:
        if receiver.open == 2:
            full.set()
        await go_on.wait()
        await says()(head, writer)

    async with serving(waits) as receiver:
        asks = fetcher(per_host=2)
        url = f"http://hook.test:{receiver.port}/"
        every = [asyncio.create_task(asks.request("POST", url, timeout=5)) for _ in range(6)]
        await full.wait()
        async with serving(says()) as other:
            assert (await asks.request("POST", f"http://hook.test:{other.port}/", timeout=5)).status == 200
        go_on.set()
        assert [answer.status for answer in await asyncio.gather(*every)] == [200] * 6
    assert receiver.most == 2


def _certificate(folder: Path, name: str) -> tuple[Path, Path]:
    cert, key = folder / f"{name}.pem", folder / f"{name}.key"
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    files = ["-keyout", str(key), "-out", str(cert), "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}"]
    subprocess.run([*made, *files], check=True, capture_output=True)
    return cert, key


async def test_a_certificate_is_for_the_name(tmp_path: Path) -> None:
    cert, key = _certificate(tmp_path, "hook.test")
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(cert, key)
    trusts = ssl.create_default_context(cafile=str(cert))
    async with serving(says(body=b"safe"), tls=server) as receiver:
        asks = fetcher(names(hook__test=(ALLOWED,), other__test=(ALLOWED,)), trusts)
        assert (await asks.request("GET", f"https://hook.test:{receiver.port}/", timeout=5)).body == b"safe"
        for host in ("other.test", ALLOWED):
            with pytest.raises(FetchFailed, match="no certificate for this name"):
                await asks.request("GET", f"https://{host}:{receiver.port}/", timeout=5)
