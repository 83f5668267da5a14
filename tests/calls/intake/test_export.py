"""Cells on their way into a spreadsheet."""

import csv
import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covey.calls.csv_cells import csv_row, safe_cell


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Ada",
        "a=b",
        "12",
        "-12.5",
        "+3",
        "+12025550123",
        "+1 (202) 555-0123",
        "+1-202-555-0123",
        "-1,5",
        "'x",
        " x",
        "a; b, c=d",
        "one\ntwo\r\n\tthree",
        "call +12025550123; or\n+12025550124|-5\t+3",
        '{"score":-5,"said":"well - yes"}',
    ],
)
def test_what_stays(text: str) -> None:
    assert safe_cell(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        " =1+1",
        "\u00a0=1+1",
        "+1+1",
        "-1-1",
        "+1-1",
        "-2+3+cmd|' /C calc'!A0",
        "@SUM(A1)",
        "＝1+1",
        "＋1+1",
        "－1",
        "＠x",
        "\rx",
        "\ufeff=1+1",
        "\u200b =1+1",
        "\x01=1+1",
        " \tx",
        "\0x",
        "+",
        "-",
        "+12025550123,x",
        "+12025550123;x",
        "+" + "1" * 60_000 + "x",
    ],
)
def test_what_is_made_text(text: str) -> None:
    assert safe_cell(text) == f"'{text}"


@pytest.mark.parametrize("end", [";", "|", "\t", "\n", "\r\n", "\r", "\u2028"])
@pytest.mark.parametrize("run", ["=1+1", "@SUM(A1)", "-2+3", "+1+1", "＝1", "\0x", "-", '"=1+1"', '""=A1'])
@pytest.mark.parametrize("blank", ["", " ", "\u00a0", "\u200b", "\ufeff "])
def test_what_would_be_run_behind_another_separator(end: str, run: str, blank: str) -> None:
    assert safe_cell(f"hello{end}{blank}{run}") == f"hello{end}'{blank}{run}"


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("\n=1+1", "'\n'=1+1"),
        ("\t=1", "'\t'=1"),
        ("=1;=2", "'=1;'=2"),
        (";=1", ";'=1"),
        ("a;;=1;b|=2", "a;;'=1;b|'=2"),
        ("a;+12025550123;=1", "a;+12025550123;'=1"),
    ],
)
def test_every_part_is_made_text(text: str, safe: str) -> None:
    assert safe_cell(text) == safe
    assert safe_cell(safe) == safe


def test_a_row() -> None:
    assert csv_row((1, None, 2.5, 'a "b", c', "=x")) == b'1,,2.5,"a ""b"", c",\'=x\r\n'
    assert csv_row(("=x",), raw=True) == b"=x\r\n"
    assert csv_row(("+12025550123", "5+A1;x", "a|b", "c\td")) == b'+12025550123,"5+A1;x","a|b","c\td"\r\n'
    assert csv_row(("",)) == csv_row((None,)) == b'""\r\n'


def run_by(line: str, separator: str) -> list[str]:
    """The cells of a line that a spreadsheet with this separator would run."""
    lines = io.StringIO(line, newline="")
    cells = [cell for row in csv.reader(lines, delimiter=separator) for cell in row]
    shown = [cell.lstrip("\ufeff\u200b \u00a0\t\r\n") for cell in cells]
    return [cell for cell in shown if cell.startswith(tuple("=+-@＝＋－＠\0"))]


PIECE = st.sampled_from([*'=+-@＝;|\t\n\r",', " ", "\u00a0", "\ufeff", "1", "A1", "x", "'"])
HOSTILE = st.lists(PIECE, max_size=12).map("".join)
SIGNED = st.sampled_from(["+12025550123", "-5", "+1 (202) 555-0123"])


@given(st.lists(HOSTILE, min_size=1, max_size=4))
def test_no_spreadsheet_runs_a_cell_whatever_its_separator(cells: list[str]) -> None:
    """Numbers are no formulas: those that stay as they are stand in a test of their own."""
    if any(re.search(r"(^|[;|\t\n\r])[\s\ufeff]*[+-]1", cell) for cell in cells):
        return
    line = csv_row(cells).decode()
    for separator in (",", ";", "|", "\t"):
        assert run_by(line, separator) == [], (line, separator)


@given(SIGNED, HOSTILE)
def test_what_follows_a_number_makes_no_formula_of_it(number: str, cell: str) -> None:
    """Read with another separator a row begins with the number that its first cell is. What is cut off behind it has a
    quote that nothing closes, which no formula has, or is the whole row."""
    line = csv_row((number, cell, "completed")).decode().removesuffix("\r\n")
    for separator in (";", "|", "\t"):
        first = re.split(rf"[{separator}\r\n]", line)[0]
        assert first.count('"') % 2 or first == line


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1))
def test_rows_come_back(cells: list[str]) -> None:
    text = csv_row(cells).decode()
    assert next(csv.reader(io.StringIO(text, newline=""))) == [safe_cell(cell) for cell in cells]
    assert next(csv.reader(io.StringIO(csv_row(cells, raw=True).decode(), newline=""))) == cells
