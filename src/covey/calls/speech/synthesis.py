"""Text to sound: the voice of the wheel (`openai` has the other way)."""

import re

from covey.calls.speech import SpeechError
from covey.processes.child import ChildFailed, ChildProcess, ChildRefused

LINE_SECONDS = 20.0
"""How long the making of one line may take."""

_VOICE = re.compile(r"[\w+-]{0,64}")


class EspeakSynthesizer:
    """eSpeak NG in a child process: offline, robotic, always there. Voices are its own: `en-us`, `en-gb`, `de` …"""

    name = "espeak"

    def __init__(self) -> None:
        self._child = ChildProcess("covey.calls.speech.espeak", LINE_SECONDS)

    async def speak(self, text: str, voice: str) -> bytes:
        """`text` as PCM. Raises `SpeechError`."""
        if not _VOICE.fullmatch(voice):
            raise SpeechError("A voice's name has letters, digits, + and - only")
        try:
            _, pcm = await self._child.ask({"text": text, "voice": voice})
        except (ChildFailed, ChildRefused) as error:
            raise SpeechError(str(error)) from error
        return pcm

    async def close(self) -> None:
        """Ends the child process."""
        await self._child.close()
