"""The header, the rows, the lines they stand in, and every way a file can be no list."""

import pytest

from covey.calls.intake import IntakeLimits, NumberRule, OnDuplicate, OnInvalid
from covey.domain.errors import BadRequest

from .conftest import CheckText

ADA = "+12025550101"
BOB = "+12025550102"
CAT = "+12025550103"


def refused(check_text: CheckText, content: str | bytes, **options: object) -> BadRequest:
    with pytest.raises(BadRequest) as caught:
        check_text(content, **options)
    return caught.value


def test_a_plain_list(check_text: CheckText) -> None:
    checked = check_text(f"phone_number,first_name\n{ADA},Ada\n {BOB} ,  Bob \n")
    assert checked.items == [
        (ADA, "", {"row": 2, "values": {"phone_number": ADA, "first_name": "Ada"}}),
        (BOB, "", {"row": 3, "values": {"phone_number": f" {BOB} ", "first_name": "  Bob "}}),
    ]
    assert checked.report.total == 2
    assert checked.report.columns == ("phone_number", "first_name")
    assert (checked.report.invalid, checked.report.duplicates, checked.report.empty_lines) == (0, 0, 0)


@pytest.mark.parametrize("name", ["phone_number", " Phone_Number ", "PHONE-NUMBER", "phone number", "Phone Number"])
def test_the_phone_column_by_its_name(check_text: CheckText, name: str) -> None:
    checked = check_text(f"first_name,{name}\nAda,{ADA}\n")
    assert checked.numbers == [ADA]
    assert checked.report.phone_column == name.strip()


@pytest.mark.parametrize("given", ["Mobile", " mobile ", "MOBILE"])
def test_the_phone_column_by_choice(check_text: CheckText, given: str) -> None:
    assert check_text(f"phone_number,Mobile\n{ADA},{BOB}\n", phone_column=given).numbers == [BOB]


def test_no_phone_column_names_those_that_look_like_numbers(check_text: CheckText) -> None:
    rows = "".join(f"x{i},(202) 555-010{i},2026-03-0{i + 1},{i}\n" for i in range(5))
    error = refused(check_text, f"name,mobile,day,age\n{rows}")
    assert error.code == "no_phone_column"
    assert "phoneColumn=mobile" in error.message
    assert error.details["columns"] == ["name", "mobile", "day", "age"]
    assert "mobile" in error.details["candidates"]
    assert "name" not in error.details["candidates"]


def test_a_chosen_phone_column_must_be_there(check_text: CheckText) -> None:
    error = refused(check_text, f"phone_number,name\n{ADA},Ada\n", phone_column="mobile")
    assert error.code == "no_phone_column"
    assert "no column mobile; it has phone_number, name" in error.message


def test_two_phone_columns_need_a_choice(check_text: CheckText) -> None:
    text = f"Phone Number,phone_number\n{ADA},{BOB}\n"
    assert refused(check_text, text).code == "ambiguous_phone_column"
    assert check_text(text, phone_column="Phone Number").numbers == [ADA]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ("", "no_header"),
        ("\n\n  \n", "no_header"),
        (f"{ADA},Ada\n{BOB},Bob\n", "no_header"),
        ("phone_number,name\n", "no_data_row"),
        ("phone_number,name\n\n,\n , \n", "no_data_row"),
        (f"phone_number,name,name\n{ADA},a,b\n", "equal_headers"),
        (f"phone_number,name, name \n{ADA},a,b\n", "equal_headers"),
        (f"phone_number,,name\n{ADA},a,b\n", "bad_header"),
        (f'phone_number,"name\n{ADA},a\n', "bad_header"),
        (f"phone_number,na\x00me\n{ADA},a\n", "bad_header"),
        (f"phone_number,{'n' * 101}\n{ADA},a\n", "header_too_long"),
        (f"phone_number,{','.join(f'c{i}' for i in range(256))}\n{ADA}\n", "too_many_columns"),
        (f"phone_number\tname\n{ADA}\tAda\n", "no_phone_column"),
        ("just some words\nand more of them\n", "no_phone_column"),
        ("x" * 3_000_001, "not_csv"),
    ],
)
def test_what_is_wrong_with_a_file(check_text: CheckText, content: str, code: str) -> None:
    assert refused(check_text, content).code == code


def test_the_largest_header_is_taken(check_text: CheckText) -> None:
    names = ["phone_number", *(f"{i:099}n" for i in range(255))]
    checked = check_text(",".join(names) + f"\n{ADA}" + "," * 255 + "\n")
    assert len(checked.report.columns) == 256
    assert checked.numbers == [ADA]


def test_tabs_are_named(check_text: CheckText) -> None:
    assert "separated by tabs" in refused(check_text, f"phone_number\tname\n{ADA}\tAda\n").message


