"""Recordings: both sides where they sounded, in a compact file."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from covey.calls.call import FRAME_BYTES, FRAME_SECONDS, SAMPLE_RATE
from covey.calls.recording import Recording

from .conftest import Voice, tone


class Watch:
    """A monotonic clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_both_sides_stand_where_they_sounded(tmp_path: Path, speak: Voice) -> None:
    watch = Watch()
    recording = Recording(tmp_path / "call.flac", watch)
    spoken, answer = speak("Can you come on Tuesday?"), speak("yes please")
    for tick in range(300):
        watch.now = 100 + tick * FRAME_SECONDS
        recording.sent(spoken[tick * FRAME_BYTES : (tick + 1) * FRAME_BYTES])
        if tick >= 200:
            recording.heard(answer[(tick - 200) * FRAME_BYTES : (tick - 199) * FRAME_BYTES])
    path = recording.close()
    assert recording.whole
    assert path.stat().st_mode & 0o077 == 0
    sound, rate = soundfile.read(path, dtype="int16")
    left, right = sound[:, 0], sound[:, 1]
    assert rate == SAMPLE_RATE
    assert left[: len(spoken) // 2].tobytes() == spoken
    assert not right[: int(3.9 * SAMPLE_RATE)].any()
    start = int((200 - 1) * FRAME_SECONDS * SAMPLE_RATE)
    assert right[start : start + len(answer) // 2].tobytes() == answer
    assert path.stat().st_size < 0.6 * sound.nbytes


def test_what_was_flushed_is_not_recorded(tmp_path: Path) -> None:
    watch = Watch()
    recording = Recording(tmp_path / "call.flac", watch)
    recording.sent(tone(500, 0.08))
    watch.now += 0.04
    recording.flushed()
    watch.now += 0.5
    recording.heard(bytes(FRAME_BYTES))
    sound, _ = soundfile.read(recording.close(), dtype="int16")
    assert np.flatnonzero(sound[:, 0]).max() < 0.04 * SAMPLE_RATE


def test_a_long_call_is_written_as_it_goes(tmp_path: Path) -> None:
    watch = Watch()
    recording = Recording(tmp_path / "call.flac", watch)
    for _ in range(500):
        watch.now += FRAME_SECONDS
        recording.heard(tone(300, FRAME_SECONDS))
    assert (tmp_path / "call.flac").stat().st_size > 0
    sound, _ = soundfile.read(recording.close())
    assert len(sound) == pytest.approx(10 * SAMPLE_RATE, abs=2 * FRAME_BYTES)


def test_a_call_without_sound_leaves_a_readable_recording(tmp_path: Path) -> None:
    path = Recording(tmp_path / "call.flac", Watch()).close()
    assert len(soundfile.read(path)[0]) <= 1


def test_a_place_that_cannot_be_written_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="nowhere"):
        Recording(tmp_path / "nowhere" / "call.flac", Watch())


def test_a_full_disk_does_not_disturb_the_call() -> None:
    watch = Watch()
    recording = Recording(Path("/dev/full"), watch)
    for _ in range(500):
        watch.now += FRAME_SECONDS
        recording.heard(tone(300, FRAME_SECONDS))
    assert recording.close() == Path("/dev/full")
    assert not recording.whole
