"""Real phones in a process of their own, and trunks that call them over real SIP."""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from covey.calls.call import SAMPLE_RATE, Ask, CallOrder, Line, Script, StartLease, Turn, VoicemailPolicy
from covey.calls.speech.recognition import PocketsphinxRecognizer
from covey.calls.trunks.settings import SipSettings
from covey.calls.trunks.sip import SipTrunk
from tests.patience import PATIENCE

LINES = ("opening", "question", "again", "yes", "no", "goodbye")


@dataclass
class Watch:
    """Remembers what it was told; `dialled`, `has_it`, `rang` and `talks` can be awaited."""

    dialled: asyncio.Event = field(default_factory=asyncio.Event)
    has_it: asyncio.Event = field(default_factory=asyncio.Event)
    rang: asyncio.Event = field(default_factory=asyncio.Event)
    talks: asyncio.Event = field(default_factory=asyncio.Event)
    turns: list[Turn] = field(default_factory=list)

    def dialling(self) -> None:
        self.dialled.set()

    def reached(self) -> None:
        self.has_it.set()

    def ringing(self) -> None:
        self.rang.set()

    def answered(self) -> None:
        self.talks.set()

    def turn(self, turn: Turn) -> None:
        self.turns.append(turn)


class Phones:
    """A farm process and its log."""

    def __init__(self, log: Path, *switches: str) -> None:
        self.log = log
        self.since = 0
        command = [sys.executable, "-m", "covey.calls.trunks.demo", "--log", str(log), *switches]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.port = int(json.loads(self.process.stdout.readline())["port"])

    def lines(self, event: str | None = None) -> list[dict[str, Any]]:
        written = self.log.read_text().splitlines()[self.since :] if self.log.exists() else []
        lines = [json.loads(line) for line in written]
        return [line for line in lines if event in (None, line["event"])]

    async def until(self, event: str, count: int, within: float = PATIENCE) -> list[dict[str, Any]]:
        """Wait until the phones have written `count` lines of this kind."""
        async with asyncio.timeout(within):
            while len(lines := self.lines(event)) < count:
                await asyncio.sleep(0.02)
        return lines

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


PhonesMaker = Callable[..., Phones]


@pytest.fixture
def phones_maker(tmp_path: Path) -> Iterator[PhonesMaker]:
    """Starts farms with the switches they are given."""
    with ExitStack() as stack:

        def make(*switches: str) -> Phones:
            phones = Phones(tmp_path / "phones.jsonl", *switches)
            stack.callback(phones.stop)
            return phones

        yield make


@pytest.fixture(scope="session")
def good_phones(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Phones]:
    phones = Phones(tmp_path_factory.mktemp("phones") / "phones.jsonl", "--ring", "0.3")
    yield phones
    phones.stop()


@pytest.fixture
def phones(good_phones: Phones) -> Phones:
    """Phones that all ring 0.3 s. They are shared; each test sees what they wrote since it began."""
    good_phones.since = len(good_phones.log.read_text().splitlines())
    return good_phones


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Half a second of a noise of its own for every line: short, and found again by correlation."""
    folder = tmp_path_factory.mktemp("clips")
    made = {}
    for number, key in enumerate(LINES):
        path = folder / f"{key}.pcm"
        dice = np.random.default_rng(number)
        path.write_bytes((dice.normal(0, 4000, SAMPLE_RATE // 2)).astype("<i2").tobytes())
        made[key] = str(path)
    return made


def script(voicemail: VoicemailPolicy = VoicemailPolicy.hang_up) -> Script:
    line = {key: Line(key, key) for key in LINES}
    ask = Ask("come", line["question"], line["again"], line["yes"], line["no"])
    return Script((line["opening"],), (ask,), line["goodbye"], voicemail)


OrderMaker = Callable[..., CallOrder]


@pytest.fixture
def order(clips: dict[str, str]) -> OrderMaker:
    """Makes call orders, each for an item of its own; their licence begins at once."""
    made = 0

    def make(number: str, delay: float = 0.0, room: float = PATIENCE, **fields: Any) -> CallOrder:
        nonlocal made
        made += 1
        now = time.monotonic() + delay
        fields = {"ring_seconds": 5.0, "longest_seconds": 60.0, **fields}
        return CallOrder("b" * 24, f"{made:024x}", 1, number, script(), clips, StartLease(now, now + room), **fields)

    return make


class FarEnd(asyncio.DatagramProtocol):
    """Answers every INVITE alike, and nothing else."""

    def __init__(self, status: str, *headers: str) -> None:
        self._status = status
        self._headers = headers
        self._transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        if data.startswith(b"INVITE"):
            asked = data.decode().split("\r\n")
            kept = [line for line in asked if line.split(":")[0] in ("Via", "From", "Call-ID", "CSeq")]
            to = next(line for line in asked if line.startswith("To:"))
            lines = [f"SIP/2.0 {self._status}", *kept, f"{to};tag=x", *self._headers, "Content-Length: 0", "", ""]
            self._transport.sendto("\r\n".join(lines).encode(), addr)


@contextlib.asynccontextmanager
async def far_end(status: str, *headers: str) -> AsyncIterator[int]:
    """A far end that answers every INVITE with this; its port."""
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: FarEnd(status, *headers), local_addr=("127.0.0.1", 0))
    try:
        yield transport.get_extra_info("sockname")[1]
    finally:
        transport.close()


TrunkMaker = Callable[..., Coroutine[Any, Any, SipTrunk]]


@pytest.fixture
async def trunk_maker() -> AsyncIterator[TrunkMaker]:
    """Starts trunks to a port on loopback; all are stopped in the end."""
    trunks: list[SipTrunk] = []
    recognizer = PocketsphinxRecognizer()

    async def make(
        port: int,
        keep_open: tuple[int, ...] = (),
        *,
        open_calls: Path | None = None,
        on_restart: Callable[[], None] = lambda: None,
        **settings: Any,
    ) -> SipTrunk:
        fields = {"channels": 50, "local_address": "127.0.0.1", "live": False, **settings}
        trunk = SipTrunk(
            SipSettings("test", "127.0.0.1", port, **fields),
            recognizer.recognize,
            keep_open,
            open_calls=open_calls,
            on_restart=on_restart,
        )
        trunks.append(trunk)
        await trunk.start()
        return trunk

    yield make
    for trunk in trunks:
        await trunk.stop()
    await recognizer.close()


@pytest.fixture
async def trunk(phones: Phones, trunk_maker: TrunkMaker) -> SipTrunk:
    return await trunk_maker(phones.port)


async def until_gone(pid: int, within: float = PATIENCE) -> None:
    """Wait until a process that is not our child has gone."""
    async with asyncio.timeout(within):
        while alive(pid):
            await asyncio.sleep(0.02)


def alive(pid: int) -> bool:
    """Whether a process is there and not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def diallers() -> list[int]:
    """The diallers that this process has started and that still run."""
    found = []
    for folder in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if folder.name.isdecimal() and b"covey.calls.trunks.dialler" in (folder / "cmdline").read_bytes():
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                found += [int(folder.name)] if parent == os.getpid() else []
    return found


def descriptor_of(pid: int, path: Path) -> bool:
    """Whether the process holds this file open."""
    links = Path(f"/proc/{pid}/fd").iterdir()
    return any(link.readlink() == path for link in links)
