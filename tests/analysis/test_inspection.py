"""Which sizes of pictures an asset may have: the settings say it."""

from pathlib import Path

import pytest

from covey.analysis.inspection import AssetInspector
from covey.analysis.media.drawing import DrawnScene, draw
from covey.domain.asset import AssetState
from covey.fetch import Fetcher
from covey.settings import Analysis, Fetch
from tests.analysis.harness import open_analysis


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        ({}, None),
        ({"min_side": 36}, None),
        ({"min_side": 38}, "video_resolution_too_low"),
        ({"max_pixels": 64 * 36}, None),
        ({"max_pixels": 64 * 36 - 1}, "video_resolution_too_high"),
    ],
)
async def test_a_video_of_a_size_that_is_not_taken_fails(
    limits: dict[str, int], code: str | None, tmp_path: Path
) -> None:
    draw(tmp_path / "small.mp4", [DrawnScene(0.2, "red")], (64, 36))
    async with open_analysis(tmp_path) as analysis:
        asset = await analysis.asset((tmp_path / "small.mp4").read_bytes(), state=AssetState.processing)
        looker = AssetInspector(analysis.files, analysis.decoder, Fetcher(Fetch()), Analysis.model_validate(limits))
        found = await looker.look(asset)
    assert found.facts.get("code") == code
    assert found.state is (AssetState.failed if code else AssetState.ready)
    assert ("64x36" in (found.error or "")) == bool(code)
