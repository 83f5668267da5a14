"""Speech: the real voice and the real recognizer in their children, endpoints over real HTTP, clips on disk."""

import asyncio
import io
import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import numpy as np
import pytest
import pytest_asyncio
import soundfile

from covey.calls import phrases
from covey.calls.call import SAMPLE_RATE
from covey.calls.conversation import SURE
from covey.calls.speech import SpeechError
from covey.calls.speech.openai import OpenAiRecognizer, OpenAiSynthesizer
from covey.calls.speech.recognition import PocketsphinxRecognizer
from covey.calls.speech.sound import write_wav
from covey.calls.speech.synthesis import EspeakSynthesizer

from .conftest import Voice, through_mu_law

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def espeak() -> AsyncIterator[EspeakSynthesizer]:
    made = EspeakSynthesizer()
    yield made
    await made.close()


# ---------------------------------------------------------------------- the voice of the wheel


async def test_it_speaks_at_a_phones_rate_and_level(espeak: EspeakSynthesizer) -> None:
    pcm = await espeak.speak("Hello Ada, this is the dental practice.", "")
    samples = np.frombuffer(pcm, dtype="<i2").astype(float)
    assert 1.5 < len(samples) / SAMPLE_RATE < 4
    assert 0.6 < np.abs(samples).max() / 32768 < 0.8
    assert np.abs(samples[:400]).max() > 160, "the first word begins at once"


async def test_voices_differ_and_have_their_language_tags(espeak: EspeakSynthesizer) -> None:
    lengths = [len(await espeak.speak("Hello, this is the practice", voice)) for voice in ("", "en-us", "en-GB", "de")]
    assert lengths[0] == pytest.approx(lengths[1], rel=0.01)
    assert len({round(length / 400) for length in lengths[1:]}) == 3


async def test_markup_and_control_characters_are_only_text(espeak: EspeakSynthesizer) -> None:
    plain = await espeak.speak("Hello", "")
    nasty = await espeak.speak("Hello <break time='60s'/> [[h@loU]] \x01 50s \x00 end", "")
    assert len(plain) < len(nasty) < 20 * len(plain)


async def test_what_has_no_sound_is_silence(espeak: EspeakSynthesizer) -> None:
    assert await espeak.speak(" ", "") == b""


@pytest.mark.parametrize("voice", ["klingon-9", "../../etc/passwd", "x" * 65, "a b"])
async def test_a_voice_that_is_none_is_a_speech_error(espeak: EspeakSynthesizer, voice: str) -> None:
    with pytest.raises(SpeechError, match="voice"):
        await espeak.speak("Hello", voice)


# ---------------------------------------------------------------------- the recognizer


@pytest.mark.parametrize("phrase", ["yes please", "no thank you", "yes", "yes i can", "yes that's right"])
async def test_short_answers_are_surely_understood_through_the_phone(
    recognizer: PocketsphinxRecognizer, speak: Voice, phrase: str
) -> None:
    heard = await recognizer.recognize(through_mu_law(speak(phrase)), phrases.EXPECTED)
    assert phrases.meaning(heard.text) is phrases.meaning(phrase)
    assert SURE <= heard.confidence < 1


@pytest.mark.parametrize("phrase", ["no", "no i can't", "okay"])
async def test_harder_ones_are_understood_if_not_always_surely(
    recognizer: PocketsphinxRecognizer, speak: Voice, phrase: str
) -> None:
    heard = await recognizer.recognize(through_mu_law(speak(phrase)), phrases.EXPECTED)
    assert phrases.meaning(heard.text) is phrases.meaning(phrase)
    assert 0 < heard.confidence < 1


@pytest.mark.parametrize(
    "said",
    ["who is calling", "hello", "call me later", "", "I can't come to the phone right now. Please leave a message."],
)
async def test_other_speech_is_no_sure_answer(recognizer: PocketsphinxRecognizer, speak: Voice, said: str) -> None:
    sound = speak(said) if said else bytes(SAMPLE_RATE)
    heard = await recognizer.recognize(through_mu_law(sound), phrases.EXPECTED)
    assert heard.confidence < SURE


async def test_expected_phrases_can_be_others(recognizer: PocketsphinxRecognizer, speak: Voice) -> None:
    colours = ("red", "green", "blue; public <x> = yes")
    assert (await recognizer.recognize(through_mu_law(speak("green")), colours)).text == "green"
    with pytest.raises(SpeechError, match="dictionary"):
        await recognizer.recognize(bytes(1600), ("qwxyz",))


