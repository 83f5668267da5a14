"""Cells on their way into a spreadsheet."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covey.calls.export import csv_row, safe_cell


@pytest.mark.parametrize(
    "text",
    ["", "Ada", "a=b", "12", "-12.5", "+3", "+12025550123", "+1 (202) 555-0123", "+1-202-555-0123", "-1,5", "'x", " x"],
)
def test_what_stays(text: str) -> None:
    assert safe_cell(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        " =1+1",
        "\u00a0=1+1",
        "\n=1+1",
        "+1+1",
        "-1-1",
        "+1-1",
        "-2+3+cmd|' /C calc'!A0",
        "@SUM(A1)",
        "＝1+1",
        "＋1+1",
        "－1",
        "＠x",
        "\t=1",
        "\rx",
        " \tx",
        "\0x",
        "+",
        "-",
        "+12025550123,x",
        "+" + "1" * 60_000 + "x",
    ],
)
def test_what_is_made_text(text: str) -> None:
    assert safe_cell(text) == f"'{text}"


def test_a_row() -> None:
    assert csv_row((1, None, 2.5, 'a "b", c', "=x")) == b'1,,2.5,"a ""b"", c",\'=x\r\n'
    assert csv_row(("=x",), raw=True) == b"=x\r\n"


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1))
def test_rows_come_back(cells: list[str]) -> None:
    text = csv_row(cells).decode()
    assert next(csv.reader(io.StringIO(text, newline=""))) == [safe_cell(cell) for cell in cells]
    assert next(csv.reader(io.StringIO(csv_row(cells, raw=True).decode(), newline=""))) == cells
