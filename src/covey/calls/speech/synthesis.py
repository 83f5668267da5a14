"""Text to sound: the voice of the wheel, or any endpoint that speaks OpenAI's `/audio/speech`."""

import hashlib
import re

import httpx2
import numpy as np

from covey.calls.child import ChildFailed, ChildProcess, ChildRefused
from covey.calls.speech import SpeechError
from covey.calls.speech.sound import read_wav, to_phone

LINE_SECONDS = 20.0
"""How long the making of one line may take."""

_OPENAI_PCM_RATE = 24_000
_LARGEST_ANSWER = 64 * 1024 * 1024
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


class OpenAiSynthesizer:
    """Any server with OpenAI's `/audio/speech`: hosted, or one of one's own."""

    def __init__(
        self, base_url: str, key: str | None, model: str, voice: str = "alloy", response_format: str = "wav"
    ) -> None:
        """`base_url` ends before `/audio/speech` (`https://api.openai.com/v1`); `voice` is used where none is named;
        `response_format` is `wav`, or `pcm` (24 kHz, 16 bit, as OpenAI sends it)."""
        made_by = hashlib.sha256(f"{base_url} {model} {voice}".encode()).hexdigest()[:12]
        self.name = f"openai-{made_by}"
        self._model = model
        self._voice = voice
        self._format = response_format
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._client = httpx2.AsyncClient(base_url=base_url, headers=headers, timeout=LINE_SECONDS, trust_env=False)

    async def speak(self, text: str, voice: str) -> bytes:
        """`text` as PCM. Raises `SpeechError`, whose text never holds the key or the line."""
        order = {
            "model": self._model,
            "voice": voice or self._voice,
            "input": text,
            "response_format": self._format,
        }
        data = await post(self._client, "audio/speech", "The speech endpoint", json=order)
        try:
            return self._to_phone(data)
        except ValueError as error:
            raise SpeechError(f"The speech endpoint's answer is not {self._format}: {len(data)} bytes") from error

    async def close(self) -> None:
        """Closes the connections."""
        await self._client.aclose()

    def _to_phone(self, data: bytes) -> bytes:
        if self._format == "pcm":
            samples = np.frombuffer(data, dtype="<i2").astype(np.float64) / 32768
            pcm = to_phone(samples, _OPENAI_PCM_RATE)
        else:
            pcm = to_phone(*read_wav(data))
        if not pcm:
            raise ValueError("silence")
        return pcm


async def post(client: httpx2.AsyncClient, path: str, whom: str, **what: object) -> bytes:
    """POSTs and answers the body; `SpeechError` for whatever is not a 2xx of a sensible size."""
    try:
        async with client.stream("POST", path, **what) as response:  # type: ignore[arg-type]
            if response.status_code // 100 != 2:
                raise SpeechError(f"{whom} answered {response.status_code}")
            parts = bytearray()
            async for part in response.aiter_bytes():
                parts += part
                if len(parts) > _LARGEST_ANSWER:
                    raise SpeechError(f"{whom} sent more than {_LARGEST_ANSWER} bytes")
            return bytes(parts)
    except httpx2.HTTPError as error:
        raise SpeechError(f"{whom} could not be reached: {type(error).__name__}") from error
