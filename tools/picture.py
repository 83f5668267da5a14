"""Draws `covey watch` as it looks now: `python tools/picture.py BATCH FILE.svg`, with the profile of this user."""

import asyncio
import io
import re
import sys
from pathlib import Path

from rich.console import Console

from covey.cli.view import Seen, render
from covey.client import CoveyClient

LOOKS = 16
WIDTH = 96


def without_fonts(svg: str) -> str:
    """The picture with the reader's own monospaced font: it fetches nothing."""
    return re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL).replace("Fira Code", "ui-monospace")


async def draw(batch: str, file: Path) -> None:
    """Look for a few seconds, so that there is a rate; then write what a terminal would show."""
    seen = Seen()
    async with CoveyClient() as covey:
        for _ in range(LOOKS):
            seen.add(await covey.batches.get(batch))
            await asyncio.sleep(0.5)
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(render(seen))
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(  # noqa: ASYNC240
        without_fonts(console.export_svg(title="covey watch"))
    )


if __name__ == "__main__":
    asyncio.run(draw(sys.argv[1], Path(sys.argv[2])))
