"""Sound to short answers: a grammar in a child process (`openai` has the other way)."""

from covey.calls.call import Recognition
from covey.calls.speech import SpeechError
from covey.processes.child import ChildFailed, ChildProcess, ChildRefused

UTTERANCE_SECONDS = 5.0
"""How long the understanding of one utterance may take; the conversation waits a little longer."""


class PocketsphinxRecognizer:
    """Offline and cheap, for English short answers. Unsure hearings say so: no outcome may rest on one of them."""

    def __init__(self) -> None:
        self._child = ChildProcess("covey.calls.speech.sphinx", UTTERANCE_SECONDS)

    @property
    def pid(self) -> int | None:
        """The process id of the child, once it runs."""
        return self._child.pid

    async def recognize(self, pcm: bytes, expected: tuple[str, ...]) -> Recognition:
        """Which of the `expected` phrases was said. Raises `SpeechError`."""
        try:
            header, _ = await self._child.ask({"expected": expected}, pcm)
        except (ChildFailed, ChildRefused) as error:
            raise SpeechError(str(error)) from error
        return Recognition(header["text"], header["confidence"])

    async def close(self) -> None:
        """Ends the child process."""
        await self._child.close()
