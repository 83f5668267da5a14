"""A dialler process as its trunk sees it: started, given orders, listened to, and buried when it dies."""

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Final

import structlog

from covey.calls.call import CallClock, CallEnd, CallOrder, CallReport, CallWatch, Recognition, Recognize
from covey.calls.trunks.dialler import open_calls as markers
from covey.calls.trunks.dialler.cleanup import DialogTerminator
from covey.calls.trunks.dialler.dialogs import Dialogs
from covey.calls.trunks.dialler.protocol import read_report, read_turn
from covey.calls.trunks.settings import CALLS_PER_DIALLER, SipSettings
from covey.processes.channel import Channel
from covey.processes.frames import Message

logger = structlog.get_logger()

READY_SECONDS: Final = 20
STOP_SECONDS: Final = 4.0

SILENT_SECONDS: Final = 5
"""A dialler that was ready and says nothing for so long is frozen: it sends a beat every second."""

PATIENCE_SECONDS: Final = 3.0
"""How long the report of a dead dialler's call waits for the far side to take its end."""

_FLUSH_SECONDS: Final = 1.0
"""How long a killed process may take until the kernel has closed its sockets."""

_TOLD_SECONDS = 0.5
"""So long after a dialler's death all its phones have been sent their goodbye: nothing is left to tell a next life.
Reports, and with them channels, wait for the answers all the same."""


@dataclass(slots=True)
class PlacedCall:
    """A call in the hands of a dialler. `dialling` is set before its INVITE can leave. The times are ours, for a report
    that the dialler does not live to give; the times of its own reports are its."""

    order: CallOrder
    watch: CallWatch
    report: asyncio.Future[CallReport]
    clock: CallClock = field(default_factory=CallClock)
    dialling: bool = False
    dialled_at: datetime | None = None
    answered_at: datetime | None = None


