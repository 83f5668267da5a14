"""The dialler process: takes orders from its trunk, keeps the beat of the sound, reports, and dies with its parent."""

import asyncio
import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import structlog
from baresip.errors import BaresipError

from covey.calls.call import FRAME_SECONDS, CallEnd, CallOrder, CallReport, Recognition
from covey.calls.trunks.dialler import open_calls
from covey.calls.trunks.dialler.call import OutboundCall
from covey.calls.trunks.dialler.dialogs import Dialog, Dialogs
from covey.calls.trunks.dialler.protocol import read_order
from covey.calls.trunks.dialler.stack import Stack
from covey.calls.trunks.settings import SipSettings
from covey.logging import setup_logging
from covey.processes.channel import Channel
from covey.processes.frames import Message

logger = structlog.get_logger()

GRACE_SECONDS: Final = 1.3
"""How long the far sides are given to confirm after everybody was hung up."""

LAST_SECONDS: Final = 2.0
"""A dialler whose parent is gone is gone after this, whatever hangs in it."""

BEAT_SECONDS: Final = 1.0
"""How often the trunk is told that loop and stack are alive."""

_LOOK_SECONDS: Final = 0.2
_LOOK_AGAIN_SECONDS: Final = 0.02


class Dialler:
    """One dialler: its calls, its stack and its two lines to the trunk."""

    def __init__(self, channel: Channel, trace: socket.socket) -> None:
        self._channel = channel
        self._trace = trace
        self._dialogs = Dialogs()
        self._calls: dict[str, OutboundCall] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._marker: Path | None = None

    async def run(self) -> None:
        """Work until the trunk says stop or is gone."""
        setup = await self._channel.receive()
        if setup is None:
            return
        settings = SipSettings(**setup[0]["settings"])
        if setup[0]["marker"] is not None:
            self._marker = Path(setup[0]["marker"])
            open_calls.write_marker(self._marker)
        self._settings = settings
        self._stack = Stack(settings, self._on_trace, lambda: os._exit(1))
        await self._stack.start()
        # Should this process be killed, its parent ends the calls from the same address (decision 0007).
        self._sip_socket = self._stack.sip_socket()
        socket.send_fds(self._trace, [b"socket"], [self._sip_socket.fileno()])
        self._channel.send({"say": "ready", "pid": os.getpid()})
        loop = asyncio.get_running_loop()
        beats = [loop.create_task(self._beat()), loop.create_task(self._show_life())]
        while (received := await self._channel.receive()) is not None:
            message, _ = received
            if message["do"] == "shut_down":
                break
            self._obey(message)
        await self._leave()
        for beat in beats:
            beat.cancel()

    def _obey(self, message: Message) -> None:
        if message["do"] == "place":
            self._take(message["order"])
        elif call := self._calls.get(message["call"]):
            if message["do"] == "hang_up":
                call.drop()
            elif message["do"] == "withdraw":
                call.withdraw()
            elif message["do"] == "recognized":
                call.recognized(message["request"], Recognition(message["text"], message["confidence"]))

    def _take(self, data: Message) -> None:
        """Take an order; one that cannot be carried out goes back, and the other calls go on."""
        try:
            self._place(read_order(data))
        except Exception as error:
            logger.exception("order_not_taken")
            refusal = CallReport(CallEnd.not_started, datetime.now(UTC), text=f"not dialled: {type(error).__name__}")
            name = f"{data['item']}-{data['attempt']}"
            self._channel.send({"say": "report", "call": name, "report": refusal})

    def _place(self, order: CallOrder) -> None:
        """The call is known when this returns, so that a hang-up right behind it finds it."""
        clips = {key: _clip(path) for key, path in order.clips.items()}
        self._calls[order.id] = OutboundCall(order, self._settings, self._stack, clips)
        self._start(self._see_through(order, self._calls[order.id]))

    async def _see_through(self, order: CallOrder, call: OutboundCall) -> None:
        def say(message: Any, tail: bytes = b"") -> None:
            self._channel.send({**message, "call": order.id}, tail)

        async def dialling() -> None:
            say({"say": "dialling"})
            await self._channel.flush()

        try:
            report = await call.run(say, dialling, lambda: self._hears_us(order.id))
        except Exception as error:
            logger.exception("call_failed", call=order.id)
            report = await call.give_up(error)
        finally:
            del self._calls[order.id]
        self._dialogs.forget(order.id)
        say({"say": "report", "report": report})

    def _hears_us(self, order: str) -> bool:
        dialog = self._dialogs.of(order)
        return dialog is not None and dialog.hears_us

    async def _beat(self) -> None:
        """Every 20 ms, by the clock and not by the pause: late beats are not made up for, the sound is ahead."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            for call in list(self._calls.values()):
                if call.talking:
                    call.tick()
            due = max(due + FRAME_SECONDS, loop.time())
            await asyncio.sleep(due - loop.time())

    async def _show_life(self) -> None:
        while True:
            with contextlib.suppress(BaresipError):
                await self._stack.look()
                self._channel.send({"say": "beat"})
            if self._marker is not None:
                open_calls.touch(self._marker)
            await asyncio.sleep(BEAT_SECONDS)

    def _on_trace(self, text: str) -> None:
        """A thread of the stack: hand the trunk what it needs to end our calls if we cannot."""
        order = self._dialogs.watch(text)
        if order is not None and order not in self._calls:
            self._dialogs.forget(order)
        with contextlib.suppress(OSError):
            self._trace.send(text.encode())

    async def _leave(self) -> None:
        """CANCEL or BYE to everybody, a moment for the answers, then the stack is stopped. Our marker stays if anybody
        has not answered by then.

        A call keeps its CANCEL back until something was heard of its INVITE (RFC 3261 section 9.1). Nobody will be
        there to send it then, so those are sent now.
        """
        told: set[str] = set()
        until = time.monotonic() + GRACE_SECONDS
        for call in self._calls.values():
            call.drop()
        while (self._tasks or self._dialogs.open()) and time.monotonic() < until:
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)
            self._cancel(self._unheard(), told)  # another thread sees what leaves: an INVITE perhaps only now
        if self._marker is not None and not self._tasks and not self._dialogs.open():
            open_calls.remove(self._marker)
        await self._stack.close()

    def _unheard(self) -> list[Dialog]:
        return [dialog for dialog in self._dialogs.open() if not dialog.heard]

    def _cancel(self, dialogs: Iterable[Dialog], cancelled: set[str]) -> None:
        """Send a CANCEL for each that was not `cancelled` yet."""
        for dialog in dialogs:
            if dialog.call_id not in cancelled:
                cancelled.add(dialog.call_id)
                self._sip_socket.sendto(*dialog.cancel())

    def _start(self, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


@lru_cache(maxsize=256)
def _clip(path: str) -> bytes:
    return Path(path).read_bytes()


def _outlive_nobody(parent: int, orphaned: Callable[[], None]) -> None:
    """Watch for our parent's death beside the end of the channel, which another child of it may hold open; leave by
    force if we hang after it."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_LOOK_SECONDS)
        orphaned()
        time.sleep(LAST_SECONDS - _LOOK_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, name="covey-parent", daemon=True).start()


def _close_soon(loop: asyncio.AbstractEventLoop, channel: Channel) -> None:
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(channel.close)


async def serve(control: int, trace: int, parent: int) -> None:
    """Run a dialler on two inherited sockets: `control` a stream, `trace` of sequenced packets.

    SIGTERM and SIGINT do nothing: the trunk says when to stop, and when it is gone its end of `control` is closed.
    """
    setup_logging()
    for name in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(name, lambda number, frame: None)
    channel = await Channel.over(socket.socket(fileno=control))
    loop = asyncio.get_running_loop()
    _outlive_nobody(parent, lambda: _close_soon(loop, channel))
    await Dialler(channel, socket.socket(fileno=trace)).run()
