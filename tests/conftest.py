"""How much hypothesis tries, and in which order the tests run.

`pytest --hypothesis-profile=soak` (make soak) tries a hundred times as much.
"""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Deadlines measure the machine, which other work shares; a failure prints the line that repeats it.
settings.register_profile("suite", deadline=None, print_blob=True)
settings.register_profile(
    "soak", settings.get_profile("suite"), max_examples=10_000, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("suite")

HERE = Path(__file__).parent
LONG = ("system", "simulation", "upgrade", "calls/trunks", "analysis/media", "cli", "conformance", "chaos")
"""Folders with tests of many seconds."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run long tests first, so that no process is left alone with one at the end."""
    folders = [HERE / name for name in LONG]
    items.sort(key=lambda item: not any(item.path.is_relative_to(folder) for folder in folders))
