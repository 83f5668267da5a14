"""One call in a dialler, from the order to its report."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final, assert_never

import structlog
from baresip.errors import (
    AudioNotActive,
    AudioRestarted,
    BaresipError,
    CommandQueueFull,
    CommandTimeout,
    StaleHandleError,
)

from covey.calls.call import CallClock, CallEnd, CallOrder, CallReport, Media, Recognition
from covey.calls.conversation import Conversation, FlushAudio, HangUp, Recognize, Said
from covey.calls.recording import Recording
from covey.calls.trunks.dialler.stack import Closed, Leg, Stack
from covey.calls.trunks.settings import SipSettings, sip_uri
from covey.calls.trunks.sip_codes import read_close

logger = structlog.get_logger()

AHEAD_BYTES: Final = 2560
"""160 ms of sound are kept ready to send. With 80 ms, 4 of 101 questions had a gap of a frame when the machine was
busy with other work. An interruption drops what is ready, so more costs nothing."""

_READ_BYTES: Final = 8192
_CLOSING_SECONDS: Final = 3.0

_HEARD_SECONDS: Final = 0.01
"""How often it is looked, before a call is hung up, whether the far side has answered its INVITE with anything."""

_CANCELLED: Final = 487
"""The answer to an INVITE that a CANCEL ended."""

Say = Callable[[Mapping[str, Any], bytes], None]
"""Tells the trunk something about this call: a message and its tail."""


class OutboundCall:
    """Places one call and sees it to its end. `run` answers the report; `tick` is called every 20 ms."""

    def __init__(self, order: CallOrder, settings: SipSettings, stack: Stack, clips: Mapping[str, bytes]) -> None:
        self.order = order
        self._settings = settings
        self._stack = stack
        self._conversation = Conversation(order.script, clips)
        self._recording: Recording | None = None
        self._clock = CallClock()
        self._dropped = asyncio.Event()
        self._called_off = asyncio.Event()
        self._end: CallEnd | None = None
        self._dialled_at: datetime | None = None
        self._answered_at: datetime | None = None
        self._answer_clock = 0.0
        self._handed = 0
        self._first_word: float | None = None
        self._rang = False
        self._ours = False
        self._fault = ""
        self._talking = False
        self._say: Say = lambda message, tail: None
        self._hears_us: Callable[[], bool] = lambda: False
        self._leg = Leg(self._on_ringing, self._on_answered, self._on_digit, asyncio.get_running_loop().create_future())

    @property
    def talking(self) -> bool:
        """Whether there is sound to carry."""
        return self._talking

    async def run(self, say: Say, before_dial: Callable[[], Any], hears_us: Callable[[], bool]) -> CallReport:
        """The whole call. `before_dial` is awaited right before the INVITE; the start lease is looked at after it.
        `hears_us` says whether the far side would take a CANCEL: it has answered the INVITE, if only by 100 Trying."""
        self._say = say
        self._hears_us = hears_us
        if why_not := await self._its_turn():
            return self._report(why_not, None)
        await before_dial()
        refused = await self._dial()
        if refused is not None:
            return refused
        closed = await self._until_closed()
        return self._close(closed)

    async def give_up(self, error: Exception) -> CallReport:
        """The report after `run` failed, which is a fault of ours: nobody stays on the line."""
        self._talking = False
        if self._leg.call is not None:
            await self._until_heard()
            await self._hang_up()
        dialled = self._dialled_at is not None
        end = CallEnd.outcome_unknown if dialled else CallEnd.not_started
        return CallReport(
            end,
            self._clock.now(),
            self._dialled_at,
            self._answered_at,
            text=f"internal error: {type(error).__name__}",
            sip_call_id=self._leg.call_id,
        )

    def drop(self) -> None:
        """End the call now, wherever it is; its report says `aborted` unless it has an end of its own."""
        self._dropped.set()
        self._called_off.set()

    def withdraw(self) -> None:
        """Do not dial, if that has not begun; its report then says `not_started`. Else the call goes on."""
        self._called_off.set()

    def recognized(self, request: int, heard: Recognition) -> None:
        """What was understood of an utterance."""
        if self._talking:
            self._safely(lambda: self._conversation.recognized(request, heard, self._now()))

    def tick(self) -> None:
        """Carry the sound of 20 ms in both directions and do what the conversation says."""
        if self._talking and self._leg.call is not None:
            self._safely(self._carry)

    def _safely(self, work: Callable[[], None]) -> None:
        """Do something with the conversation and then what it says. A fault in it ends this call and no other."""
        try:
            work()
            self._act()
        except Exception as error:
            logger.exception("conversation_failed", call=self.order.id)
            self._end = CallEnd.outcome_unknown
            self._fault = f"internal error: {type(error).__name__}"
            self._talking = False
            self._dropped.set()

    def _carry(self) -> None:
        assert self._leg.call is not None
        heard = b""
        try:
            self._top_up()
            heard = self._leg.call.audio.read(_READ_BYTES)
        except (AudioNotActive, AudioRestarted):
            pass  # not up yet, renegotiated, or closed a moment ago
        if heard:
            self._record(lambda recording: recording.heard(heard))
        self._conversation.hear(heard, self._now())

    def _record(self, work: Callable[[Recording], None]) -> None:
        """Write to the recording. One that cannot go on is given up; the call goes on."""
        if self._recording is None:
            return
        try:
            work(self._recording)
        except (OSError, RuntimeError) as error:
            logger.error("recording_given_up", call=self.order.id, error=str(error))
            self._recording = None

    # ------------------------------------------------------------------ before the answer

    async def _its_turn(self) -> str:
        """Wait for the start; why the call may not be dialled then, "" if it may."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, self.order.lease.start_at - time.monotonic())):
                await self._called_off.wait()
        return self._may_not_dial()

    def _may_not_dial(self) -> str:
        """Why no dial may begin now, "" if it may; then the end of the call is set, too."""
        if self._dropped.is_set():
            self._end = CallEnd.aborted
            return "hung up before the dial"
        if self._called_off.is_set():
            self._end = CallEnd.not_started
            return "withdrawn before the dial"
        if time.monotonic() > self.order.lease.until:
            self._end = CallEnd.not_started
            return "its start came too late"
        return ""

    async def _dial(self) -> CallReport | None:
        """Send the INVITE; a report if that was refused, or called off, before anything left."""
        order, settings = self.order, self._settings
        uri = sip_uri(order.number, settings.host, settings.port, settings.transport)
        headers = {
            "X-Covey-Batch": order.batch,
            "X-Covey-Item": order.item,
            "X-Covey-Attempt": str(order.attempt),
        }
        try:
            identity = await self._stack.identity(order.caller)
            if why_not := self._may_not_dial():
                return self._report(why_not, None)
            self._dialled_at = self._clock.now()
            await self._stack.dial(identity, uri, headers, self._leg)
        except CommandTimeout as error:
            self._end = CallEnd.outcome_unknown if self._dialled_at else CallEnd.not_started
            return self._report(str(error), None)
        except BaresipError as error:
            self._end = CallEnd.not_started if isinstance(error, CommandQueueFull) else CallEnd.trunk_unavailable
            self._dialled_at = None
            return self._report(str(error), None)
        return None

    async def _until_closed(self) -> Closed:
        loop = asyncio.get_running_loop()
        dropped: asyncio.Future[Any] = loop.create_task(self._dropped.wait())
        answered: asyncio.Future[Any] = loop.create_task(self._leg.answered.wait())
        closed: asyncio.Future[Any] = self._leg.closed
        try:
            await _first_of(dropped, answered, closed, within=self.order.ring_seconds)
            talked = self._leg.answered.is_set()
            if talked and not closed.done():
                await _first_of(dropped, closed, within=self.order.longest_seconds)
            await self._until_heard()
            if not closed.done():
                self._end = self._end or self._our_end(talked)
                self._ours = True
                await self._hang_up()
            return await self._leg.closed
        finally:
            dropped.cancel()
            answered.cancel()

    async def _until_heard(self) -> None:
        """Wait until a hang-up reaches the far side, or the stack has closed the call, as it does when an INVITE is not
        answered for 32 s. Before the first answer the stack would forget the call, and the phone would ring on."""
        while not (self._leg.closed.done() or self._leg.answered.is_set() or self._hears_us()):
            await _first_of(self._leg.closed, within=_HEARD_SECONDS)

    def _our_end(self, talked: bool) -> CallEnd:
        """Why we hang up; `talked` is whether it was answered before we wanted to."""
        if self._dropped.is_set():
            return CallEnd.aborted
        return CallEnd.too_long if talked else CallEnd.no_answer

    async def _hang_up(self) -> None:
        """Hang up; the far side's confirmation is not waited for longer than a moment."""
        self._talking = False
        try:
            await self._stack.hang_up(self._leg)
            async with asyncio.timeout(_CLOSING_SECONDS):
                await asyncio.shield(self._leg.closed)
        except (TimeoutError, BaresipError) as error:
            logger.warning("hang_up_unconfirmed", call=self.order.id, error=type(error).__name__)
            if not self._leg.closed.done():
                self._leg.closed.set_result(Closed("hung up, unconfirmed", None))

    # ------------------------------------------------------------------ what the stack says

    def _on_ringing(self) -> None:
        if not self._rang:
            self._rang = True
            self._say({"say": "ringing"}, b"")

    def _on_answered(self) -> None:
        self._answered_at = self._clock.now()
        self._answer_clock = time.monotonic()
        if self.order.recording:
            self._recording = self._open_recording(self.order.recording)
        self._talking = True
        self._say({"say": "answered"}, b"")
        self._safely(self._conversation.answered)
        self.tick()

    def _on_digit(self, digit: str) -> None:
        if self._talking:
            self._safely(lambda: self._conversation.digit(digit, self._now()))

    def _open_recording(self, path: str) -> Recording | None:
        try:
            return Recording(Path(path))
        except (OSError, RuntimeError) as error:
            logger.error("recording_not_possible", call=self.order.id, error=str(error))
            return None

    # ------------------------------------------------------------------ while they talk

    def _now(self) -> float:
        return time.monotonic() - self._answer_clock

    def _top_up(self) -> None:
        assert self._leg.call is not None
        audio = self._leg.call.audio
        info = audio.info()
        if not info.tx_ready:
            return
        if self._first_word is None and self._handed and info.tx_buffered < self._handed:
            self._first_word = round(self._now(), 3)
        pcm = self._conversation.next_audio(AHEAD_BYTES - info.tx_buffered)
        if not pcm:
            return
        audio.write(pcm)
        self._handed += len(pcm)
        self._record(lambda recording: recording.sent(pcm))

    def _act(self) -> None:
        for event in self._conversation.take_events():
            match event:
                case Said():
                    self._say({"say": "turn", "turn": event.turn}, b"")
                case Recognize():
                    self._say({"say": "understand", "request": event.request, "expected": event.expected}, event.pcm)
                case FlushAudio():
                    self._flush()
                case HangUp():
                    self._end = event.end
                    self._talking = False
                    self._dropped.set()
                case _:
                    assert_never(event)

    def _flush(self) -> None:
        assert self._leg.call is not None
        try:
            self._leg.call.audio.flush_tx()
        except (AudioNotActive, AudioRestarted, StaleHandleError):
            return
        self._record(lambda recording: recording.flushed())

    # ------------------------------------------------------------------ the end

    def _close(self, closed: Closed) -> CallReport:
        self._talking = False
        if self._answered_at is not None:
            self._end = self._end or self._conversation.ended_by_callee()
            return self._report(self._fault or ("" if self._ours else closed.text), closed, 200)
        if self._ours:
            return self._report("", closed)
        refusal = read_close(closed.text, self._rang)
        if self._dropped.is_set() and refusal.sip_code == _CANCELLED:
            self._end = CallEnd.aborted
        self._end = self._end or refusal.end
        return self._report(closed.text, closed, refusal.sip_code)

    def _report(self, text: str, closed: Closed | None, sip_code: int | None = None) -> CallReport:
        assert self._end is not None
        stats = closed.stats if closed else None
        spoke = self._answered_at is not None
        return CallReport(
            end=self._end,
            ended_at=self._clock.now(),
            dialled_at=self._dialled_at,
            answered_at=self._answered_at,
            sip_code=sip_code,
            text=text,
            sip_call_id=self._leg.call_id,
            turns=tuple(self._conversation.turns) if spoke else (),
            answers=dict(self._conversation.answers),
            message_left=self._conversation.message_left,
            media=Media(
                sent=stats.tx_packets if stats else 0,
                received=stats.rx_packets if stats else 0,
                lost=stats.rx_lost if stats else 0,
                first_word=self._first_word,
            ),
            recording=self._close_recording(),
            answerer=self._conversation.answerer.value if spoke else None,
        )

    def _close_recording(self) -> str | None:
        closed: list[str] = []
        self._record(lambda recording: closed.append(str(recording.close())))
        if self._recording is not None and not self._recording.whole:
            logger.warning("recording_not_whole", call=self.order.id)
        return closed[0] if closed else None


async def _first_of(*futures: "asyncio.Future[Any]", within: float) -> None:
    await asyncio.wait(futures, timeout=within, return_when=asyncio.FIRST_COMPLETED)