class DiallerProcess:
    """One dialler. Every order given to it is reported exactly once, also when the process dies."""

    def __init__(
        self,
        settings: SipSettings,
        recognize: Recognize,
        keep_open: Sequence[int],
        open_calls: Path | None,
        hurry: asyncio.Event,
    ) -> None:
        """`keep_open` are descriptors the process inherits and holds as long as it lives (a database's lock);
        `open_calls` is the folder of its marker (see `markers`); `hurry` is set when the trunk stops."""
        self._settings = settings
        self._recognize = recognize
        self._keep_open = tuple(keep_open)
        self._open_calls = open_calls
        self._marker: Path | None = None
        self._hurry = hurry
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: Channel | None = None
        self._trace: socket.socket | None = None
        self._sip_socket: socket.socket | None = None
        self._dialogs = Dialogs(on_heard=self._reached)
        self._placed: dict[str, PlacedCall] = {}
        self._understanding: set[asyncio.Task[None]] = set()
        self._ready = asyncio.Event()
        self._died = asyncio.Event()
        self._all_traced = asyncio.Event()
        self._told_to_leave = False
        self._silent = 0

    @property
    def pid(self) -> int | None:
        """The process's id; None before it was started."""
        return self._process.pid if self._process else None

    @property
    def capacity(self) -> int:
        """How many more calls it takes."""
        works = self._ready.is_set() and not self._died.is_set() and not self._told_to_leave
        return CALLS_PER_DIALLER - len(self._placed) if works else 0

    @property
    def ready(self) -> bool:
        """Whether it was ever ready to place calls."""
        return self._ready.is_set()

    async def live(self, on_ready: Callable[[], None]) -> None:
        """The process's whole life, burial included. Returns when nothing of it is left. Raises OSError if it
        cannot be started."""
        guard = asyncio.get_running_loop().create_task(self._guard())
        try:
            await self._start()
            self._send_away()
            await self._listen(on_ready)
        finally:
            guard.cancel()
            self._died.set()
            if self._process is not None:
                await self._bury(self._process)

    async def gone(self) -> None:
        """Wait until it places no more calls. Its calls may still have to be ended."""
        await self._died.wait()

    def place(self, order: CallOrder, watch: CallWatch) -> asyncio.Future[CallReport]:
        """Give it an order. The command is sent once and never repeated."""
        assert self._channel is not None
        held = PlacedCall(order, watch, asyncio.get_running_loop().create_future())
        self._placed[order.id] = held
        self._channel.send({"do": "place", "order": order})
        return held.report

    def withdraw(self, call: str) -> bool:
        """Do not dial a call whose dial has not begun; False if it is not here. The dialler's word is the report
        `not_started`, or that it was `dialling` before."""
        return self._ask("withdraw", call)

    def hang_up(self, call: str) -> bool:
        """End a call; False if it is not here."""
        return self._ask("hang_up", call)

    def _ask(self, what: str, call: str) -> bool:
        if call not in self._placed or self._channel is None:
            return False
        self._channel.send({"do": what, "call": call})
        return True

    async def stop(self) -> None:
        """End its calls and the process; by force if it does not go by itself."""
        self._told_to_leave = True
        self._send_away()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self._died.wait()
        except TimeoutError:
            logger.error("dialler_had_to_be_killed", pid=self.pid)
            if self._process is not None:
                self._process.kill()

    def _send_away(self) -> None:
        if self._told_to_leave and self._channel is not None and not self._died.is_set():
            self._channel.send({"do": "shut_down"})

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
        if self._open_calls is not None:
            self._marker = markers.marker_of(self._open_calls, self._process.pid)
        self._trace.setblocking(False)
        asyncio.get_running_loop().add_reader(self._trace, self._read_trace, self._trace)
        self._channel = await Channel.over(ours)
        marker = str(self._marker) if self._marker else None
        self._channel.send({"do": "setup", "settings": asdict(self._settings), "marker": marker})

    async def _listen(self, on_ready: Callable[[], None]) -> None:
        assert self._channel is not None
        while (received := await self._channel.receive()) is not None:
            message, tail = received
            self._silent = 0
            if message["say"] == "ready":
                self._ready.set()
                on_ready()
            elif message["say"] != "beat" and (held := self._placed.get(message["call"])):
                self._hear(held, message, tail)

    async def _guard(self) -> None:
        """Kill the process when it does not get ready, or is silent for too long. Seconds are counted one by one, so
        that a pause of our own is not taken for one of its."""
        while self._silent < (SILENT_SECONDS if self._ready.is_set() else READY_SECONDS):
            await asyncio.sleep(1.0)
            self._silent += 1
        logger.error("dialler_is_frozen", pid=self.pid, ready=self._ready.is_set(), calls=len(self._placed))
        if self._process is not None:
            self._process.kill()

    def _hear(self, call: PlacedCall, message: Message, tail: bytes) -> None:
        match message["say"]:
            case "dialling":
                call.dialling = True
                call.dialled_at = call.clock.now()
                call.watch.dialling()
            case "ringing":
                call.watch.ringing()
            case "answered":
                call.answered_at = call.clock.now()
                call.watch.answered()
            case "turn":
                call.watch.turn(read_turn(message["turn"]))
            case "understand":
                self._understand(call.order.id, message, tail)
            case "report":
                self._settle(call, read_report(message["report"]))

    def _settle(self, call: PlacedCall, report: CallReport) -> None:
        dialog = self._dialogs.of(call.order.id)
        if dialog is not None:
            media = replace(report.media, codec=dialog.codec)
            report = replace(report, media=media, sip_call_id=report.sip_call_id or dialog.call_id)
        self._dialogs.forget(call.order.id)
        del self._placed[call.order.id]
        if not call.report.done():
            call.report.set_result(report)

    def _reached(self, order: str) -> None:
        """The trace has an answer to its INVITE."""
        if held := self._placed.get(order):
            held.watch.reached()

    def _understand(self, call: str, message: Message, pcm: bytes) -> None:
        async def work() -> None:
            try:
                heard = await self._recognize(pcm, tuple(message["expected"]))
            except Exception:
                logger.exception("recognizer_failed", call=call)
                heard = Recognition("", 0.0)
            if self._channel is not None and call in self._placed:
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
                if order is not None and order not in self._placed:
                    self._dialogs.forget(order)
            else:
                asyncio.get_running_loop().remove_reader(trace)
                self._all_traced.set()
                return

    async def _bury(self, process: "subprocess.Popen[bytes]") -> None:
        """The process is gone or cannot be heard any more: end its calls, and report each when it is over."""
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await self._close_lines()
        for held in list(self._placed.values()):
            if not self._may_ring(held):
                self._settle(held, _lost(held))
        if self._marker is not None and not self._told_to_leave:
            asyncio.get_running_loop().call_later(_TOLD_SECONDS, markers.remove, self._marker)
        left = len(self._dialogs.open())
        untraced = sum(1 for order in self._placed if self._dialogs.of(order) is None)
        if self._placed or (left and not self._told_to_leave):
            left = await self._end_calls()
        await asyncio.to_thread(process.wait)
        if self._sip_socket is not None:
            self._sip_socket.close()
        if self._marker is not None and not (self._told_to_leave and (left or untraced)):
            markers.remove(self._marker)

    async def _close_lines(self) -> None:
        """Read the trace to its end, which comes with the process's, and close both lines."""
        if self._trace is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._all_traced.wait(), _FLUSH_SECONDS)
            asyncio.get_running_loop().remove_reader(self._trace)
            self._trace.close()
        if self._channel is not None:
            self._channel.close()

    def _may_ring(self, call: PlacedCall) -> bool:
        """Whether the far side may have a call that it does not know to be over. A last INVITE may be untraced."""
        dialog = self._dialogs.of(call.order.id)
        return call.dialling and (dialog is None or not dialog.ended)

    async def _end_calls(self) -> int:
        """End every call that is left, and report it; answers how many did not confirm it."""
        dialogs = self._dialogs.open()
        patience = asyncio.get_running_loop().call_later(PATIENCE_SECONDS, self._settle_all)
        try:
            if self._sip_socket is None or self._settings.transport != "udp":
                logger.error("calls_left_to_their_phones", count=len(dialogs), transport=self._settings.transport)
                return len(dialogs)
            logger.warning("ending_calls_of_a_dead_dialler", count=len(dialogs), pid=self.pid)
            return await DialogTerminator.terminate(self._sip_socket.dup(), dialogs, self._hurry, self._call_over)
        except OSError as error:
            logger.error("calls_left_to_their_phones", count=len(dialogs), error=str(error))
            return len(dialogs)
        finally:
            patience.cancel()
            self._settle_all()

    def _call_over(self, order: str) -> None:
        if held := self._placed.get(order):
            self._settle(held, _lost(held))

    def _settle_all(self) -> None:
        for held in list(self._placed.values()):
            self._settle(held, _lost(held))


def _lost(call: PlacedCall) -> CallReport:
    """The report of a call whose dialler died: it is unknown what came of it, unless no INVITE can have left."""
    end = CallEnd.outcome_unknown if call.dialling else CallEnd.not_started
    return CallReport(
        end,
        call.clock.now(),
        dialled_at=call.dialled_at,
        answered_at=call.answered_at,
        text="The dialler died during the call",
    )
