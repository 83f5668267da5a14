"""The API over a real database, spoken to over ASGI."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from covey.logging import setup_logging
from tests.api.harness import ApiHarness, open_api


@pytest.fixture(autouse=True)
def _quiet() -> None:
    """The server's own logs, as it writes them."""
    setup_logging("warning")


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[ApiHarness]:
    """A house with two workspaces and a key of each role."""
    async with open_api(tmp_path) as opened:
        yield opened
