"""Words after `make chaos ARGS=…`."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("chaos")
    group.addoption("--kills", type=int, default=None, help="how many processes to kill (default 1000)")
    group.addoption("--seed", type=int, default=None, help="of the faults and the clients")
