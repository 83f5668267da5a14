"""Reading facts off videos: CPU seconds per minute of video, peak memory, and two videos on two cores.

    python -m benchmarks analysis

Clips are drawn first: title cards that change every six seconds, a ball that always moves (so that every second is
read), and a large picture. What decoders cost is what the kernel says about the children that have ended.
"""

import asyncio
import resource
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from covey.analysis.media import Decoder, isolation
from covey.analysis.media.drawing import Ball, DrawnScene, draw
from covey.settings import Analysis

_COLOURS = ("navy", "darkred", "darkgreen", "teal", "black", "purple", "maroon", "olive", "gray", "brown")


@dataclass(frozen=True, slots=True)
class Cost:
    """What one reading took: seconds by the clock, seconds of CPU, of video; the most bytes any child had so far."""

    wall: float
    cpu: float
    video: float
    peak: int


def cards(path: Path, seconds: float, size: tuple[int, int], ball: Ball | None = None) -> Path:
    """A minute of ten title cards, or less of it."""
    lines = (("A title of many words", 44), ("and what is said below it", 24), ("a line of small print, 2026", 14))
    draw(path, [DrawnScene(seconds / 10, colour, lines, ball) for colour in _COLOURS], size)
    return path


async def read(decoder: Decoder, *files: Path) -> Cost:
    """All of the files, at once."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    facts = await asyncio.gather(*(decoder.facts(file, lambda *_: None) for file in files))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(time.monotonic() - started, cpu, sum(one.decoded_seconds for one in facts), after.ru_maxrss * 1024)


def tell(name: str, cost: Cost) -> None:
    """One line of the table."""
    minute = cost.cpu / cost.video * 60
    print(f"{name:44} {minute:6.1f} CPU-s per minute of video, {cost.wall:6.1f} s, peak {cost.peak / 1e6:.0f} MB")


async def measure(folder: Path) -> None:
    """The table."""
    decoder = Decoder(Analysis())
    still = cards(folder / "cards.mp4", 60, (1280, 720))
    tell("60 s of 720p, ten title cards", alone := await read(decoder, still))
    tell(
        "30 s of 720p, something always moves",
        await read(decoder, cards(folder / "b.mp4", 30, (1280, 720), Ball("red"))),
    )
    tell(
        "20 s of 1080p, something always moves",
        await read(decoder, cards(folder / "l.mp4", 20, (1920, 1080), Ball("red"))),
    )
    both = await read(decoder, still, still)
    tell("two of the first at once", both)
    print(f"two at once take {both.wall / alone.wall:.2f} times as long as one, on {both.cpu / both.wall:.2f} cores")
    print("isolation:", ", ".join(f"{name} {'holds' if held else 'does not hold'}" for name, held, _ in isolation()))


def main() -> None:
    """Measure."""
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(measure(Path(folder)))


if __name__ == "__main__":
    main()