@pytest.mark.parametrize(
    ("header", "row", "name"),
    [
        ("phone_number;name", f"{ADA};Ada, née Byron", "Ada, née Byron"),
        ("phone_number,name", f"{ADA},Ada; née Byron", "Ada; née Byron"),
        ('"phone_number";"name"', f'"{ADA}";"Ada; Byron"', "Ada; Byron"),
        ('"phone_number","name"', f'"{ADA}","Ada, Byron"', "Ada, Byron"),
        ("sep=;\nphone_number;name", f"{ADA};Ada", "Ada"),
        ("sep=,\nphone_number,name", f"{ADA},Ada", "Ada"),
        ("\n\nphone_number,name", f"{ADA},Ada", "Ada"),
        ("phone_number,name,,", f"{ADA},Ada,,", "Ada"),
        ("phone_number,name", f"{ADA},Ada,,", "Ada"),
        ("\ufeffphone_number,name", f"{ADA},Ada", "Ada"),
    ],
)
def test_separators_and_what_excel_adds(check_text: CheckText, header: str, row: str, name: str) -> None:
    text = f"{header}\n{row}\n"
    checked = check_text(text)
    given = checked.items[0][2]
    assert given["values"] == {"phone_number": ADA, "name": name}
    assert given["row"] == text.count("\n")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_are_counted_as_an_editor_does(check_text: CheckText, end: str) -> None:
    lines = [
        'phone_number,"note',
        'of two lines"',
        f'{ADA},"one',
        "two",
        'three"',
        "",
        "12345,x",
        f'{BOB},"a',
        'b"',
        "  ",
        f"{CAT},last",
    ]
    checked = check_text(end.join(lines))
    assert [item[2]["row"] for item in checked.items] == [3, 8, 11]
    assert checked.items[0][2]["values"][f"note{end}of two lines"] == f"one{end}two{end}three"
    assert checked.codes == [(7, "too_short")]
    assert checked.report.empty_lines == 2


def test_bad_rows_say_where_what_and_what_would_be_right(check_text: CheckText) -> None:
    checked = check_text(f"phone_number,name\n{ADA},Ada\n4.15555E+09,Bob\n2025550123,Cat\n,Dan\n", country="US")
    assert checked.numbers == [ADA]
    excel, plus, blank = checked.bad
    assert (excel.row, excel.column, excel.value, excel.code) == (3, "phone_number", "4.15555E+09", "excel_number")
    assert (plus.row, plus.code, plus.suggestion) == (4, "missing_plus", "+12025550123")
    assert (blank.row, blank.value, blank.code) == (5, "", "blank_number")
    assert all(row.message.endswith(".") for row in checked.bad)
    assert checked.report.by_code == {"excel_number": 1, "missing_plus": 1, "blank_number": 1}
    assert checked.report.invalid == 3


def test_cells_that_are_too_many_too_long_or_not_text(check_text: CheckText) -> None:
    text = (
        f"phone_number,note\n{ADA},a,b\n{BOB},{'x' * 10_001}\n{CAT},bell\x07\n{ADA},nul\x00\n"
        f"{BOB},{'x' * 10_000}\n{CAT},tab\there\n"
    )
    checked = check_text(text)
    assert checked.codes == [
        (2, "too_many_cells"),
        (3, "cell_too_long"),
        (4, "control_character"),
        (5, "control_character"),
    ]
    assert [row.column for row in checked.bad] == [None, "note", "note", "note"]
    assert checked.bad[0].value == "b"
    assert checked.bad[0].suggestion is not None
    assert "quotes" in checked.bad[0].suggestion
    assert len(checked.bad[1].value) == 201
    assert "U+0007" in checked.bad[2].message
    assert checked.numbers == [BOB, CAT]


