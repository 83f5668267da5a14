"""Speech by any endpoint with OpenAI's `/audio/speech` and `/audio/transcriptions`: hosted, or one of one's own."""

import hashlib
import json

import httpx2
import numpy as np

from covey.calls.call import Recognition
from covey.calls.phrases import find
from covey.calls.speech import SpeechError
from covey.calls.speech.recognition import UTTERANCE_SECONDS
from covey.calls.speech.sound import read_wav, to_phone, write_wav
from covey.calls.speech.synthesis import LINE_SECONDS

_OPENAI_PCM_RATE = 24_000
_LARGEST_ANSWER = 64 * 1024 * 1024

_TRANSCRIBED = 0.8
"""The confidence of a transcript that holds an expected phrase: endpoints give none themselves."""


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


class OpenAiRecognizer:
    """Any server with OpenAI's `/audio/transcriptions`."""

    def __init__(self, base_url: str, key: str | None, model: str, language: str | None = "en") -> None:
        """`base_url` ends before `/audio/transcriptions`; `language` is ISO 639-1, None to let the server guess."""
        self._form = {"model": model, "response_format": "json"} | ({"language": language} if language else {})
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._client = httpx2.AsyncClient(
            base_url=base_url, headers=headers, timeout=UTTERANCE_SECONDS, trust_env=False
        )

    async def recognize(self, pcm: bytes, expected: tuple[str, ...]) -> Recognition:
        """Which of the `expected` phrases the transcript comes down to. Raises `SpeechError`."""
        whom = "The transcription endpoint"
        files = {"file": ("utterance.wav", write_wav(pcm), "audio/wav")}
        data = await post(self._client, "audio/transcriptions", whom, data=self._form, files=files)
        try:
            text = json.loads(data)["text"]
        except (ValueError, KeyError, TypeError) as error:
            raise SpeechError(f"{whom}'s answer is not JSON with a text") from error
        phrase = find(str(text), expected)
        return Recognition(phrase, _TRANSCRIBED if phrase else 0.0)

    async def close(self) -> None:
        """Closes the connections."""
        await self._client.aclose()


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
