"""Headers as programs and people write them: marks, invisible characters, titles above them, and lines of nothing."""

import codecs

import pytest

from covey.calls.agents import Agent, render
from covey.calls.intake import Encoding, IntakeLimits
from covey.calls.text import visible
from covey.domain.errors import BadRequest

from .conftest import CheckText

ADA = "+12025550101"
BOB = "+12025550102"
ZERO_WIDTH = "\u200b"


def refused(check_text: CheckText, content: str | bytes, **options: object) -> BadRequest:
    with pytest.raises(BadRequest) as caught:
        check_text(content, **options)
    return caught.value


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("name", "name"),
        ("\ufeffname", "name"),
        ("\ufeff \ufeffname\u200b ", "name"),
        ("first\u200b_name", "first_name"),
        ("\u202afirst_name\u202c", "first_name"),
        ("first\u00a0name", "first name"),
        ("first\u00adname\u2060", "firstname"),
        ("na\u200dme\ufe0f", "name"),
        ("Zoë\u200e", "Zoë"),
        ("\u200cشماره\u200cتلفن\u200d", "شماره\u200cتلفن"),
        ("\u200b\ufeff\u3164", ""),
    ],
)
def test_what_people_see(text: str, seen: str) -> None:
    assert visible(text) == seen
    assert visible(seen) == seen


@pytest.mark.parametrize("quote", ["", '"'])
@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        (codecs.BOM_UTF8 * 2, Encoding.utf_8),
        (codecs.BOM_UTF8 * 3, Encoding.utf_8),
        (codecs.BOM_UTF16_LE * 2, Encoding.utf_16),
        (codecs.BOM_UTF16_BE * 2, Encoding.utf_16),
    ],
)
def test_marks_that_stand_twice(check_text: CheckText, content: bytes, encoding: Encoding, quote: str) -> None:
    codec = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
    used = next(name for mark, name in codec.items() if content.startswith(mark))
    text = f"{quote}phone_number{quote},name\n{ADA},Ada\n".encode(used)
    checked = check_text(content + text, encoding=encoding)
    assert checked.report.columns == ("phone_number", "name")
    assert checked.items == [(ADA, "", {"row": 2, "values": {"phone_number": ADA, "name": "Ada"}})]


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        (codecs.BOM_UTF8, Encoding.utf_8),
        (codecs.BOM_UTF8 * 2 + b"\r\n", Encoding.utf_8),
        (codecs.BOM_UTF16_LE, Encoding.utf_16),
    ],
)
def test_a_mark_alone_is_no_header(check_text: CheckText, content: bytes, encoding: Encoding) -> None:
    assert refused(check_text, content, encoding=encoding).code == "no_header"


def test_a_mark_does_not_hide_the_separator_of_excel(check_text: CheckText) -> None:
    assert check_text(f"\ufeff\ufeffsep=;\nphone_number;name\n{ADA};Ada\n").numbers == [ADA]


@pytest.mark.parametrize(
    "name", ["\ufeffphone_number", "phone\u200b_number", "\u00a0Phone\u00a0Number", "\u202aphone_number\u202c"]
)
def test_invisible_characters_in_names(check_text: CheckText, name: str) -> None:
    checked = check_text(
        f"first\u200b_name\u00a0,{name}\nAda,{ADA}\n", placeholders=frozenset({"first_name"}), phone_column=None
    )
    assert checked.report.columns[0] == "first_name"
    assert checked.items[0][2]["values"]["first_name"] == "Ada"
    assert checked.report.phone_column == visible(name)
    assert check_text(f"{name},mobile\n{ADA},{BOB}\n", phone_column="mobile\u200b").numbers == [BOB]


def test_names_that_look_alike_are_equal(check_text: CheckText) -> None:
    assert refused(check_text, f"phone_number,name,name\u200b\n{ADA},a,b\n").code == "equal_headers"
    assert refused(check_text, f"phone_number,\u200b,name\n{ADA},a,b\n").code == "bad_header"


def test_an_agent_speaks_of_columns_as_people_see_them() -> None:
    agent = Agent(greeting="Hello {first\u200b_name}, you are {\ufeffolder}.")
    assert agent.placeholders() == {"first_name", "older"}
    script = render(agent, {"first_name": "Ada", "old\u2060er": "late"})
    assert script.opening[0].text == "Hello Ada, you are late."


@pytest.mark.parametrize("around", ["\u200b", "\u202a", "\ufeff", "\u00a0", "\ufe0f", "\u3164"])
def test_invisible_characters_around_numbers(check_text: CheckText, around: str) -> None:
    text = f"phone_number,x\n{around}{ADA}{around},1\n+1{around}(202) 555-0102,2\n{around},3\n"
    checked = check_text(text)
    assert checked.numbers == [ADA, BOB]
    assert checked.codes == [(4, "blank_number")]


