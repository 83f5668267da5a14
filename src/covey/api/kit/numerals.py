"""Numbers that stand as text, in a form, a query or a string of JSON: written with the digits 0 to 9 and nothing else.

Python reads more than people mean: `int("1_0")` is 10, and so are digits of every script.
"""

import re
from decimal import Decimal
from typing import Annotated, TypeVar

from pydantic import BeforeValidator

_NUMERAL = re.compile(r"[+-]?[0-9]{1,40}(?:\.[0-9]{1,40})?(?:[eE][+-]?[0-9]{1,3})?")

_T = TypeVar("_T")


def is_numeral(text: str) -> bool:
    """Whether a text is a number in plain digits."""
    return _NUMERAL.fullmatch(text) is not None


def _checked(value: _T) -> _T:
    if isinstance(value, str) and not is_numeral(value.strip()):
        raise ValueError("expects a number in the digits 0 to 9")
    return value


Whole = Annotated[int, BeforeValidator(_checked)]
"""A whole number of a body, perhaps as text."""

Real = Annotated[float, BeforeValidator(_checked)]
"""A number of a body, perhaps as text."""

Exact = Annotated[Decimal, BeforeValidator(_checked)]
"""A decimal number of a body, perhaps as text."""
