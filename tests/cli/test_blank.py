"""No command takes an empty option or argument for one that was left out: a shell variable may not be set."""

from collections.abc import Iterator
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from covey.cli.commands import app
from covey.cli.exits import Exit
from covey.cli.session import MAY_BE_EMPTY
from covey.settings import Settings, SettingsError

from .conftest import Command


def commands(group: Any, *path: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, *path, name)
        else:
            yield (*path, name), command


def values() -> Iterator[tuple[str, list[str], str]]:
    """Each option and argument that has a value: its label, a command line in which it is empty, its name."""
    for path, command in commands(get_command(app)):
        arguments = [param for param in command.params if param.param_type_name == "argument"]
        for param in command.params:
            if param.name in MAY_BE_EMPTY or getattr(param, "is_flag", False):
                continue
            before = ["x"] * arguments.index(param) if param in arguments else [param.opts[0]]
            yield f"{' '.join(path)} {param.name}", [*path, *before, ""], str(param.opts[0])


VALUES = list(values())


@pytest.mark.parametrize(("line", "name"), [value[1:] for value in VALUES], ids=[value[0] for value in VALUES])
def test_an_empty_value_is_refused_by_its_name(line: list[str], name: str) -> None:
    result = CliRunner().invoke(app, line, env={"COLUMNS": "200"})
    assert result.exit_code == Exit.usage, result.output
    assert name in result.output
    assert "it is empty" in result.output


def test_there_is_something_to_refuse() -> None:
    assert len(VALUES) > 100


def test_an_empty_value_takes_no_other_batch(covey: Command, agent: str) -> None:
    """Without this `covey cancel "$BATCH" --yes` would have cancelled the newest batch."""
    for line in (("cancel", "", "--yes"), ("show", " "), ("retry", "", "--yes")):
        assert covey(*line).exit_code == Exit.usage


def test_a_setting_that_is_empty_in_the_environment_is_a_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("COVEY_CONFIG", "COVEY_HOST", "COVEY_DATA", "COVEY_CALLS__RECORDINGS", "covey_secret"):
        with monkeypatch.context() as patch:
            patch.setenv(name, "")
            with pytest.raises(SettingsError, match=f"{name}: it is empty"):
                Settings.load()
