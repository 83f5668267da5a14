"""One call as a demo phone has it: it rings, answers or not, listens, says its words, and writes down what it saw."""

import asyncio
import random
import time
from collections import deque
from typing import Any, Final, assert_never

import numpy as np
from aiortp import RTPSession
from aiosipua import IncomingCall
from aiosipua.sdp import negotiate_sdp

from covey.calls.trunks.demo.behaviours import BehaviourKind
from covey.calls.trunks.demo.phone_log import PhoneLog
from covey.calls.trunks.demo.sounds import BEEP, GREETING, NO, PAYLOAD_TYPE, SILENCE, YES, Frames

_LOUD: Final = 400
"""The peak from which a frame is not silence."""

_PAUSE_FRAMES: Final = 45
"""0.9 s of silence after words: the other side waits for an answer."""

_SHORT_CALL_SECONDS: Final = 1.5
_PATIENCE_SECONDS: Final = 120.0
_PORTS: Final = range(20000, 60000, 2)
_PORT_TRIES: Final = 50
_DIGIT_MS: Final = 120


class Phone:
    """One dialog of a phone."""

    def __init__(
        self,
        call: IncomingCall,
        number: str,
        kind: BehaviourKind,
        ring: float,
        sounds: dict[str, Frames],
        witness: PhoneLog,
    ) -> None:
        """`ring` is how many seconds it rings before it does anything."""
        self._call = call
        self._kind = kind
        self._ring = ring
        self._sounds = sounds
        self._witness = witness
        self._session: RTPSession | None = None
        self._queue: deque[bytes] = deque()
        self._played = asyncio.Event()
        self._pause = asyncio.Event()
        self._ended = asyncio.Event()
        self._heard = bytearray()
        self._spoke = False
        self._quiet = 0
        self._timestamp = 0
        self._facts: dict[str, Any] = {
            "number": number,
            "behaviour": kind.value,
            "call_id": call.call_id,
            "batch": call.invite.get_header("x-covey-batch"),
            "item": call.invite.get_header("x-covey-item"),
            "attempt": call.invite.get_header("x-covey-attempt"),
            "invite_at": time.time(),
            "answered_at": None,
            "first_voice_at": None,
            "bye_at": None,
            "ended_by": None,
            "code": None,
            "pressed": [],
            "said": [],
        }

    @property
    def talking(self) -> bool:
        """Whether sound goes out."""
        return self._session is not None and not self._ended.is_set()

    async def live(self) -> None:
        """The whole dialog."""
        self._witness.write("invite", self._facts)
        act = asyncio.ensure_future(self._act())
        ended = asyncio.ensure_future(self._ended.wait())
        await asyncio.wait({act, ended}, return_when=asyncio.FIRST_COMPLETED)
        failed = act.done() and not act.cancelled() and act.exception()
        act.cancel()
        ended.cancel()
        if not self._ended.is_set():
            self._end("phone", 200 if self._facts["answered_at"] else 500)
            self._call.hangup()
        await self._write_down()
        if failed:
            raise failed

    def ended_by_caller(self) -> None:
        """A BYE or CANCEL came."""
        self._end("caller", 200 if self._facts["answered_at"] else 487)

    def send_frame(self) -> None:
        """Send 20 ms of sound: what is queued, or silence, for a line that is open is never still."""
        assert self._session is not None
        self._timestamp = self._session.send_audio_auto(self._queue.popleft() if self._queue else SILENCE)
        if not self._queue:
            self._played.set()

    # ------------------------------------------------------------------ what it does

    async def _act(self) -> None:
        match self._kind:
            case BehaviourKind.busy:
                self._refuse(486)
            case BehaviourKind.does_not_exist:
                self._refuse(404)
            case BehaviourKind.switched_off:
                self._refuse(480)
            case BehaviourKind.declines:
                await self._let_ring()
                self._refuse(603)
            case BehaviourKind.never_answers:
                self._call.ringing()
                await self._ended.wait()
            case _:
                await self._answer()
                await self._talk()

    async def _talk(self) -> None:
        match self._kind:
            case BehaviourKind.says_yes:
                await self._reply(YES)
            case BehaviourKind.says_no:
                await self._reply(NO)
            case BehaviourKind.presses_one:
                await self._press("1")
            case BehaviourKind.presses_two:
                await self._press("2")
            case BehaviourKind.hangs_up:
                await asyncio.sleep(_SHORT_CALL_SECONDS)
            case BehaviourKind.silent:
                await asyncio.sleep(_PATIENCE_SECONDS)
            case BehaviourKind.mailbox:
                await self._say(GREETING)
                await self._say(BEEP)
                await asyncio.sleep(_PATIENCE_SECONDS)
            case (
                BehaviourKind.busy
                | BehaviourKind.does_not_exist
                | BehaviourKind.switched_off
                | BehaviourKind.declines
                | BehaviourKind.never_answers
            ):
                raise AssertionError("a phone that does not answer does not talk")
            case _:
                assert_never(self._kind)

    async def _let_ring(self) -> None:
        self._call.ringing()
        await asyncio.sleep(self._ring)

    def _refuse(self, code: int) -> None:
        self._call.reject(code)
        self._end("phone", code)

    async def _answer(self) -> None:
        await self._let_ring()
        offer = self._call.sdp_offer
        remote = offer.rtp_address if offer else None
        if offer is None or remote is None:
            self._refuse(488)
            return
        assert self._call.transport is not None
        here = self._call.transport.local_addr[0]
        self._session, port = await _open_session(here, remote)
        self._session.on_audio = self._listen
        answer, _ = negotiate_sdp(offer, here, port, supported_codecs=[PAYLOAD_TYPE])
        self._call.accept(answer)
        self._facts["answered_at"] = time.time()
        self._witness.write("answered", self._facts)

    async def _reply(self, words: str) -> None:
        while True:
            await self._until_asked()
            await self._say(words)

    async def _press(self, digit: str) -> None:
        while True:
            await self._until_asked()
            self._facts["pressed"].append(digit)
            assert self._session is not None
            self._session.send_dtmf(digit, _DIGIT_MS, timestamp=self._timestamp + 1)

    async def _say(self, words: str) -> None:
        self._facts["said"].append(words)
        self._queue.extend(self._sounds[words])
        self._played.clear()
        await self._played.wait()

    async def _until_asked(self) -> None:
        """Wait until the other side has said something and then been silent for a while."""
        self._spoke = False
        self._pause.clear()
        await self._pause.wait()

    def _listen(self, pcm: bytes, timestamp: int) -> None:
        if self._witness.keeps_sound:
            self._heard += pcm
        samples = np.frombuffer(pcm, dtype="<i2")
        if len(samples) and int(np.abs(samples.astype(np.int32)).max()) >= _LOUD:
            self._spoke, self._quiet = True, 0
            self._facts["first_voice_at"] = self._facts["first_voice_at"] or time.time()
            return
        self._quiet += 1
        if self._spoke and self._quiet >= _PAUSE_FRAMES:
            self._pause.set()

    # ------------------------------------------------------------------ the end

    def _end(self, by: str, code: int) -> None:
        if not self._ended.is_set():
            self._facts.update(ended_by=by, code=code, bye_at=time.time())
            self._ended.set()

    async def _write_down(self) -> None:
        if self._session is not None:
            stats = self._session.stats
            self._facts.update(received=stats.get("packets_received", 0), lost=stats.get("packets_lost", 0))
            await self._session.close()
            self._facts["audio"] = self._witness.keep(self._call.call_id, bytes(self._heard))
        self._witness.write("ended", self._facts)


async def _open_session(host: str, remote: tuple[str, int]) -> tuple[RTPSession, int]:
    """An RTP session on an even port with its RTCP on the next one (RFC 3550 section 11)."""
    for _ in range(_PORT_TRIES):
        port = random.choice(_PORTS)
        try:
            session = await RTPSession.create(
                (host, port), remote, PAYLOAD_TYPE, jitter_prefetch=0, plc=False, skip_audio_gaps=True
            )
        except OSError:
            continue
        return session, port
    raise OSError(f"no free pair of ports in {_PORT_TRIES} tries")
