"""What a server holds in memory while a large file comes: measured over its whole process tree."""

from pathlib import Path

import pytest
from benchmarks.asset_upload import measured

MOST = 100
"""Megabytes (must-show 9)."""


@pytest.mark.slow
@pytest.mark.parametrize("length", [True, False])
async def test_an_upload_of_200_mb_holds_under_100_mb(tmp_path: Path, length: bool) -> None:
    one = await measured(tmp_path / "server", length)
    print(one)
    assert one.peak < MOST
    assert one.peak - one.idle < MOST / 4
