"""Ten prompts on one video, answered by local-facts: what they cost, in decodes of it.

    python -m benchmarks prompts

A video of a minute is drawn. First it is decoded once, alone. Then ten items of a batch ask about it, two at a time and
each of another kind, through the real runner; the facts of before are gone. Counted are the decoders that were started,
and the CPU seconds of this process and of all it started.
"""

import asyncio
import resource
import tempfile
import time
from collections.abc import Awaitable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.analysis import cards
from covey.analysis.backend import ItemAnswer, ItemRequest
from covey.analysis.config import Mode, Wanted
from covey.analysis.localfacts.backend import LocalFacts
from covey.analysis.localfacts.cache import FactsCache, Progress
from covey.analysis.media import Decoder, Facts
from covey.analysis.storage import AssetFiles
from covey.domain.clock import SystemClock
from covey.domain.ids import new_id
from covey.settings import Analysis

AT_ONCE = 2
PROMPTS = ("What text is on screen?", "List the chapters.", "Summarise the video.", "Which colours does it have?")
SCHEMA = {
    "type": "object",
    "properties": {"title": {"type": "string"}, "text_on_screen": {"type": "array", "items": {"type": "string"}}},
    "required": ["title", "text_on_screen"],
}


@dataclass
class Counted:
    """A decoder whose readings are counted."""

    decoder: Decoder
    readings: int = 0

    async def facts(self, file: Path, progress: Progress) -> Facts:
        self.readings += 1
        return await self.decoder.facts(file, progress)


def asks(asset: str, file: Path, seconds: float) -> list[ItemRequest]:
    """Ten of them, eight in words and two by a schema."""
    wanted: list[dict[str, Any]] = [{"prompt": {"input_text": PROMPTS[n % len(PROMPTS)]}} for n in range(8)]
    form = {"type": "json_schema", "json_schema": SCHEMA}
    wanted += [{"prompt": {"input_text": "Describe it."}, "response_format": form}] * 2

    async def no_media(name: str) -> bytes:
        raise KeyError(name)

    return [
        ItemRequest(asset, file, Mode.general, Wanted(**each), seconds, 0.0, seconds, lambda done, of: None, no_media)
        for each in wanted
    ]


async def costing(work: Awaitable[object]) -> tuple[float, float]:
    """Seconds of CPU, and by the clock, that something takes."""
    before, started = _cpu(), time.monotonic()
    await work
    return _cpu() - before, time.monotonic() - started


def _cpu() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


async def answered(backend: LocalFacts, given: list[ItemRequest]) -> list[ItemAnswer]:
    """The answers, so many at once as the lane of local-facts has by default."""
    room = asyncio.Semaphore(AT_ONCE)

    async def one(ask: ItemRequest) -> ItemAnswer:
        async with room:
            return await backend.analyze(ask)

    return await asyncio.gather(*(one(ask) for ask in given))


async def measure(folder: Path) -> None:
    """The table."""
    files = AssetFiles(None, folder / "assets", folder / "spool")
    counted = Counted(Decoder(Analysis()))
    asset = new_id(SystemClock().now())
    await files.keep(asset, cards(files.spooled().with_suffix(".mp4"), 60, (1280, 720)))
    async with files.local(asset) as file:
        seconds = (await counted.decoder.inspect(file)).seconds
        alone, alone_wall = await costing(counted.decoder.facts(file, lambda done, of: None))
        ten, ten_wall = await costing(answered(LocalFacts(FactsCache(counted, files)), asks(asset, file, seconds)))
        again, again_wall = await costing(answered(LocalFacts(FactsCache(counted, files)), asks(asset, file, seconds)))
    print(f"{'one decode of a minute of 720p':44} {alone:6.2f} CPU-s, {alone_wall:6.2f} s")
    print(f"{'ten prompts on it':44} {ten:6.2f} CPU-s, {ten_wall:6.2f} s: {ten / alone:.2f} decodes")
    print(f"{'ten more, after a restart':44} {again:6.2f} CPU-s, {again_wall:6.2f} s: {again / alone:.2f} decodes")
    print(f"decoders started for the twenty: {counted.readings}")
    files.close()
    if counted.readings != 1 or ten / alone >= 1.2:
        raise SystemExit("ten prompts cost more than 1.2 decodes")


def main() -> None:
    """Measure."""
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(measure(Path(folder)))


if __name__ == "__main__":
    main()
