"""The demo phones: every fictional number is a phone behind one SIP port on loopback."""

import asyncio
import random
import time
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

import structlog
from aiosipua import IncomingCall, SipRequest, SipResponse, SipUAS

from covey.calls.call import FRAME_SECONDS
from covey.calls.trunks.demo.behaviours import BehaviourKind, behaviour_of
from covey.calls.trunks.demo.phone import Phone
from covey.calls.trunks.demo.phone_log import PhoneLog
from covey.calls.trunks.demo.signalling import Address, PhonePort
from covey.calls.trunks.demo.sounds import Frames, make_sounds

logger = structlog.get_logger()

SHORTEST_RING: Final = 0.3
LONGEST_RING: Final = 1.0


@dataclass(frozen=True, slots=True)
class DemoPhonesSettings:
    """Where the phones are and what they write down; and, for tests, how they misbehave.

    `answer_all` refuses everybody with that code; `swallow` takes every INVITE and answers nothing; `broken` are
    numbers that always answer 503; `ring` is how many seconds every phone rings, instead of 0.3 to 1; `silent` is how
    many seconds nothing at all is answered to an INVITE.
    """

    host: str = "127.0.0.1"
    port: int = 0
    log: Path | None = None
    audio: Path | None = None
    seed: int = 0
    ring: float | None = None
    answer_all: int | None = None
    swallow: bool = False
    broken: frozenset[str] = frozenset()
    silent: float = 0.0

    def __post_init__(self) -> None:
        if not ip_address(self.host).is_loopback:
            raise ValueError(f"the demo phones live on loopback only, not on {self.host}")
        if self.answer_all is not None and not 300 <= self.answer_all <= 699:
            raise ValueError(f"a refusal has a code of 300 to 699, not {self.answer_all}")


class DemoPhones:
    """All phones. One per process."""

    def __init__(self, settings: DemoPhonesSettings) -> None:
        self._settings = settings
        self._witness = PhoneLog(settings.log, settings.audio)
        self._port = PhonePort(settings.host, settings.port)
        self._uas = SipUAS(self._port, user_agent="covey-demo-phones")
        self._uas.on_invite = self._on_invite
        self._uas.on_bye = lambda call, request: self._on_ended(call.call_id)
        self._uas.on_cancel = lambda request, addr: self._on_ended(request.call_id)
        self._uas.on_ack_timeout = lambda call: self._on_ended(call.call_id)
        self._phones: dict[str, Phone] = {}
        self._lives: set[asyncio.Task[None]] = set()
        self._sounds: dict[str, Frames] = {}
        self._beat: asyncio.Task[None] | None = None
        self._random = random.Random(settings.seed)

    @property
    def host(self) -> str:
        """The loopback address the phones live at."""
        return self._settings.host

    @property
    def port(self) -> int:
        """The SIP port, once started."""
        return self._port.local_addr[1]

    async def start(self) -> None:
        """Make the sounds and bind the port. Raises OSError if it is taken."""
        if not self._settings.swallow and self._settings.answer_all is None:
            self._sounds = await make_sounds()
        await self._uas.start()
        self._port.on_message = self._on_message
        self._beat = asyncio.get_running_loop().create_task(self._keep_sending())

    async def last_calls(self, seconds: float) -> None:
        """Wait until nobody is on the phone, at most that long."""
        if self._lives:
            await asyncio.wait(self._lives, timeout=seconds)

    async def stop(self) -> None:
        """Drop every call and leave the port."""
        if self._beat:
            self._beat.cancel()
        for task in self._lives:
            task.cancel()
        await asyncio.gather(*self._lives, return_exceptions=True)
        await self._uas.stop()
        self._witness.close()

    def _on_message(self, message: SipRequest | SipResponse, addr: Address) -> None:
        is_invite = isinstance(message, SipRequest) and message.method == "INVITE"
        if isinstance(message, SipRequest) and is_invite and _begins(message) and self._port.is_repeated(message):
            return
        if isinstance(message, SipRequest) and is_invite and self._settings.swallow:
            self._witness.write("swallowed", _facts(message))
            return
        if isinstance(message, SipRequest) and message.method == "CANCEL" and self._settings.swallow:
            self._witness.write("cancelled", {"call_id": message.call_id, "bye_at": time.time()})
            return
        if isinstance(message, SipRequest) and is_invite and _begins(message) and self._settings.silent:
            self._witness.write("arrived", _facts(message))
            asyncio.get_running_loop().call_later(self._settings.silent, self._uas._on_message, message, addr)
            return
        self._uas._on_message(message, addr)

    def _on_invite(self, call: IncomingCall) -> None:
        number = _number(call.invite)
        behaviour = behaviour_of(number)
        code = self._settings.answer_all
        if number in self._settings.broken:
            code = 503
        elif behaviour is None:
            code = 404
        if code is not None or behaviour is None:
            self._witness.write("refused", {**_facts(call.invite), "code": code})
            call.reject(code or 404)
            return
        self._begin(call, number, behaviour.kind)

    def _begin(self, call: IncomingCall, number: str, kind: BehaviourKind) -> None:
        ring = self._settings.ring
        if ring is None:
            ring = self._random.uniform(SHORTEST_RING, LONGEST_RING)
        phone = Phone(call, number, kind, ring, self._sounds, self._witness)
        self._phones[call.call_id] = phone
        task = asyncio.get_running_loop().create_task(self._live(call.call_id, phone))
        self._lives.add(task)
        task.add_done_callback(self._lives.discard)

    async def _live(self, call_id: str, phone: Phone) -> None:
        try:
            await phone.live()
        except Exception:
            logger.exception("phone_failed")
        finally:
            self._phones.pop(call_id, None)

    def _on_ended(self, call_id: str | None) -> None:
        phone = self._phones.get(call_id or "")
        if phone is not None:
            phone.ended_by_caller()

    async def _keep_sending(self) -> None:
        """One beat for all phones; late beats are made up for, so that no sound is stretched."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            for phone in list(self._phones.values()):
                if phone.talking:
                    phone.send_frame()
            due = max(due + FRAME_SECONDS, loop.time() - 5 * FRAME_SECONDS)
            await asyncio.sleep(max(0.0, due - loop.time()))


def _begins(invite: SipRequest) -> bool:
    to = invite.to_addr
    return to is None or to.tag is None


def _number(invite: SipRequest) -> str:
    return invite.uri.partition(":")[2].partition("@")[0]


def _facts(invite: SipRequest) -> dict[str, Any]:
    return {
        "number": _number(invite),
        "call_id": invite.call_id,
        "batch": invite.get_header("x-covey-batch"),
        "item": invite.get_header("x-covey-item"),
        "attempt": invite.get_header("x-covey-attempt"),
        "invite_at": time.time(),
    }
