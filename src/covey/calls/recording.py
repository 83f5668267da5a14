"""A call's recording: one file, two channels, left what we sent, right what we heard."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

from covey.calls.call import SAMPLE_RATE

_WRITE_BEHIND = int(0.5 * SAMPLE_RATE)
"""How many samples stay in memory: what is sent is handed over before it sounds, and may still be flushed."""

_WRITE_EVERY = 2 * SAMPLE_RATE


_JITTER = int(0.06 * SAMPLE_RATE)
"""A gap below this is the network's or the loop's unevenness, not silence."""


class Recording:
    """Writes while the call goes on; both sides stand where they sounded. Not for use by several threads."""

    def __init__(self, path: Path, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Starts the time line now, so make it at the answer. The file is readable by its owner only.

        Raises OSError if `path` cannot be written. What fails later, on a full disk, must not disturb the call: the
        rest is dropped, and `whole` says so.
        """
        path.touch(mode=0o600)
        self._path = path
        self._monotonic = monotonic
        self._started = monotonic()
        self._written = 0
        self.whole = True
        self._sides = (bytearray(), bytearray())
        self._file = soundfile.SoundFile(path, "w", SAMPLE_RATE, 2, format="FLAC", subtype="PCM_16")

    def sent(self, pcm: bytes) -> None:
        """Takes PCM that goes out now, behind what was sent before."""
        self._add(self._sides[0], pcm, self._samples_now())

    def flushed(self) -> None:
        """What was sent but has not sounded yet was dropped (barge-in)."""
        keep = max(0, self._samples_now() - self._written) * 2
        del self._sides[0][keep:]

    def heard(self, pcm: bytes) -> None:
        """Takes PCM that has arrived by now."""
        self._add(self._sides[1], pcm, self._samples_now() - len(pcm) // 2)

    def close(self) -> Path:
        """Writes the rest, at least one sample, for a file without any can't be read; answers the file's path."""
        rest = max(len(side) for side in self._sides) // 2
        self._write(max(rest, 0 if self._written else 1))
        self._file.close()
        return self._path

    def _samples_now(self) -> int:
        return int((self._monotonic() - self._started) * SAMPLE_RATE)

    def _add(self, side: bytearray, pcm: bytes, begins: int) -> None:
        gap = begins - self._written - len(side) // 2
        if gap > _JITTER:
            side += bytes(gap * 2)
        side += pcm
        ready = self._samples_now() - self._written - _WRITE_BEHIND
        if ready >= _WRITE_EVERY:
            self._write(ready)

    def _write(self, samples: int) -> None:
        sound = np.zeros((samples, 2), dtype="<i2")
        for channel, side in enumerate(self._sides):
            part = np.frombuffer(bytes(side[: samples * 2]), dtype="<i2")
            sound[: len(part), channel] = part
            del side[: samples * 2]
        self._written += samples
        if not self.whole:
            return
        try:
            self._file.write(sound)
            self._file.flush()
        except (soundfile.LibsndfileError, AssertionError, OSError):
            self.whole = False
