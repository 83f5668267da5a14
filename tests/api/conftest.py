"""The API over a real database, spoken to over ASGI."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from covey.logging import setup_logging
from tests.api.house import House, open_house


@pytest.fixture(autouse=True)
def _quiet() -> None:
    """The server's own logs, as it writes them."""
    setup_logging("warning")


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """A house with two workspaces and a key of each role."""
    async with open_house(tmp_path) as opened:
        yield opened
