"""Decoders as the server has them, and clips drawn once for all tests of a session."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from covey.analysis.media import Decoder
from covey.analysis.media.drawing import Ball, DrawnScene, Truth, draw
from covey.settings import Analysis


@pytest.fixture
async def decoder() -> AsyncIterator[Decoder]:
    decoder = Decoder(Analysis())
    yield decoder
    await decoder.close()


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("clips")


@pytest.fixture(scope="session")
def short(clips: Path) -> tuple[Path, Truth]:
    """Two seconds in two scenes, small, with sound."""
    file = clips / "short.mp4"
    scenes = [DrawnScene(1, "navy", (("Short clip", 20),)), DrawnScene(1, "gold", ink="black", ball=Ball("red", 20))]
    return file, draw(file, scenes, (320, 180), tone=440)
