"""From a command to the server and back: the client, the errors as sentences, the exit code."""

import asyncio
import os
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, NoReturn, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup

from covey.cli.exits import Exit, exit_code
from covey.cli.output import ask, clean, interactive, print_json, say, say_table
from covey.client import errors
from covey.client.client import CoveyClient
from covey.client.models import InvalidRow
from covey.client.profile import Profile

T = TypeVar("T")
SHOWN_ROWS = 20

MAY_BE_EMPTY = frozenset({"name", "reason", "description"})
"""Options that hold what people write for people."""


class Commands(TyperGroup):
    """All commands. Whichever of them finds that nobody reads what it prints any more ends without a word."""

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]
        """Run the command that was named."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            _print_nowhere()
            raise typer.Exit(Exit.unread) from None


class Command(TyperCommand):
    """One command. An option or argument that is empty is a mistake, such as a shell variable that is not set: `covey
    cancel "$BATCH"` must not take the newest batch."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """The arguments, as they were typed. Raises typer.BadParameter for an empty one."""
        typed, _, _ = self.make_parser(ctx).parse_args(args=list(args))
        for param in self.get_params(ctx):
            values = typed.get(param.name or "")
            for value in values if isinstance(values, list | tuple) else (values,):
                if isinstance(value, str) and not value.strip() and param.name not in MAY_BE_EMPTY:
                    hint = " / ".join(param.opts)
                    raise typer.BadParameter("it is empty; give it a value or leave it out", ctx=ctx, param_hint=hint)
        return super().parse_args(ctx, args)


def _print_nowhere() -> None:
    """Python prints what is left when it ends, and would complain."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def talk(work: Callable[[CoveyClient], Awaitable[T]], *, as_json: bool = False, profile: Profile | None = None) -> T:
    """Run `work` with a client. What goes wrong becomes a sentence and an exit code."""
    try:
        return asyncio.run(_with_client(work, profile))
    except errors.CoveyClientError as error:
        explain(error, as_json=as_json)
        raise typer.Exit(exit_code(error)) from None
    except KeyboardInterrupt:
        leave("Interrupted.", Exit.interrupted)
    except BrokenPipeError:
        raise
    except OSError as error:
        leave(f"{error.filename or 'A file'}: {error.strerror or error}", Exit.usage)


async def _with_client(work: Callable[[CoveyClient], Awaitable[T]], profile: Profile | None) -> T:
    async with CoveyClient(profile) as client:
        return await work(client)


@asynccontextmanager
async def taking(stream: AsyncIterator[T]) -> AsyncIterator[AsyncIterator[T]]:
    """Take what streams from the server, and close it before the client is, however much of it was taken."""
    try:
        yield stream
    finally:
        if isinstance(stream, AsyncGenerator):
            await stream.aclose()


def leave(sentence: str, code: Exit = Exit.failed) -> NoReturn:
    """End the command with a sentence."""
    say(sentence, "red" if code is not Exit.interrupted else "yellow")
    raise typer.Exit(code)


def explain(error: errors.CoveyClientError, *, as_json: bool = False) -> None:
    """Say what went wrong; with `as_json` the server's body goes to stdout too."""
    if as_json and isinstance(error, errors.ApiError):
        print_json(error.body)
    say(error.message, "red")
    if isinstance(error, errors.InvalidRows):
        _explain_rows(error)
    elif isinstance(error, errors.DuplicateBatch):
        say(f"See it with `covey show {clean(error.batch_id)}`; `--allow-duplicate` starts another one.")
    elif isinstance(error, errors.Refused) and error.status == 401:
        say("`covey login` writes another key; `covey config` says which one is used.")
    elif isinstance(error, errors.ServerError) and error.request_id:
        say(f"The server's log has it under request {error.request_id}.")


def _explain_rows(error: errors.InvalidRows) -> None:
    rows = error.rows[:SHOWN_ROWS]
    say_rows(rows)
    if error.count > len(rows):
        say(f"… and {error.count - len(rows):,} more; `covey validate FILE` lists up to 1,000.")
    say("Nothing was started. `--skip-invalid` leaves these rows out and calls the others.")


def say_rows(rows: Sequence[InvalidRow]) -> None:
    """Say which rows of a list are wrong, and what would be right."""
    cells = [(row.row, row.column, _short(row.value), row.message, row.suggestion) for row in rows]
    say_table(("line", "column", "value", "what is wrong", "suggestion"), cells, right=("line",))


def _short(value: str, longest: int = 40) -> str:
    return value if len(value) <= longest else f"{value[:longest]}…"


def confirm(question: str, *, yes: bool, refusal: str = "Nothing was changed.") -> None:
    """Go on only if the person agrees. Without a terminal `--yes` has to be given."""
    if yes:
        return
    if not interactive():
        leave(f"{question} Without a terminal this needs --yes. {refusal}", Exit.usage)
    if not ask(question):
        leave(refusal, Exit.conflict)
