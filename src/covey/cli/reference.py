"""docs/cli.md, made from the commands themselves: `python -m covey.cli.reference > docs/cli.md`. A test compares."""

import inspect
import sys
from collections.abc import Iterator

import typer.main
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from covey.cli.commands import app
from covey.cli.exits import Exit

BEGINNING = """\
# The command line

Made from the commands by `python -m covey.cli.reference`; a test compares. Answers go to stdout, everything else to
stderr. `--json` gives answers as JSON. Ids may be written with or without `batch_`, `call_` and `agent_`.

## Exit codes

| code | meaning |
| --- | --- |
"""
EXITS = {
    Exit.ok: "it worked",
    Exit.failed: "it did not work; of `watch` and `--watch`: the batch ended otherwise than completed",
    Exit.usage: "the command line, or what it hands over, is wrong; nothing was started",
    Exit.not_found: "there is nothing of this id or name",
    Exit.refused: "the key is missing or unknown, or may not do this",
    Exit.conflict: "the state of things does not allow it: ended, a duplicate, or somebody said no",
    Exit.unreachable: "no server answers, or it cannot answer now",
    Exit.interrupted: "Ctrl-C",
    Exit.unread: "whoever reads what it prints has gone, as `head` does; nothing is said of it",
}


def reference() -> str:
    """The whole page."""
    codes = "".join(f"| {code.value} | {EXITS[code]} |\n" for code in Exit)
    root = typer.main.get_command(app)
    assert isinstance(root, TyperGroup)
    return f"{BEGINNING}{codes}\n" + "\n".join(_commands(root, "covey"))


def _commands(group: TyperGroup, name: str) -> Iterator[str]:
    for each in sorted(group.commands):
        command = group.commands[each]
        if isinstance(command, TyperGroup):
            yield from _commands(command, f"{name} {each}")
        elif isinstance(command, TyperCommand):
            yield _section(command, f"{name} {each}")


def _section(command: TyperCommand, name: str) -> str:
    arguments = [each for each in command.params if isinstance(each, TyperArgument)]
    options = [each for each in command.params if isinstance(each, TyperOption) and not each.hidden]
    usage = " ".join([name, *(_argument(each) for each in arguments), *(["[options]"] if options else [])])
    rows = [(_argument(each), each.help) for each in arguments] + [(_option(each), each.help) for each in options]
    lines = [f"## {name}\n", f"    {usage}\n", f"{inspect.cleandoc(command.help or '')}\n"]
    if rows:
        lines += ["| | |\n| --- | --- |", *(f"| `{left}` | {right or ''} |" for left, right in rows), ""]
    return "\n".join(lines)


def _argument(argument: TyperArgument) -> str:
    shown = (argument.metavar or argument.name or "").upper().replace("|", " or ")
    return shown if argument.required else f"[{shown}]"


def _option(option: TyperOption) -> str:
    names = ", ".join([*option.opts, *option.secondary_opts])
    return names if option.is_flag else f"{names} …"


if __name__ == "__main__":
    sys.stdout.write(reference())
