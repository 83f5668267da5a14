"""A dialler process as its trunk sees it: started, given orders, listened to, and buried when it dies."""

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Final

import structlog

from covey.calls.call import CallEnd, CallOrder, CallReport, CallWatch, Heard, Recognize
from covey.calls.trunks.dialogs import Dialog, Dialogs
from covey.calls.trunks.settings import CALLS_PER_DIALLER, SipSettings
from covey.calls.trunks.undertaker import Undertaker
from covey.calls.trunks.wire import Channel, Message, read_report, read_turn

logger = structlog.get_logger()

READY_SECONDS: Final = 20.0
STOP_SECONDS: Final = 4.0


@dataclass(slots=True)
class Held:
    """A call in the hands of a dialler. `dialling` is set before its INVITE can leave."""

    order: CallOrder
    watch: CallWatch
    report: asyncio.Future[CallReport]
    dialling: bool = False
    dialled_at: datetime | None = None
    answered_at: datetime | None = None


class DiallerProcess:
    """One dialler. Every order given to it is reported exactly once, also when the process dies."""

    def __init__(
        self, settings: SipSettings, recognize: Recognize, keep_open: Sequence[int], hurry: asyncio.Event
    ) -> None:
        """`keep_open` are descriptors the process inherits and holds as long as it lives (a database's lock);
        `hurry` is set when the trunk stops."""
        self._settings = settings
        self._recognize = recognize
        self._keep_open = tuple(keep_open)
        self._hurry = hurry
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: Channel | None = None
        self._trace: socket.socket | None = None
        self._sip_socket: socket.socket | None = None
        self._dialogs = Dialogs()
        self._held: dict[str, Held] = {}
        self._understanding: set[asyncio.Task[None]] = set()
        self._ready = asyncio.Event()
        self._died = asyncio.Event()

    @property
    def pid(self) -> int | None:
        """The process's id; None before it was started."""
        return self._process.pid if self._process else None

    @property
    def room(self) -> int:
        """How many more calls it takes."""
        return CALLS_PER_DIALLER - len(self._held) if self._ready.is_set() and not self._died.is_set() else 0

    @property
    def ready(self) -> bool:
        """Whether it was ever ready to place calls."""
        return self._ready.is_set()

    async def live(self, on_ready: Callable[[], None]) -> None:
        """The process's whole life, burial included. Returns when nothing of it is left. Raises OSError if it
        cannot be started."""
        try:
            await self._start()
            await self._listen(on_ready)
        finally:
            self._died.set()
            if self._process is not None:
                await self._bury(self._process)

    async def gone(self) -> None:
        """Wait until it places no more calls. Its calls may still have to be ended."""
        await self._died.wait()

    def place(self, order: CallOrder, watch: CallWatch) -> asyncio.Future[CallReport]:
        """Give it an order. The command is sent once and never repeated."""
        assert self._channel is not None
        held = Held(order, watch, asyncio.get_running_loop().create_future())
        self._held[order.id] = held
        self._channel.send({"do": "place", "order": order})
        return held.report

    def hang_up(self, call: str) -> bool:
        """End a call; False if it is not here."""
        if call not in self._held or self._channel is None:
            return False
        self._channel.send({"do": "hang_up", "call": call})
        return True

    async def stop(self) -> None:
        """End its calls and the process; by force if it does not go by itself."""
        if self._channel is not None and not self._died.is_set():
            self._channel.send({"do": "shut_down"})
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self._died.wait()
        except TimeoutError:
            logger.error("dialler_had_to_be_killed", pid=self.pid)
            if self._process is not None:
                self._process.kill()

    async def _start(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self._trace, their_trace = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        control, trace = theirs.fileno(), their_trace.fileno()
        arguments = [sys.executable, "-m", "covey.calls.trunks.dialler", str(control), str(trace), str(os.getpid())]
        with theirs, their_trace:
            # A session of its own: Ctrl-C in a terminal reaches the trunk alone, which then says what is to be done.
            self._process = subprocess.Popen(  # noqa: ASYNC220, S603
                arguments,
                stdin=subprocess.DEVNULL,
                pass_fds=(control, trace, *self._keep_open),
                start_new_session=True,
            )
        self._trace.setblocking(False)
        asyncio.get_running_loop().add_reader(self._trace, self._read_trace, self._trace)
        self._channel = await Channel.over(ours)
        self._channel.send({"do": "setup", "settings": asdict(self._settings)})

    async def _listen(self, on_ready: Callable[[], None]) -> None:
        assert self._channel is not None
        while (received := await self._channel.receive()) is not None:
            message, tail = received
            if message["say"] == "ready":
                self._ready.set()
                on_ready()
            elif held := self._held.get(message["call"]):
                self._hear(held, message, tail)

    def _hear(self, held: Held, message: Message, tail: bytes) -> None:
        match message["say"]:
            case "dialling":
                held.dialling = True
                held.dialled_at = datetime.now(UTC)
            case "ringing":
                held.watch.ringing()
            case "answered":
                held.answered_at = datetime.now(UTC)
                held.watch.answered()
            case "turn":
                held.watch.turn(read_turn(message["turn"]))
            case "understand":
                self._understand(held.order.id, message, tail)
            case "report":
                self._settle(held, read_report(message["report"]))

    def _settle(self, held: Held, report: CallReport) -> None:
        dialog = self._dialogs.of(held.order.id)
        if dialog is not None:
            media = replace(report.media, codec=dialog.codec)
            report = replace(report, media=media, sip_call_id=report.sip_call_id or dialog.call_id)
        self._dialogs.forget(held.order.id)
        del self._held[held.order.id]
        if not held.report.done():
            held.report.set_result(report)

    def _understand(self, call: str, message: Message, pcm: bytes) -> None:
        async def work() -> None:
            try:
                heard = await self._recognize(pcm, tuple(message["expected"]))
            except Exception:
                logger.exception("recognizer_failed", call=call)
                heard = Heard("", 0.0)
            if self._channel is not None and call in self._held:
                answer = {"do": "recognized", "call": call, "request": message["request"]}
                self._channel.send({**answer, "text": heard.text, "confidence": heard.confidence})

        task = asyncio.get_running_loop().create_task(work())
        self._understanding.add(task)
        task.add_done_callback(self._understanding.discard)

    # ------------------------------------------------------------------ what the wire says, and the end

    def _read_trace(self, trace: socket.socket) -> None:
        """Read what is there of the trace; the first packet carries the dialler's SIP socket."""
        while True:
            try:
                text, descriptors, _, _ = socket.recv_fds(trace, 65536, 1)
            except BlockingIOError:
                return
            except OSError:
                text, descriptors = b"", []
            if descriptors:
                self._sip_socket = socket.socket(fileno=descriptors[0])
            elif text:
                order = self._dialogs.watch(text.decode())
                if order is not None and order not in self._held:
                    self._dialogs.forget(order)
            else:
                asyncio.get_running_loop().remove_reader(trace)
                return

    async def _bury(self, process: "subprocess.Popen[bytes]") -> None:
        """The process is gone or cannot be heard any more: end its calls and report them."""
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        if self._trace is not None:
            self._read_trace(self._trace)
            asyncio.get_running_loop().remove_reader(self._trace)
            self._trace.close()
        if self._channel is not None:
            self._channel.close()
        lost = list(self._held.values())
        orders = {held.order.id for held in lost}
        dialogs = [dialog for dialog in self._dialogs.open() if dialog.order in orders]
        for held in lost:
            self._settle(held, _lost(held))
        burial = self._end_calls(dialogs) if any(held.dialling for held in lost) else _nothing()
        await asyncio.gather(burial, asyncio.to_thread(process.wait))
        if self._sip_socket is not None:
            self._sip_socket.close()

    async def _end_calls(self, dialogs: list[Dialog]) -> None:
        if self._sip_socket is None or self._settings.transport != "udp":
            logger.error("calls_left_to_their_phones", count=len(dialogs), transport=self._settings.transport)
            return
        logger.warning("ending_calls_of_a_dead_dialler", count=len(dialogs), pid=self.pid)
        await Undertaker.bury(self._sip_socket.dup(), dialogs, self._hurry)


async def _nothing() -> None:
    return None


def _lost(held: Held) -> CallReport:
    """The report of a call whose dialler died: it is unknown what came of it, unless no INVITE can have left."""
    end = CallEnd.outcome_unknown if held.dialling else CallEnd.not_started
    return CallReport(
        end,
        datetime.now(UTC),
        dialled_at=held.dialled_at,
        answered_at=held.answered_at,
        text="The dialler died during the call",
    )
