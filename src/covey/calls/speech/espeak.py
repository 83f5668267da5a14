"""The child process that speaks: eSpeak NG from the wheel `espeakng-loader`, through ctypes.

Asked {"text", "voice"}, it answers with PCM of 8 kHz. eSpeak NG is under the GPL, which is one reason for a process of
its own; the other is that it is C code fed with other people's text. Constants are those of its `speak_lib.h`.
"""

import ctypes
from pathlib import Path
from typing import Any

import espeakng_loader
import numpy as np

from covey.calls.speech.sound import to_phone
from covey.processes.child import ChildRefused, serve

DEFAULT_VOICE = "en-us"

_ALIASES = {"en-gb": "en", "de-de": "de", "fr-fr": "fr", "es-es": "es", "it-it": "it", "nl-nl": "nl", "pt-pt": "pt"}
"""Common language tags that eSpeak NG knows by a shorter name."""

_SYNCHRONOUS = 2
_DONT_EXIT = 0x8000
_UTF8 = 1
_POSITION_CHARACTER = 1
_PARAMETER_RATE = 1
_WORDS_A_MINUTE = 155

_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


class Espeak:
    """The library, ready to speak. There is one in a process, for the library keeps its state in globals."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        self._parts: list[bytes] = []
        self._callback = _Callback(self._take)
        data = str(Path(espeakng_loader.get_data_path()).parent).encode()
        self._rate = self._library.espeak_Initialize(_SYNCHRONOUS, 0, data, _DONT_EXIT)
        if self._rate <= 0:
            raise RuntimeError("eSpeak NG found no data")
        self._library.espeak_SetSynthCallback(self._callback)

    def answer(self, header: dict[str, Any], _body: bytes) -> tuple[dict[str, Any], bytes]:
        """Answers one frame."""
        return {}, self.speak(str(header["text"]), str(header["voice"]) or DEFAULT_VOICE)

    def speak(self, text: str, voice: str) -> bytes:
        """`text` as PCM of 8 kHz, none if there is nothing to say. Raises `ChildRefused` if there is no such voice."""
        name = _ALIASES.get(voice.lower(), voice)
        if self._library.espeak_SetVoiceByName(name.encode()) != 0:
            raise ChildRefused(f"eSpeak NG has no voice {voice!r}")
        self._library.espeak_SetParameter(_PARAMETER_RATE, _WORDS_A_MINUTE, 0)
        self._parts.clear()
        encoded = text.encode() + b"\0"
        done = self._library.espeak_Synth(
            encoded, ctypes.c_size_t(len(encoded)), 0, _POSITION_CHARACTER, 0, _UTF8, None, None
        )
        samples = np.frombuffer(b"".join(self._parts), dtype="<i2").astype(np.float64) / 32768
        if done != 0:
            raise ChildRefused("eSpeak NG could not speak the text")
        return to_phone(samples, self._rate)

    def _take(self, wave: Any, count: int, _events: Any) -> int:
        if wave and count > 0:
            self._parts.append(ctypes.string_at(wave, count * 2))
        return 0


if __name__ == "__main__":
    serve(Espeak().answer)
