"""A stub endpoint, and items to ask it about."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from covey.analysis.backend import ItemRequest
from covey.analysis.config import Mode, Wanted
from covey.analysis.openai import OpenAiBackend
from covey.settings import Model, ModelKind
from tests.analysis.openai.stub import Stub

KEY = "sk-secret-of-the-endpoint"
SCHEMA = {"type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"]}
IN_SCHEMA = {"type": "json_schema", "json_schema": SCHEMA}
DEFINITIONS = [
    {"id": "scenes", "description": "Every scene", "fields": [{"name": "c", "type": "string", "description": "Colour"}]}
]


@dataclass(frozen=True)
class Picture:
    """One frame."""

    seconds: float
    jpeg: bytes


class Slides:
    """A decoder of files that hold one picture, which is shown all the time; it has sound if its name says so."""

    async def frames(self, file: Path, window: tuple[float, float], count: int, side: int) -> list[Picture]:
        step = (window[1] - window[0]) / count
        return [Picture(window[0] + step * number, file.read_bytes()) for number in range(count)]

    async def audio(self, file: Path, window: tuple[float, float]) -> bytes | None:
        return b"RIFF sound %d" % window[0] if "sound" in file.name else None


async def image(name: str) -> bytes:
    """The media sources of the items here: one PNG whose name is in it."""
    data = BytesIO()
    Image.new("RGB", (8, 8), "red").save(data, "PNG")
    return data.getvalue() + name.encode()


Asks = Callable[..., ItemRequest]
Backends = Callable[..., OpenAiBackend]


@pytest.fixture
async def stub() -> AsyncIterator[Stub]:
    async with Stub() as stub:
        yield stub


@pytest.fixture
async def backend(stub: Stub) -> AsyncIterator[Backends]:
    """Makes backends of the stub; arguments are settings of the model."""
    async with AsyncExitStack() as stack:

        def make(**given: Any) -> OpenAiBackend:
            settings: dict[str, Any] = {
                "kind": ModelKind.openai,
                "url": stub.url,
                "model": "stub",
                "api_key": KEY,
                "frames": 2,
            }
            made = OpenAiBackend("eyes", Model.model_validate(settings | given), Slides())
            stack.push_async_callback(made.close)
            return made

        yield make


@pytest.fixture
def ask(tmp_path: Path) -> Asks:
    """Makes asks about ten seconds of a picture; arguments are `prompt`, the video's `name`, and what is wanted."""

    def make(prompt: str = "What is shown?", name: str = "clip", **given: Any) -> ItemRequest:
        file = tmp_path / name
        data = BytesIO()
        Image.new("RGB", (16, 16), "navy").save(data, "JPEG", comment=name.encode())
        file.write_bytes(data.getvalue())
        mode = given.pop("mode", Mode.general)
        start, end = given.pop("start", 0.0), given.pop("end", 10.0)
        told = given.pop("progress", lambda done, of: None)
        sources = {"media_sources": given.pop("media_sources", [])}
        if mode is Mode.general:
            given["prompt"] = {"input_text": prompt, **sources}
        return ItemRequest(name, file, mode, Wanted(**given), 10.0, start, end, told, image)

    return make
