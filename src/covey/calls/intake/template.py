"""A CSV to begin with."""

from collections.abc import Iterable

from covey.calls.export import csv_row

KNOWN_COLUMNS = ("phone_number", "first_name", "last_name", "email")
"""The columns the contract names (section 3); every other is the agent's own."""


def template(placeholders: Iterable[str] = ()) -> bytes:
    """The header of a list as a line of CSV: the known columns, then those that the agent speaks of, in that order."""
    return csv_row(dict.fromkeys((*KNOWN_COLUMNS, *placeholders)))
