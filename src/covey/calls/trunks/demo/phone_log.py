"""What the phones saw, written down by themselves: an account that owes nothing to the side that called them."""

import wave
from pathlib import Path
from typing import Any, TextIO

import orjson

from covey import private
from covey.calls.call import SAMPLE_RATE


class PhoneLog:
    """Writes `phones.jsonl`, one object a line, flushed with every line, and the sound the phones heard.

    Lines have `event`: `invite`, `answered`, `ended` (which repeats all that is known of the dialog) or `refused`;
    phones that swallow everything write `swallowed` for an INVITE and `cancelled` for a CANCEL, those that are silent
    first `arrived` before `invite`.
    Times are seconds since 1970.
    """

    def __init__(self, log: Path | None, audio: Path | None) -> None:
        """`log` is appended to; `audio` is a folder for WAV files, None for none."""
        self._log: TextIO | None = log.open("a", encoding="utf-8") if log else None
        self._audio = audio
        if audio:
            private.folder(audio)

    @property
    def keeps_sound(self) -> bool:
        """Whether the phones are to remember what they heard."""
        return self._audio is not None

    def write(self, event: str, facts: dict[str, Any]) -> None:
        """Write one line."""
        if self._log is not None:
            self._log.write(orjson.dumps({"event": event, **facts}).decode() + "\n")
            self._log.flush()

    def keep(self, name: str, pcm: bytes) -> str | None:
        """Write what a phone heard; answers the file."""
        if self._audio is None:
            return None
        path = self._audio / f"{name}.wav"
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(SAMPLE_RATE)
            file.writeframes(pcm)
        return str(path)

    def close(self) -> None:
        if self._log is not None:
            self._log.close()
