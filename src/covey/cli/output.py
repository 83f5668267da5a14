"""How the command line writes: data on stdout, words on stderr, and nothing from outside as it comes.

Names, error texts and cells of a CSV may hold anything, escape sequences of a terminal too. Everything goes through
`clean`, and no console here knows markup.
"""

import errno
import json
import os
import re
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

JsonFlag = Annotated[bool, typer.Option("--json", help="Data as JSON on stdout.", show_default=False)]
YesFlag = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.", show_default=False)]

_UNSAFE = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")
_UNSAFE_IN_JSON = re.compile("[\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")


def clean(text: object) -> str:
    """`text` in one line, with control and direction characters shown as escapes."""
    return _UNSAFE.sub(lambda found: _escape(found.group()), str(text))


def clean_lines(text: object) -> str:
    """The same, but its lines stay lines."""
    return "\n".join(clean(line) for line in str(text).splitlines())


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def stderr() -> Console:
    """Where sentences go."""
    return _console(stderr=True)


def data() -> Console:
    """Where answers go."""
    return _console(stderr=False)


class _Console(Console):
    """A console that raises BrokenPipeError where rich would end the program in the middle of whatever is open."""

    def on_broken_pipe(self) -> None:
        """Called by rich for a BrokenPipeError."""
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


def _console(*, stderr: bool) -> Console:
    return _Console(stderr=stderr, markup=False, highlight=False, emoji=False, soft_wrap=True)


def say(text: object, style: str = "") -> None:
    """A sentence for the person, on stderr."""
    stderr().print(Text(clean_lines(text), style=style))


def print_line(text: object) -> None:
    """A line of data, on stdout."""
    data().print(Text(clean_lines(text)))


def print_json(value: Any) -> None:
    """A JSON document on stdout, safe to show on a terminal."""
    text = json.dumps(value, ensure_ascii=False, indent=2, default=str)
    safe = _UNSAFE_IN_JSON.sub(lambda found: f"\\u{ord(found.group()):04x}", text)
    sys.stdout.write(safe + "\n")
    sys.stdout.flush()


def put_bytes(piece: bytes) -> None:
    """A piece of a file on stdout: as it is to a file or a pipe, made harmless on a terminal."""
    if sys.stdout.isatty():
        data().out(clean_lines(piece.decode("utf-8", "replace")), end="")
    else:
        sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()


def make_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, right: Iterable[str] = ()) -> Table:
    """A plain table. Columns named in `right` are aligned to the right."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, justify="right" if column in set(right) else "left", overflow="fold")
    for row in rows:
        table.add_row(*(cell if isinstance(cell, Text) else Text(clean(cell)) for cell in row))
    return table


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, right: Iterable[str] = ()) -> None:
    """A table on stdout."""
    _wide(data()).print(make_table(columns, rows, right=right))


def say_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, right: Iterable[str] = ()) -> None:
    """A table on stderr."""
    _wide(stderr()).print(make_table(columns, rows, right=right))


def put_facts(facts: Iterable[tuple[str, object]]) -> None:
    """Names and values, one a line; what is None or empty is left out."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in facts:
        if value is not None and value != "":
            table.add_row(Text(name), value if isinstance(value, Text) else Text(clean_lines(value)))
    _wide(data()).print(table)


def _wide(console: Console) -> Console:
    """Tables written to a file or a pipe are not squeezed into 80 columns."""
    if not console.is_terminal:
        console.width = 200
    console.soft_wrap = False
    return console


def when(moment: datetime | str | None) -> str:
    """A moment, or RFC 3339 text, as the command line writes every time: RFC 3339 in this machine's local time with its
    offset, which `--at` takes, too."""
    if not moment:
        return ""
    known = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return known.astimezone().isoformat(timespec="seconds")


def span(seconds: float | None) -> str:
    """A duration for a person: `42 s`, `3 min 20 s`, `2 h 05 min`."""
    if seconds is None:
        return ""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def counted(number: int, thing: str) -> str:
    """So many things: `1 video`, `2,000 videos`."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def ask(question: str) -> bool:
    """Ask on the terminal; no is the default."""
    return typer.confirm(clean(question), default=False, err=True)


def interactive() -> bool:
    """Whether a person sits there and can answer."""
    return sys.stdin.isatty() and sys.stderr.isatty()