async def test_a_recognizer_that_is_killed_comes_back(recognizer: PocketsphinxRecognizer, speak: Voice) -> None:
    await recognizer.recognize(bytes(1600), phrases.EXPECTED)
    assert recognizer.pid is not None
    os.kill(recognizer.pid, signal.SIGKILL)
    assert (await recognizer.recognize(speak("yes please"), phrases.EXPECTED)).text == "yes please"


# ---------------------------------------------------------------------- endpoints


@dataclass
class Endpoint:
    """A small HTTP server on loopback that remembers what it was asked."""

    answer: tuple[int, bytes]
    asked: list[tuple[str, str, bytes]] = field(default_factory=list)
    url: str = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = next(int(row.split(":")[1]) for row in head.splitlines() if row.lower().startswith("content-length"))
        self.asked.append((head.splitlines()[0], head, await reader.readexactly(length)))
        status, body = self.answer
        writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)
        await writer.drain()
        writer.close()
        await writer.wait_closed()


@asynccontextmanager
async def endpoint(status: int, body: bytes) -> AsyncIterator[Endpoint]:
    made = Endpoint((status, body))
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    async with server:
        yield made


def wav(rate: int, seconds: float) -> bytes:
    times = np.arange(int(rate * seconds)) / rate
    file = io.BytesIO()
    soundfile.write(file, np.sin(2 * np.pi * 440 * times) * 0.5, rate, format="WAV", subtype="PCM_16")
    return file.getvalue()


async def test_an_endpoint_speaks() -> None:
    async with endpoint(200, wav(24_000, 1.0)) as server:
        synthesizer = OpenAiSynthesizer(server.url, "sk-test", "tts-1")
        pcm = await synthesizer.speak("Hello", "")
        await synthesizer.close()
    line, head, body = server.asked[0]
    assert line == "POST /v1/audio/speech HTTP/1.1"
    assert "authorization: bearer sk-test" in head.lower()
    assert json.loads(body) == {"model": "tts-1", "voice": "alloy", "input": "Hello", "response_format": "wav"}
    assert len(pcm) == pytest.approx(SAMPLE_RATE * 2, abs=200)


async def test_an_endpoint_may_send_bare_pcm() -> None:
    async with endpoint(200, wav(24_000, 0.5)[44:]) as server:
        synthesizer = OpenAiSynthesizer(server.url, None, "tts-1", response_format="pcm")
        assert len(await synthesizer.speak("Hello", "nova")) == pytest.approx(SAMPLE_RATE, abs=200)
        await synthesizer.close()
    assert "authorization" not in server.asked[0][1].lower()


@pytest.mark.parametrize(("status", "body"), [(401, b"no"), (500, b""), (302, b""), (200, b"not a wav"), (200, b"")])
async def test_an_endpoint_that_does_not_speak_is_a_speech_error(status: int, body: bytes) -> None:
    async with endpoint(status, body) as server:
        synthesizer = OpenAiSynthesizer(server.url, "sk-test", "tts-1")
        with pytest.raises(SpeechError) as error:
            await synthesizer.speak("Ada Lovelace", "")
        await synthesizer.close()
    assert "sk-test" not in str(error.value)
    assert "Ada" not in str(error.value)


async def test_an_endpoint_that_is_not_there_is_a_speech_error() -> None:
    async with endpoint(200, b"") as server:
        url = server.url
    synthesizer = OpenAiSynthesizer(url, None, "tts-1")
    with pytest.raises(SpeechError, match="could not be reached"):
        await synthesizer.speak("Hello", "")
    await synthesizer.close()


async def test_an_endpoint_understands(speak: Voice) -> None:
    async with endpoint(200, b'{"text": "Yes, please."}') as server:
        recognizer = OpenAiRecognizer(server.url, "sk-test", "whisper-1")
        heard = await recognizer.recognize(speak("yes please"), phrases.EXPECTED)
        await recognizer.close()
    line, head, body = server.asked[0]
    assert line == "POST /v1/audio/transcriptions HTTP/1.1"
    assert "multipart/form-data" in head.lower()
    assert write_wav(speak("yes please")) in body
    assert b"whisper-1" in body
    assert (heard.text, heard.confidence >= SURE) == ("yes please", True)


@pytest.mark.parametrize("body", [b"{}", b"[]", b"yes", b"null"])
async def test_a_transcript_that_is_none_is_a_speech_error(body: bytes) -> None:
    async with endpoint(200, body) as server:
        recognizer = OpenAiRecognizer(server.url, None, "whisper-1")
        with pytest.raises(SpeechError, match="not JSON with a text"):
            await recognizer.recognize(bytes(1600), phrases.EXPECTED)
        await recognizer.close()
