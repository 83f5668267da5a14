"""--version and watch do not wait for the server's code to be imported."""

import json
import subprocess
import sys

import pytest

from .conftest import clean_environment

HEAVY = ("fastapi", "pydantic_settings", "apsw", "numpy", "phonenumbers", "uvicorn", "obstore", "structlog", "baresip")
SERVERS = (
    "covey.api",
    "covey.store",
    "covey.engine",
    "covey.calls",
    "covey.domain",
    "covey.settings",
    "covey.server.assembly",
    "covey.server.process",
)


def imported_by(code: str) -> set[str]:
    """The modules that are there after `code` ran in a fresh interpreter."""
    script = (
        f"import sys\ntry:\n    {code}\nexcept SystemExit:\n    pass\nimport json; print(json.dumps(list(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, env=clean_environment())
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_the_version_imports_next_to_nothing() -> None:
    code = "sys.argv = ['covey', '--version']; from covey.cli.main import run; run()"
    assert not imported_by(code) & {*HEAVY, *SERVERS, "typer", "rich", "httpx2", "asyncio"}


@pytest.mark.parametrize("command", ["watch", "submit", "list", "serve"])
def test_a_command_imports_nothing_of_the_server_before_it_runs(command: str) -> None:
    code = f"sys.argv = ['covey', '{command}', '--help']; from covey.cli.main import run; run()"
    assert not imported_by(code) & {*HEAVY, *SERVERS}


def test_watching_imports_nothing_of_the_server() -> None:
    code = "sys.argv = ['covey', 'watch']; from covey.cli.main import run; run()"
    assert not imported_by(code) & {*HEAVY, *SERVERS}
