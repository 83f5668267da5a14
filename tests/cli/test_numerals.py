"""Numbers on the command line are written with the digits 0 to 9, wherever they go to the API."""

from collections.abc import Iterator

import pytest
import typer
from typer.core import TyperCommand, TyperGroup
from typer.testing import CliRunner

from covey.cli.arguments import real, whole
from covey.cli.commands import app

LOCAL = {"port", "health-port"}
"""Options of a process on this machine."""


def numbers(command: TyperCommand | TyperGroup, *names: str) -> Iterator[tuple[str, ...]]:
    """Every option that takes a number, with the command it belongs to."""
    if isinstance(command, TyperGroup):
        for name, inner in command.commands.items():
            yield from numbers(inner, *names, name)  # type: ignore[arg-type]
        return
    for param in command.params:
        kind = param.metavar or param.type_descriptor.annotation.__name__.upper()  # type: ignore[attr-defined]
        if kind in ("INTEGER", "FLOAT", "INT") and not LOCAL & {opt.strip("-") for opt in param.opts}:
            yield (*names, param.opts[0])


FOUND = list(numbers(typer.main.get_command(app)))  # type: ignore[arg-type]


def test_they_are_found() -> None:
    assert {option for *_, option in FOUND} == {
        "--page", "--limit", "--max-concurrent", "--calls-per-second", "--attempts", "--max-tokens",
    }  # fmt: skip
    assert len(FOUND) > 10


@pytest.mark.parametrize("text", ["1_0", "\u0663", "\uff11", "0x10", "ten", "", "1 0", "inf", "nan"])
@pytest.mark.parametrize("option", FOUND, ids=" ".join)
def test_what_is_no_number_is_refused_before_anybody_is_asked(option: tuple[str, ...], text: str) -> None:
    *command, name = option
    done = CliRunner().invoke(app, [*command, name, text])
    assert done.exit_code == 2
    output = " ".join(done.output.replace("│", " ").split())
    assert any(why in output for why in ("in the digits 0 to 9", "it is empty", "Missing argument"))


@pytest.mark.parametrize("text", ["0", "-1", "101", "1.5"])
def test_the_range_holds(text: str) -> None:
    parse = whole("", most=100).parser
    with pytest.raises(typer.BadParameter):
        parse(text)
    assert (parse("1"), parse("100"), parse(20)) == (1, 100, 20)
    assert real("", 0.001).parser("2.5") == 2.5
