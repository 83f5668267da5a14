"""The runner of analyses over a real database and a real decoder, with a model that the test plays."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.analysis.harness import AnalysisHarness, open_analysis


@pytest.fixture
async def analysis(tmp_path: Path) -> AsyncIterator[AnalysisHarness]:
    async with open_analysis(tmp_path) as analysis:
        yield analysis
