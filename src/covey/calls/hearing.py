"""Listening to the callee: is that a voice, is that a beep, is that a machine.

    UtteranceDetector  cuts the received sound into frames, tells voice from silence, keeps the utterance being said
    ToneDetector       finds the pure tone after which a mailbox records
    MachineDetector    tells a person's short hello from a mailbox's greeting

Everything here is pure computing on the received sound and the time it came; nothing waits.
"""

from collections import deque
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import webrtcvad

from covey.calls.call import FRAME_BYTES, FRAME_SECONDS, SAMPLE_RATE

UTTERANCE_SILENCE = 0.6
"""Seconds of silence that end an utterance."""

LONGEST_UTTERANCE = 8.0
"""Seconds after which an utterance is taken as it is: constant noise must not hold the call."""

_PRE_ROLL_FRAMES = 15
_ONSET_WINDOW = 5
_ONSET_VOICED = 3
_QUIET_LEVEL = 120.0
"""Root mean square below which a frame is silence, whatever the voice detector says: about -49 dB of full scale."""


class Answerer(StrEnum):
    """Who answered, as far as the sound tells."""

    unknown = "unknown"
    human = "human"
    machine = "machine"


@dataclass(slots=True)
class Utterance:
    """A stretch of voice: when it began and when voice was last heard in it (seconds from the answer), its sound."""

    started_at: float
    last_voice_at: float
    voiced: float
    sound: bytearray


@dataclass(frozen=True, slots=True)
class MachineSettings:
    """When a greeting counts as a machine's, in seconds. Human-first: only long greetings are machines.

    The rules are those of Asterisk's `app_amd`, without its count of words, which called talkative people machines.
    `longest_hello` is seconds of voice: "Hello, this is Ada Lovelace speaking" has 2.1. A mailbox that says less is
    known by its beep.
    """

    initial_silence: float = 2.5
    after_greeting_silence: float = 0.8
    longest_hello: float = 2.4
    decide_within: float = 6.0


class MachineDetector:
    """Tells a person from a mailbox by the first thing said after the answer."""

    def __init__(self, settings: MachineSettings | None = None) -> None:
        self._settings = settings or MachineSettings()
        self._voiced = 0.0
        self._last_voice_at: float | None = None
        self._open = True
        self.verdict = Answerer.unknown

    def hear(self, voiced: bool, at: float) -> Answerer:
        """Takes one frame; answers what is known by now. `unknown` stays when nothing is said at the start."""
        if not self._open:
            return self.verdict
        if voiced:
            self._voiced += FRAME_SECONDS
            self._last_voice_at = at
        self._judge(at)
        return self.verdict

    def _judge(self, at: float) -> None:
        rules = self._settings
        if self._voiced >= rules.longest_hello:
            self._decide(Answerer.machine)
        elif self._last_voice_at is None:
            if at >= rules.initial_silence:
                self._decide(Answerer.unknown)
        elif self._voiced >= 0.1 and at - self._last_voice_at >= rules.after_greeting_silence:
            self._decide(Answerer.human)
        elif at >= rules.decide_within:
            self._decide(Answerer.unknown)

    def _decide(self, verdict: Answerer) -> None:
        self.verdict = verdict
        self._open = False


