"""Lists without a header: no line of them is lost, whatever stands in it."""

import pytest

from covey.calls.intake import NumberRule
from covey.domain.errors import BadRequest

from .conftest import Checked, CheckText

ADA = "+12025550101"
BOB = "+12025550102"
CAT = "+12025550103"


@pytest.fixture
def bare(check_text: CheckText) -> CheckText:
    """Checks a list as the do-not-call list's is."""

    def run(content: str | bytes, **options: object) -> Checked:
        return check_text(content, **{"rule": NumberRule.any, "headerless": True, **options})

    return run


@pytest.mark.parametrize(
    "text",
    [
        f"{ADA}\n{BOB}\n{CAT}\n",
        f"{ADA}, {BOB}\n{CAT}\n",
        f"{ADA}\n{BOB},{CAT}",
        f"{ADA};{BOB};\r\n\r\n;{CAT}\r\n",
        f"sep=;\n{ADA};{BOB}\n{CAT}\n",
        f"\ufeff\ufeff{ADA}\n\u200b{BOB}\n\u202a{CAT}\u202c\n",
        f'"{ADA}","{BOB}"\n"{CAT}"\n',
        f"{ADA},Ada,2024-07-01\n{BOB},Bob,7/1/2024 10:30\nCat,1.7.1999,{CAT}\n",
        f"{ADA},Ada,12345\n(202) 555-0102,Bob,7\n{CAT},,\n",
    ],
)
def test_every_number_of_every_line(bare: CheckText, text: str) -> None:
    checked = bare(text, region="US")
    assert checked.numbers == [ADA, BOB, CAT]
    assert (checked.bad, checked.report.columns, checked.report.phone_column) == ((), (), "")


def test_what_is_no_number_is_reported_with_its_line(bare: CheckText) -> None:
    checked = bare(f"{ADA}, +1202555010\nnot a number\n\n,,\nAda,why\n{BOB},+12025550103000000\n{BOB}\n")
    assert checked.numbers == [ADA, BOB, BOB]
    assert [(row.row, row.value) for row in checked.bad] == [
        (1, " +1202555010"),
        (2, "not a number"),
        (5, "Ada"),
        (6, "+12025550103000000"),
    ]
    assert (checked.report.duplicates, checked.report.empty_lines, checked.report.invalid) == (1, 2, 4)


def test_a_first_line_that_is_no_number_is_reported_too(bare: CheckText) -> None:
    checked = bare(f"do not call\n{ADA}\n")
    assert (checked.numbers, checked.codes) == ([ADA], [(1, "not_a_number")])


def test_lines_of_another_separator_are_reported(bare: CheckText) -> None:
    checked = bare(f"{ADA},{BOB}\n{ADA};{BOB}\n{CAT}\n")
    assert checked.numbers == [ADA, BOB, CAT]
    assert [row.row for row in checked.bad] == [2]


def test_a_header_counts_as_in_every_list(bare: CheckText) -> None:
    text = f"name,Phone Number\n{ADA},{BOB}\n"
    assert bare(text).numbers == [BOB]
    assert bare(text, phone_column="name").numbers == [ADA]
    checked = bare(f'phone_number\n{ADA}, {BOB}\n"{ADA}, {BOB}"\n{CAT}\n')
    assert checked.numbers == [CAT]
    assert checked.codes == [(2, "too_many_cells"), (3, "not_a_number")]


@pytest.mark.parametrize(
    ("text", "options", "code"),
    [
        (f"{ADA}\n", {"phone_column": "mobile"}, "no_header"),
        (f"name,mobile\nAda,{ADA}\n", {}, "no_phone_column"),
        (f"Not to be called\n\nphone_number,name\n{ADA},Ada\n", {}, "title_above_header"),
        ("", {}, "no_header"),
        ("\n\n", {}, "no_header"),
    ],
)
def test_what_is_refused_as_a_whole(bare: CheckText, text: str, options: dict[str, object], code: str) -> None:
    with pytest.raises(BadRequest) as caught:
        bare(text, **options)
    assert caught.value.code == code


def test_a_list_that_is_to_be_called_needs_a_header(check_text: CheckText) -> None:
    with pytest.raises(BadRequest) as caught:
        check_text(f"{ADA}\n{BOB}\n")
    assert caught.value.code == "no_header"


def test_what_is_not_dialled_may_be_any_number(bare: CheckText) -> None:
    assert bare("+19005551234\n+881612345678\n").numbers == ["+19005551234", "+881612345678"]
