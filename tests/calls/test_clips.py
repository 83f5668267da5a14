"""Clips on disk: made once, kept while they are used, apart for each workspace."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from covey.calls.agents import Agent, render
from covey.calls.call import Script
from covey.calls.speech import SpeechError
from covey.calls.speech.cache import ClipCache
from covey.calls.speech.synthesis import EspeakSynthesizer

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def espeak() -> AsyncIterator[EspeakSynthesizer]:
    made = EspeakSynthesizer()
    yield made
    await made.close()


class Counting:
    """The voice of the wheel, which also counts what it is asked and can be held back or made to fail."""

    name = "espeak"

    def __init__(self, voice: EspeakSynthesizer) -> None:
        self._voice = voice
        self.asked: list[str] = []
        self.busy = asyncio.Event()
        self.broken = False
        self.gate = asyncio.Event()
        self.gate.set()

    async def speak(self, text: str, voice: str) -> bytes:
        self.asked.append(text)
        if len(self.asked) == 2:
            self.busy.set()
        await self.gate.wait()
        if self.broken:
            raise SpeechError("broken")
        return await self._voice.speak(text, voice)

    async def close(self) -> None:
        pass


@pytest.fixture
def counting(espeak: EspeakSynthesizer) -> Counting:
    return Counting(espeak)


def script(name: str = "Ada") -> Script:
    return render(Agent(greeting="Hello {name}.", goodbye="Goodbye."), {"name": name})


def paths(files: dict[str, str]) -> list[Path]:
    """Those of the files that exist."""
    return [path for path in map(Path, files.values()) if path.exists()]


def sizes(files: dict[str, str]) -> int:
    """How many bytes the files have together."""
    return sum(path.stat().st_size for path in paths(files))


async def test_every_line_is_made_once(tmp_path: Path, counting: Counting) -> None:
    cache = ClipCache(tmp_path, counting)
    files = await cache.clips("w1", script(), "")
    assert sorted(counting.asked) == ["Goodbye.", "Hello Ada."]
    assert set(files) == {line.clip for line in script().lines()}
    assert sizes(files) > 8000
    assert await ClipCache(tmp_path, counting).clips("w1", script(), "") == files
    assert len(counting.asked) == 2


async def test_lines_asked_for_at_once_are_made_once(tmp_path: Path, counting: Counting) -> None:
    cache = ClipCache(tmp_path, counting)
    counting.gate.clear()
    asking = [asyncio.create_task(cache.clips("w1", script(), "")) for _ in range(20)]
    await counting.busy.wait()
    asking[0].cancel()
    counting.gate.set()
    results = await asyncio.gather(*asking, return_exceptions=True)
    assert isinstance(results[0], asyncio.CancelledError)
    assert len(set(map(str, results[1:]))) == 1
    assert len(counting.asked) == 2


async def test_workspaces_share_nothing_and_can_be_forgotten(tmp_path: Path, counting: Counting) -> None:
    cache = ClipCache(tmp_path, counting)
    first, second = await cache.clips("w1", script(), ""), await cache.clips("w2", script(), "")
    assert set(first.values()).isdisjoint(second.values())
    assert len(counting.asked) == 4
    await cache.forget("w1")
    assert sizes(first) == 0
    assert sizes(second) > 8000


async def test_what_cannot_be_spoken_raises_and_leaves_nothing(tmp_path: Path, counting: Counting) -> None:
    cache = ClipCache(tmp_path, counting)
    counting.broken = True
    with pytest.raises(SpeechError, match="broken"):
        await cache.clips("w1", script(), "")
    assert not any(os.scandir(tmp_path))
    counting.broken = False
    assert len(await cache.clips("w1", script(), "")) == 2


async def test_a_folder_that_cannot_be_written_is_a_speech_error(tmp_path: Path, counting: Counting) -> None:
    (tmp_path / "w1").write_text("in the way")
    with pytest.raises(SpeechError, match="can't be written"):
        await ClipCache(tmp_path, counting).clips("w1", script(), "")


async def test_the_clips_not_used_for_longest_go_first_and_those_in_use_stay(
    tmp_path: Path, counting: Counting
) -> None:
    old = await ClipCache(tmp_path, counting).clips("w1", script("Old"), "")
    for file in old.values():
        os.utime(file, (time.time() - 10_000, time.time() - 10_000))
    limit = sizes(old)
    new = await ClipCache(tmp_path, counting, limit).clips("w1", script("New"), "")
    (unused,) = set(old.items()) - set(new.items())
    assert sizes(dict([unused])) == 0
    assert len(paths(new)) == 2


@pytest.mark.parametrize("workspace", ["..", "a/b", "", ".hidden"])
async def test_a_workspace_is_no_way_out_of_the_folder(tmp_path: Path, counting: Counting, workspace: str) -> None:
    with pytest.raises(ValueError, match="fit for a folder"):
        await ClipCache(tmp_path, counting).clips(workspace, script(), "")
