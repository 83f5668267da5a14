"""The SIP stack of a dialler: places calls and tells each of them what became of it.

One `Runtime` a process; its events come by handle and may come before `dial` has returned that handle. So events
of handles not known yet are kept while a dial is under way and replayed to the leg when it is. Without that a busy
loop loses the end of calls that end at once.
"""

import asyncio
import contextlib
import logging
import os
import socket
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import structlog
from baresip import Account, Config, Runtime, UserAgent
from baresip.call import Call
from baresip.errors import BaresipError, CommandTimeout, StaleHandleError
from baresip.events import Event, StackEvent
from baresip.stats import CallStats

from covey.calls.trunks.settings import SipSettings

logger = structlog.get_logger()

_MAX_IDENTITIES: Final = 100


@dataclass(slots=True)
class Closed:
    """The end of a leg: the stack's text, and what the media did."""

    text: str
    stats: CallStats | None


@dataclass(slots=True)
class Leg:
    """Our half of one call. `answered` is set with the 200 OK, `closed` at the end, whatever comes of the call."""

    on_ringing: Callable[[], None]
    on_answered: Callable[[], None]
    on_digit: Callable[[str], None]
    closed: asyncio.Future[Closed]
    call: Call | None = None
    call_id: str | None = None
    answered: asyncio.Event = field(default_factory=asyncio.Event)
    _pressed: str | None = None

    def take(self, event: StackEvent) -> None:
        """Take one event of the stack."""
        self.call_id = self.call_id or event.call_id
        match event.event:
            case Event.CALL_RINGING | Event.CALL_PROGRESS:
                self.on_ringing()
            case Event.CALL_ANSWERED | Event.CALL_ESTABLISHED:
                if not self.answered.is_set():
                    self.answered.set()
                    self.on_answered()
            case Event.CALL_DTMF_START:
                self._pressed = event.text
            case Event.CALL_DTMF_END:
                pressed, self._pressed = self._pressed, None
                if pressed:
                    self.on_digit(pressed)
            case Event.CALL_CLOSED:
                if not self.closed.done():
                    self.closed.set_result(Closed(event.text or "", _stats(event)))


def _stats(event: StackEvent) -> CallStats | None:
    return CallStats._from_payload(event.stats) if event.stats else None


class Stack:
    """The process's one SIP stack. `on_trace` is called with every SIP message, on a thread of the stack's own.

    `on_dead` is called when the stack has died or does not take a command in time, after which only a new process
    helps: the command is still in its queue, and an INVITE could leave at any later time, with nobody to end its call.
    """

    def __init__(self, settings: SipSettings, on_trace: Callable[[str], None], on_dead: Callable[[], None]) -> None:
        self._settings = settings
        self._on_trace = on_trace
        self._on_dead = on_dead
        self._runtime = Runtime()
        self._runtime.on_dead = on_dead
        self._identities: dict[str, UserAgent] = {}
        self._legs: dict[int, Leg] = {}
        self._early: dict[int, list[StackEvent]] = {}
        self._dialling = 0
        self._refusals: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Bind the SIP port. Raises BaresipError if the stack cannot start."""
        _trace_to(self._on_trace)
        await self._runtime.start(_config(self._settings))
        self._runtime.subscribe(self._on_event)
        await self.identity(None)

    def sip_socket(self) -> socket.socket:
        """A copy of the UDP socket that SIP goes over; to be asked for before the first call.

        Then the stack has only one UDP socket more: a name server's client, which is bound to no address.
        """
        sockets = [copy for fd in _descriptors() if (copy := _udp_copy(fd)) is not None]
        sockets.sort(key=lambda copy: (copy.family == socket.AF_INET, not _is_wildcard(copy)))
        for other in sockets[:-1]:
            other.close()
        return sockets[-1]

    async def identity(self, caller: str | None) -> UserAgent:
        """Who calls, made with the first call of a caller number. Raises BaresipError if the stack refused."""
        try:
            return await self._identity(caller or self._settings.caller or self._settings.user)
        except CommandTimeout:
            self._on_dead()
            raise

    async def dial(self, identity: UserAgent, uri: str, headers: Mapping[str, str], leg: Leg) -> None:
        """Send the INVITE; what comes of it goes to `leg`, from the first event on.

        Once this has begun the INVITE leaves, whatever becomes of the task, and one that is cancelled here would leave
        a call that nobody can end: cancel none. Raises BaresipError if the stack refused.
        """
        self._dialling += 1
        try:
            leg.call = await identity.dial(uri, dict(headers))
            self._legs[leg.call.handle] = leg
            for event in self._early.pop(leg.call.handle, ()):
                # The binding listens only from now on: its call must hear of its end too, or it listens for ever.
                leg.call._on_stack_event(event)
                self._give(leg, event)
        except CommandTimeout:
            self._on_dead()
            raise
        finally:
            self._dialling -= 1
            if not self._dialling:
                self._early.clear()

    async def hang_up(self, leg: Leg) -> None:
        """CANCEL while it rings, BYE after; nothing if the leg is gone. Not before the far side's first answer to the
        INVITE: the stack would forget the call without a word."""
        if leg.call is None:
            return
        try:
            await leg.call.hangup()
        except StaleHandleError:
            return
        except CommandTimeout:
            self._on_dead()
            raise

    async def look(self) -> None:
        """Have the stack carry out a command that changes nothing, as a sign that it lives."""
        try:
            await self._runtime.set_sip_trace(True)
        except CommandTimeout:
            self._on_dead()
            raise

    async def close(self) -> None:
        """Stop the stack. What is still open is dropped without a word to the far side: hang up first."""
        for task in self._refusals:
            task.cancel()
        with contextlib.suppress(BaresipError):
            await self._runtime.close()

    async def _identity(self, user: str) -> UserAgent:
        known = self._identities.get(user)
        if known is None:
            if len(self._identities) >= _MAX_IDENTITIES:
                raise BaresipError(f"more than {_MAX_IDENTITIES} caller numbers in one dialler")
            known = await UserAgent.create(self._runtime, _account(self._settings, user), transfer_policy="reject")
            known.on_incoming(self._refuse)
            self._identities[user] = known
        return known

    def _on_event(self, event: StackEvent) -> None:
        leg = self._legs.get(event.call)
        if leg is not None:
            self._give(leg, event)
        elif event.call and self._dialling:
            self._early.setdefault(event.call, []).append(event)

    def _give(self, leg: Leg, event: StackEvent) -> None:
        leg.take(event)
        if event.event is Event.CALL_CLOSED:
            self._legs.pop(event.call, None)

    def _refuse(self, call: Call) -> None:
        """Nobody calls a dialler. Held as ringing, calls from outside would use up the stack's handles."""
        task = asyncio.get_running_loop().create_task(_reject(call))
        self._refusals.add(task)
        task.add_done_callback(self._refusals.discard)


