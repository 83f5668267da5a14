"""Sound to short answers: a grammar in a child process, or any endpoint with OpenAI's `/audio/transcriptions`."""

import json

import httpx2

from covey.calls.call import Heard
from covey.calls.child import ChildFailed, ChildProcess, ChildRefused
from covey.calls.phrases import find
from covey.calls.speech import SpeechError
from covey.calls.speech.sound import write_wav
from covey.calls.speech.synthesis import post

UTTERANCE_SECONDS = 5.0
"""How long the understanding of one utterance may take; the conversation waits a little longer."""

_TRANSCRIBED = 0.8
"""The confidence of a transcript that holds an expected phrase: endpoints give none themselves."""


class PocketsphinxRecognizer:
    """Offline and cheap, for English short answers. Unsure hearings say so: no outcome may rest on one of them."""

    def __init__(self) -> None:
        self._child = ChildProcess("covey.calls.speech.sphinx", UTTERANCE_SECONDS)

    @property
    def pid(self) -> int | None:
        """The process id of the child, once it runs."""
        return self._child.pid

    async def recognize(self, pcm: bytes, expected: tuple[str, ...]) -> Heard:
        """Which of the `expected` phrases was said. Raises `SpeechError`."""
        try:
            header, _ = await self._child.ask({"expected": expected}, pcm)
        except (ChildFailed, ChildRefused) as error:
            raise SpeechError(str(error)) from error
        return Heard(header["text"], header["confidence"])

    async def close(self) -> None:
        """Ends the child process."""
        await self._child.close()


class OpenAiRecognizer:
    """Any server with OpenAI's `/audio/transcriptions`."""

    def __init__(self, base_url: str, key: str | None, model: str, language: str | None = "en") -> None:
        """`base_url` ends before `/audio/transcriptions`; `language` is ISO 639-1, None to let the server guess."""
        self._form = {"model": model, "response_format": "json"} | ({"language": language} if language else {})
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._client = httpx2.AsyncClient(
            base_url=base_url, headers=headers, timeout=UTTERANCE_SECONDS, trust_env=False
        )

    async def recognize(self, pcm: bytes, expected: tuple[str, ...]) -> Heard:
        """Which of the `expected` phrases the transcript comes down to. Raises `SpeechError`."""
        whom = "The transcription endpoint"
        files = {"file": ("utterance.wav", write_wav(pcm), "audio/wav")}
        data = await post(self._client, "audio/transcriptions", whom, data=self._form, files=files)
        try:
            text = json.loads(data)["text"]
        except (ValueError, KeyError, TypeError) as error:
            raise SpeechError(f"{whom}'s answer is not JSON with a text") from error
        phrase = find(str(text), expected)
        return Heard(phrase, _TRANSCRIBED if phrase else 0.0)

    async def close(self) -> None:
        """Closes the connections."""
        await self._client.aclose()
