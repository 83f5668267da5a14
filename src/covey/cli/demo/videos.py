"""The demo's second act: three short videos are drawn, asked about, and the answers held against what was drawn."""

import asyncio
import json
import re
import shutil
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from covey.analysis.media.drawing import Ball, DrawnScene, Truth, draw
from covey.analysis.schema import validate
from covey.cli.demo.environment import DemoFailed
from covey.cli.output import data, print_line, print_table
from covey.client import CoveyClient
from covey.client.analysis import AnalysisBatch

MODEL = "local-facts"
CHAPTER_SECONDS = 1.0
"""A chapter may begin so far from the cut that was drawn."""

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "title": {"type": "string"},
        "duration": {"type": "number"},
        "text_on_screen": {"type": "array", "items": {"type": "string"}},
        "chapters": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"title": {"type": "string"}, "start": {"type": "timestamp", "format": "seconds"}},
                "required": ["title", "start"],
            },
        },
    },
    "required": ["title", "duration", "text_on_screen", "chapters"],
}
ASKED = (
    ("text", {"prompt": {"input_text": "What text is on screen?"}}),
    ("chapters", {"prompt": {"input_text": "List the chapters."}}),
    (
        "schema",
        {
            "prompt": {"input_text": "Describe the video in this shape."},
            "response_format": {"type": "json_schema", "json_schema": SCHEMA},
        },
    ),
)

DRAWN: dict[str, tuple[DrawnScene, ...]] = {
    "titles.mp4": (
        DrawnScene(3, "navy", (("Quarterly review", 64), ("Lisbon, 12 May", 32))),
        DrawnScene(3, "darkgreen", (("Revenue grew by 14 percent", 48), ("Source: annual report", 16))),
        DrawnScene(3, "maroon", (("Thank you for watching", 56),)),
    ),
    "shapes.mp4": (
        DrawnScene(4, "steelblue", (("A ball crosses the picture", 40),), Ball("red")),
        DrawnScene(4, "black", (("And another one", 40),), Ball("yellow", seconds=1.0)),
    ),
    "cuts.mp4": tuple(
        DrawnScene(2, colour, ((f"Scene {name}", 52),))
        for colour, name in (("red", "one"), ("green", "two"), ("blue", "three"), ("purple", "four"), ("gray", "five"))
    ),
}


@dataclass(frozen=True, slots=True)
class Checked:
    """One answer beside what was drawn: how much of it was found, of how much."""

    video: str
    question: str
    found: int
    drawn: int
    answer: str

    @property
    def holds(self) -> bool:
        return self.found == self.drawn > 0


async def second_act(client: CoveyClient, folder: Path, watch: Callable[[str], Awaitable[object]]) -> list[Checked]:
    """Draw, upload, ask; then cancel a batch in the middle. What was answered, beside what was drawn."""
    await asyncio.to_thread(folder.mkdir)
    truths = {name: await asyncio.to_thread(draw, folder / name, scenes) for name, scenes in DRAWN.items()}
    for name, truth in truths.items():
        print_line(f"{name}: {truth.seconds:g} s, {len(truth.cuts)} cuts, {len(truth.lines)} lines of text")
    assets = await _uploaded(client, folder, list(truths))
    started = await client.analyses.create(
        [
            {"video": {"type": "asset_id", "asset_id": asset}, "custom_id": f"{Path(name).stem}-{asked}", **more}
            for asked, more in ASKED
            for name, asset in assets.items()
        ],
        model=MODEL,
    )
    await watch(started.batch_id)
    lines = [line async for line in client.analyses.results(started.batch_id)]
    return [
        _checked(line, name, truths[name], asked) for line, (name, asked) in zip(lines, _questions(truths), strict=True)
    ]


def _questions(truths: dict[str, Truth]) -> list[tuple[str, str]]:
    return [(name, asked) for asked, _ in ASKED for name in truths]


async def _uploaded(client: CoveyClient, folder: Path, names: Sequence[str]) -> dict[str, str]:
    """The assets of the files, by name."""
    found = {}
    for name in names:
        asset = await client.assets.upload(folder / name)
        found[name] = (await client.assets.ready(asset.id)).id
    return found


def _checked(line: dict[str, Any], name: str, truth: Truth, question: str) -> Checked:
    if line["status"] != "ready":
        raise DemoFailed(f"{name}, {question}: {line['status']}: {(line.get('error') or {}).get('message')}")
    answer = str(line["data"]["data"])
    match question:
        case "text":
            found, drawn = _lines_in(answer, truth), len(truth.lines)
        case "chapters":
            found, drawn = _cuts_in([_seconds(mark) for mark in _MARKS.findall(answer)], truth), len(truth.cuts)
        case _:
            document = json.loads(answer)
            fits = validate(document, SCHEMA) is None
            starts = [float(chapter["start"]) for chapter in document["chapters"]]
            found = _lines_in(answer, truth) + _cuts_in(starts, truth) + fits
            drawn = len(truth.lines) + len(truth.cuts) + 1
    return Checked(name, question, found, drawn, answer)


_MARKS = re.compile(r"\d+(?::\d\d)*(?:\.\d+)?")
"""Anything that may be a time."""


def _seconds(mark: str) -> float:
    total = 0.0
    for part in mark.split(":"):
        total = total * 60 + float(part)
    return total


def _lines_in(answer: str, truth: Truth) -> int:
    return sum(text in answer for text, _, _ in truth.lines)


def _cuts_in(times: Sequence[float], truth: Truth) -> int:
    return sum(any(abs(time - cut) <= CHAPTER_SECONDS for time in times) for cut in truth.cuts)


def put_checked(checked: Sequence[Checked]) -> None:
    """The answers beside what was drawn, a line each, and one of them whole."""
    columns = ("video", "asked for", "drawn", "found", "")
    print_table(
        columns, [(c.video, c.question, c.drawn, c.found, "✓" if c.holds else "✗") for c in checked], right=columns[2:4]
    )
    data().print()
    print_line(next(one.answer for one in checked if one.question == "chapters"))


async def called_back(client: CoveyClient, folder: Path) -> tuple[AnalysisBatch, AnalysisBatch]:
    """A batch that is cancelled while it is processing: as the cancel answered, and as it ended."""
    copies = [f"copy-{n}.mp4" for n in range(6)]
    for n, copy in enumerate(copies):
        await asyncio.to_thread(shutil.copyfile, folder / list(DRAWN)[n % len(DRAWN)], folder / copy)
    assets = await _uploaded(client, folder, copies)
    requests = [{"video": {"type": "asset_id", "asset_id": asset}} for asset in assets.values()]
    started = await client.analyses.create(requests, model=MODEL, defaults=dict(ASKED[0][1]))
    while (now := await client.analyses.get(started.batch_id)).processing_items == 0:
        if now.ended:
            raise DemoFailed("The batch of videos ended before it could be cancelled.")
        await asyncio.sleep(0.05)
    answered = await client.analyses.cancel(started.batch_id)
    ended = answered
    while not ended.ended:
        await asyncio.sleep(0.1)
        ended = await client.analyses.get(started.batch_id)
    return answered, ended