async def _reject(call: Call) -> None:
    with contextlib.suppress(BaresipError):
        await call.reject()


def _config(settings: SipSettings) -> Config:
    extra = f"sip_verify_server yes\nsip_cafile {settings.ca_file}\n" if settings.transport == "tls" else ""
    return Config(
        net_interface=settings.local_address,
        max_concurrent_calls=None,
        rtp_timeout=settings.media_timeout,
        sip_trace=True,
        native_log_level="error",
        extra_config_text=extra,
    )


def _account(settings: SipSettings, user: str) -> Account:
    return Account(
        user=user,
        domain=settings.host,
        password=settings.password,
        registrar=settings.proxy,
        reg_interval=0,
        transport=settings.transport,
        audio_codecs=("pcmu", "pcma"),
        auth_user=settings.auth_user,
        extra_params=("mediaenc=srtp-mand",) if settings.srtp else (),
    )


class _Trace(logging.Handler):
    def __init__(self, on_trace: Callable[[str], None]) -> None:
        super().__init__(logging.DEBUG)
        self._on_trace = on_trace

    def emit(self, record: logging.LogRecord) -> None:
        self._on_trace(record.getMessage())


def _trace_to(on_trace: Callable[[str], None]) -> None:
    """Lead the stack's trace to `on_trace`, and its other words, which name numbers, nowhere."""
    logging.getLogger("baresip").setLevel(logging.CRITICAL)
    trace = logging.getLogger("baresip.native.sip")
    trace.setLevel(logging.DEBUG)
    trace.propagate = False
    trace.addHandler(_Trace(on_trace))


def _descriptors() -> list[int]:
    return [int(path.name) for path in Path("/proc/self/fd").iterdir()]


def _udp_copy(fd: int) -> socket.socket | None:
    try:
        if not stat.S_ISSOCK(os.fstat(fd).st_mode):
            return None
        copy = socket.socket(fileno=os.dup(fd))
    except OSError:
        return None
    if copy.family in (socket.AF_INET, socket.AF_INET6) and copy.type == socket.SOCK_DGRAM:
        return copy
    copy.close()
    return None


def _is_wildcard(sock: socket.socket) -> bool:
    return sock.getsockname()[0] in ("0.0.0.0", "::")  # noqa: S104 (compared, not bound)