class ToneDetector:
    """Finds a pure tone of 350 to 2200 Hz that holds for 200 ms: the beep of a mailbox.

    A digit's sound is two tones and speech moves, so neither counts.
    """

    _LOWEST, _HIGHEST = 350.0, 2200.0
    _HELD_FRAMES = 9
    _PURITY = 0.92
    _DRIFT_HZ = 20.0

    def __init__(self) -> None:
        self._window = np.hanning(2 * FRAME_BYTES // 2)
        self._bin_hz = SAMPLE_RATE / len(self._window)
        self._before = np.zeros(FRAME_BYTES // 2)
        self._pitch = 0.0
        self._steady_frames = 0
        self.beeping = False
        self.beeps = 0

    def hear(self, samples: "np.ndarray[tuple[int], np.dtype[np.float64]]", loud: bool) -> None:
        """Takes one frame. `beeping` says whether a tone is on now, `beeps` how many began."""
        pitch = self._pure_pitch(np.concatenate((self._before, samples))) if loud else None
        self._before = samples
        if pitch is None:
            self._steady_frames = 0
            self.beeping = False
            return
        self._steady_frames = self._steady_frames + 1 if abs(pitch - self._pitch) <= self._DRIFT_HZ else 1
        self._pitch = pitch
        if self._steady_frames == self._HELD_FRAMES:
            self.beeping = True
            self.beeps += 1

    def _pure_pitch(self, samples: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> float | None:
        power = np.abs(np.fft.rfft(samples * self._window)) ** 2
        top = int(power.argmax())
        pitch = top * self._bin_hz
        if not self._LOWEST - self._bin_hz <= pitch <= self._HIGHEST + self._bin_hz:
            return None
        pure = power[max(0, top - 2) : top + 3].sum() >= self._PURITY * power.sum()
        return pitch if pure else None


class UtteranceDetector:
    """Takes the received sound as it comes and knows: is the callee speaking, what was said, was there a beep."""

    def __init__(self) -> None:
        self._vad = webrtcvad.Vad(2)
        self._rest = b""
        self._recent: deque[bytes] = deque(maxlen=_PRE_ROLL_FRAMES)
        self._recent_voice: deque[bool] = deque(maxlen=_ONSET_WINDOW)
        self._tone = ToneDetector()
        self.machine = MachineDetector()
        self.utterance: Utterance | None = None
        self.last_voice_at: float | None = None

    @property
    def beeping(self) -> bool:
        """Whether a beep is on now."""
        return self._tone.beeping

    @property
    def beeps(self) -> int:
        """How many beeps began so far."""
        return self._tone.beeps

    def hear(self, pcm: bytes, now: float) -> None:
        """Takes sound of any length that had arrived by `now`, seconds since the answer."""
        sound = self._rest + pcm
        whole = len(sound) - len(sound) % FRAME_BYTES
        self._rest = sound[whole:]
        frames = whole // FRAME_BYTES
        for index in range(frames):
            at = now - (frames - 1 - index) * FRAME_SECONDS
            self._frame(sound[index * FRAME_BYTES : (index + 1) * FRAME_BYTES], at)
        if not frames:
            self.machine.hear(False, now)

    def take_utterance(self, now: float) -> Utterance | None:
        """The utterance, once it has ended (by silence or by its length); the ear then waits for the next one."""
        said = self.utterance
        if said is None:
            return None
        if now - said.last_voice_at < UTTERANCE_SILENCE and now - said.started_at < LONGEST_UTTERANCE:
            return None
        self.forget()
        return said

    def forget(self) -> None:
        """Drops the utterance heard so far."""
        self.utterance = None
        self._recent_voice.clear()

    def speaking(self, now: float) -> bool:
        """Whether the callee is in the middle of saying something."""
        return self.utterance is not None and now - self.utterance.last_voice_at < UTTERANCE_SILENCE

    def _frame(self, frame: bytes, at: float) -> None:
        samples = np.frombuffer(frame, dtype="<i2").astype(np.float64)
        loud = float(np.sqrt(np.dot(samples, samples) / len(samples))) >= _QUIET_LEVEL
        voiced = loud and bool(self._vad.is_speech(frame, SAMPLE_RATE))
        self._tone.hear(samples, loud)
        self.machine.hear(voiced, at)
        if voiced:
            self.last_voice_at = at
        self._collect(frame, voiced, at)

    def _collect(self, frame: bytes, voiced: bool, at: float) -> None:
        self._recent.append(frame)
        if self.utterance is not None:
            self.utterance.sound += frame
            if voiced:
                self.utterance.voiced += FRAME_SECONDS
                self.utterance.last_voice_at = at
            return
        self._recent_voice.append(voiced)
        if voiced and sum(self._recent_voice) >= _ONSET_VOICED:
            began = at - (len(self._recent_voice) - 1) * FRAME_SECONDS
            heard = sum(self._recent_voice) * FRAME_SECONDS
            self.utterance = Utterance(began, at, heard, bytearray(b"".join(self._recent)))
