"""A real server on a folder of its own, and the command line in front of it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from covey.cli.commands import app
from tests.patience import PATIENCE

PRINTABLE = "[bold red]x[/] \u202eevil {first_name} =1+1"
NASTY = f"{PRINTABLE} \x1b[31mred\x07"
AGENT = {"name": "caller", "greeting": "Hello {first_name}.", "goodbye": "Goodbye."}


def clean_environment(**more: str) -> dict[str, str]:
    """This process's environment without Covey's own variables."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("COVEY_")}
    return kept | {"NO_COLOR": "1"} | more


@dataclass(frozen=True)
class Command:
    """The command line with a profile."""

    profile: Path

    @property
    def environment(self) -> dict[str, str]:
        return {"COVEY_PROFILE": str(self.profile)}

    def __call__(self, *args: str, **environment: str) -> Result:
        """Run a command in this process."""
        return CliRunner().invoke(app, list(args), env={**self.environment, **environment})

    def json(self, *args: str, **environment: str) -> Any:
        """Run a command that must work; its JSON."""
        result = self(*args, "--json", **environment)
        assert result.exit_code == 0, result.stderr
        return json.loads(result.stdout)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("server")


@pytest.fixture(scope="session")
def covey(folder: Path) -> Iterator[Command]:
    """A command line whose server runs, with the demo phones as its trunk."""
    profile = folder / "profile.toml"
    environment = clean_environment(
        COVEY_PROFILE=str(profile), COVEY_DRAIN_SECONDS="0", COVEY_FETCH__ALLOW='["127.0.0.0/8"]'
    )
    command = [sys.executable, "-m", "covey.cli", "serve", "--port", "0", "--data", str(folder / "data")]
    with (
        (folder / "server.log").open("wb") as log,  # a pipe that nobody reads would fill up, and stop the server
        subprocess.Popen(command, env=environment, stderr=subprocess.STDOUT, stdout=log, cwd=folder) as server,
    ):
        try:
            while "have them already" not in (said := (folder / "server.log").read_text()):
                assert server.poll() is None, said
                time.sleep(0.02)
            yield Command(profile)
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(PATIENCE)


@pytest.fixture(scope="session")
def agent(covey: Command, folder: Path) -> str:
    """An agent's id."""
    file = folder / "agent.json"
    file.write_text(json.dumps(AGENT))
    return str(covey.json("agents", "create", str(file))["_id"])


@pytest.fixture
def make_list(tmp_path: Path) -> "type[Path] | Any":
    """Writes a list of numbers and first names; no two lists are alike."""

    def write(*rows: tuple[str, str], name: str = "list.csv") -> str:
        lines = ["phone_number,first_name,list"]
        lines += [f'{number},"{first}",{tmp_path.name}' for number, first in rows]
        path = tmp_path / name
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return str(path)

    return write