def test_a_long_quoted_cell_of_many_lines(check_text: CheckText) -> None:
    long = "a line of thirty characters...\n" * 400
    checked = check_text(f'phone_number,note\n{ADA},"{long}"\n{BOB},"{long[:9000]}"\n{CAT},x\n')
    assert checked.codes == [(2, "cell_too_long")]
    assert [item[2]["row"] for item in checked.items] == [403, 403 + 9000 // 31 + 1]


def test_a_short_row_is_fine_unless_the_agent_speaks_of_what_it_lacks(check_text: CheckText) -> None:
    text = f"phone_number,first_name,note\n{ADA},Ada\n{BOB}\n"
    checked = check_text(text)
    assert checked.items[1][2]["values"] == {"phone_number": BOB, "first_name": "", "note": ""}
    checked = check_text(text, placeholders=frozenset({"first_name"}))
    assert checked.numbers == [ADA]
    assert checked.codes == [(3, "too_few_cells")]
    assert checked.bad[0].column == "first_name"


def test_every_placeholder_needs_a_column(check_text: CheckText) -> None:
    error = refused(check_text, f"phone_number,name\n{ADA},Ada\n", placeholders=frozenset({"name", "day", "doctor"}))
    assert error.code == "placeholder_without_column"
    assert "{day}, {doctor}" in error.message
    assert "phone_number, name" in error.message
    assert error.details["placeholders"] == ["day", "doctor"]


def test_a_stray_quote_costs_one_row(check_text: CheckText) -> None:
    checked = check_text(f'phone_number,name\n{ADA},"Ada" Byron\n{BOB},"Bob"\n{CAT},5" disk\n')
    assert checked.codes == [(2, "stray_quote")]
    assert checked.numbers == [BOB, CAT]
    assert checked.report.cut_off_at is None


def test_a_stray_quote_with_a_quote_left_open_behind_it_stops_the_list(check_text: CheckText) -> None:
    """The second line of the note is no row, though it looks like one."""
    checked = check_text(f'phone_number,name,note\n{ADA},"Ada" Byron,"call not\n{BOB},but,me"\n{CAT},Cat,\n')
    assert checked.codes == [(2, "unclosed_quote")]
    assert checked.numbers == []


@pytest.mark.parametrize(
    "rest",
    [
        f"{BOB},Bob\n{CAT},Cat\n",
        f'{BOB},"Bob"\n{CAT},Cat\n',
        f"{BOB},Bob\n" * 20_000,
    ],
)
def test_an_unclosed_quote_stops_the_list_even_if_bad_rows_are_skipped(check_text: CheckText, rest: str) -> None:
    checked = check_text(f'phone_number,name\n{ADA},Ada\n{ADA},"Ada\n{rest}')
    assert checked.codes == [(3, "unclosed_quote")]
    assert checked.numbers == [ADA]
    assert checked.report.cut_off_at == 3
    refusal = checked.report.refusal(skip_invalid=True)
    assert refusal is not None
    assert (refusal.code, "line 3" in refusal.message) == ("unclosed_quote", True)


def test_a_list_of_bad_rows_is_not_read_to_its_end(check_text: CheckText) -> None:
    text = f"phone_number\n{ADA}\n" + "x\n" * 8
    checked = check_text(text, limits=IntakeLimits(bad_rows=5))
    assert (checked.report.invalid, checked.report.cut_off_at, len(checked.bad)) == (5, 7, 5)
    refusal = checked.report.refusal(skip_invalid=True)
    assert refusal is not None
    assert refusal.code == "too_many_bad_rows"
    twice = check_text(
        "phone_number\n" + f"{ADA}\n" * 10, on_duplicate=OnDuplicate.skip, limits=IntakeLimits(bad_rows=5)
    )
    assert (twice.report.duplicates, twice.report.cut_off_at) == (5, 7)


def test_a_cell_too_large_to_read(check_text: CheckText) -> None:
    checked = check_text(f"phone_number,note\n{ADA},{'x' * 300_000}\n{BOB},x\n")
    assert checked.codes == [(2, "cell_too_long")]
    assert checked.numbers == [BOB]


def test_duplicates_are_counted_whatever_way_they_are_written(check_text: CheckText) -> None:
    text = f"phone_number,n\n{ADA},1\n{BOB},2\n+1 (202) 555-0101,3\n{ADA},4\n"
    kept = check_text(text)
    assert kept.numbers == [ADA, BOB, ADA, ADA]
    assert (kept.report.duplicates, kept.report.duplicates_skipped, kept.bad) == (2, False, ())
    skipped = check_text(text, on_duplicate=OnDuplicate.skip)
    assert skipped.numbers == [ADA, BOB]
    assert (skipped.report.total, skipped.report.duplicates, skipped.report.invalid) == (2, 2, 0)
    assert skipped.codes == [(4, "duplicate"), (5, "duplicate")]


def test_what_a_report_makes_of_a_start(check_text: CheckText) -> None:
    good = check_text(f"phone_number\n{ADA}\n").report
    assert good.refusal(skip_invalid=False) is None
    mixed = check_text(f"phone_number\n{ADA}\nAda\n").report
    assert mixed.refusal(skip_invalid=True) is None
    refusal = mixed.refusal(skip_invalid=False)
    assert refusal is not None
    assert (refusal.code, refusal.status, refusal.details["invalidCount"]) == ("invalid_rows", 400, 1)
    assert "onInvalid=skip" in refusal.message
    assert refusal.details["invalidRows"][0]["row"] == 3
    hopeless = check_text("phone_number\nAda\n").report.refusal(skip_invalid=True)
    assert hopeless is not None
    assert hopeless.code == "no_usable_row"


def test_the_demo_trunk_and_its_numbers(check_text: CheckText) -> None:
    checked = check_text(f"phone_number\n{ADA}\n+12022345678\n", rule=NumberRule.demo, on_invalid=OnInvalid.reject)
    assert checked.numbers == [ADA]
    assert checked.codes == [(3, "not_a_demo_number")]


def test_an_unknown_region(check_text: CheckText) -> None:
    for option in ({"region": "XX"}, {"country": "us"}):
        assert refused(check_text, f"phone_number\n{ADA}\n", **option).code == "unknown_region"


def test_progress_ends_with_all_rows(check_text: CheckText) -> None:
    checked = check_text("phone_number\n" + f"{ADA}\n" * 10_000)
    assert checked.progress == [4096, 8192, 10_000]
