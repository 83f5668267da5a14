"""Options that are numbers: in the digits 0 to 9 alone. Python would also read `1_0`, and digits of every script."""

import re
from collections.abc import Callable
from typing import Any, TypeVar

import typer

_WHOLE = re.compile(r"[+-]?[0-9]{1,18}")
_REAL = re.compile(r"[+-]?[0-9]{1,18}(?:\.[0-9]{1,18})?")

N = TypeVar("N", int, float)


def whole(help_: str, least: int = 1, most: int | None = None) -> Any:
    """An option that is a whole number from `least` to `most`."""
    return typer.Option(parser=_parser(int, _WHOLE, least, most), metavar="INTEGER", help=help_ + _range(least, most))


def real(help_: str, least: float) -> Any:
    """An option that is a number from `least` on."""
    return typer.Option(parser=_parser(float, _REAL, least, None), metavar="FLOAT", help=help_ + _range(least, None))


def _range(least: float, most: float | None) -> str:
    return f" At least {least:g}." if most is None else f" From {least:g} to {most:g}."


def _parser(kind: type[N], shape: re.Pattern[str], least: N, most: N | None) -> Callable[[Any], N]:
    def parse(text: Any) -> N:
        if isinstance(text, int | float):  # a default
            return kind(text)
        if shape.fullmatch(text) is None:
            what = "a whole number" if kind is int else "a number"
            raise typer.BadParameter(f"{text!r} is not {what} in the digits 0 to 9")
        value = kind(text)
        if value < least or (most is not None and value > most):
            raise typer.BadParameter(f"{text} is not in the range:{_range(least, most).lower()[:-1]}")
        return value

    return parse