def test_columns_of_numbers_are_found_through_invisible_characters(check_text: CheckText) -> None:
    error = refused(check_text, f"name,mobile\nAda,\u202a{ADA}\u202c\nBob,\u200b{BOB}\n")
    assert error.details["candidates"] == ["mobile"]


@pytest.mark.parametrize(
    ("above", "header", "line"),
    [
        ("Contacts for July", "phone_number,name", 2),
        ("Contacts for July\n", "phone_number,name", 3),
        ("Contacts for July,,\n,,", "name,Phone Number,x", 3),
        ('"Contacts, July"\nmade by Ada', "phone_number,name", 3),
        ("Contacts,July,2024-07-01", "phone_number,name", 2),
        ("2024-07-01", "phone_number,name", 2),
        ("Contacts for July", "phone_number;name", 2),
        ("Contacts for July\n", "name,mobile", 3),
        ("Contacts for July", "name;mobile", 2),
        ("Contacts for July", "Mobile", 2),
        ("sep=,\nContacts for July", "phone_number,name", 3),
        ("\ufeffContacts for July", "phone_number", 2),
    ],
)
def test_a_title_is_told_from_the_header(check_text: CheckText, above: str, header: str, line: int) -> None:
    separator = ";" if ";" in header else ","
    cells = {"phone_number": ADA, "Phone Number": ADA, "mobile": ADA, "Mobile": ADA}
    row = separator.join(cells.get(name, "Ada") for name in header.split(separator))
    error = refused(check_text, f"{above}\n{header}\n{row}\n{row}\n")
    assert error.code == "title_above_header"
    assert f"line {line} looks like the header" in error.message
    assert error.details == {"line": line}
    assert "phoneColumn" not in error.message


def test_a_chosen_column_below_a_title(check_text: CheckText) -> None:
    error = refused(check_text, f"Contacts,July\nname,Rufnummer\nAda,{ADA}\n", phone_column="rufnummer")
    assert (error.code, error.details["line"]) == ("title_above_header", 2)


@pytest.mark.parametrize(
    "content",
    [
        f"mobile\nn/a\n{ADA}\n",
        f"name,mobile\nAda,call her mobile\nBob,{BOB}\n",
        f"contacts\n{ADA}\n{BOB}\n",
        "just some words\nand, more, of them\nand more\n",
    ],
)
def test_a_header_is_no_title(check_text: CheckText, content: str) -> None:
    assert refused(check_text, content).code == "no_phone_column"


@pytest.mark.parametrize("first", [ADA, f"{ADA},{BOB}", f"call {ADA}"])
def test_data_without_a_header_is_no_title(check_text: CheckText, first: str) -> None:
    error = refused(check_text, f"{first}\nher mobile, not a number\n{BOB}\n")
    assert error.code in ("no_header", "no_phone_column")


@pytest.mark.parametrize("blank", ["", ",", ' ,"\t"', "\u00a0"])
def test_a_list_stops_at_too_many_empty_lines_in_a_row(check_text: CheckText, blank: str) -> None:
    gap = f"{blank}\n" * 5
    limits = IntakeLimits(empty_in_a_row=5)
    assert check_text(f"phone_number,n\n{ADA},1\n{gap}{BOB},2\n{gap}", limits=limits).numbers == [ADA, BOB]
    checked = check_text(f"phone_number,n\n{ADA},1\n{gap}{blank}\n{BOB},2\n", limits=limits)
    assert checked.numbers == [ADA]
    assert checked.codes == [(8, "empty_lines")]
    assert checked.report.cut_off_at == 8
    assert "5 lines in a row are empty" in checked.bad[0].message
    refusal = checked.report.refusal(skip_invalid=True)
    assert refusal is not None
    assert (refusal.code, "line 8" in refusal.message) == ("empty_lines", True)


def test_a_list_stops_at_too_many_empty_lines_in_all(check_text: CheckText) -> None:
    checked = check_text(f"phone_number\n{ADA}\n" + f"\n\n{BOB}\n" * 5, limits=IntakeLimits(empty_lines=7))
    assert checked.numbers == [ADA, BOB, BOB, BOB]
    assert checked.codes == [(13, "empty_lines")]
    assert "7 lines are empty" in checked.bad[0].message


def test_nothing_is_looked_for_behind_too_many_empty_lines(check_text: CheckText) -> None:
    text = "\n" * 6 + f"phone_number\n{ADA}\n"
    assert check_text(text, limits=IntakeLimits(empty_in_a_row=6)).numbers == [ADA]
    assert refused(check_text, text, limits=IntakeLimits(empty_in_a_row=5)).code == "no_header"
    assert (IntakeLimits().empty_in_a_row, IntakeLimits().empty_lines) == (100_000, 1_048_576)
