"""Cells become numbers, or problems that say what would be right."""

import random
from collections.abc import Iterator
from typing import Any

import phonenumbers
import pytest
from phonenumbers import NumberParseException, PhoneNumber, PhoneNumberFormat, PhoneNumberType
from phonenumbers.timezone import UNKNOWN_TIMEZONE, time_zones_for_number

from covey.calls.intake import IntakeOptions, NumberRule
from covey.calls.intake.numbers import LastLook, Number, NumberProblem, NumberReader
from covey.calls.intake.plan import UNKNOWN, Plans
from covey.calls.trunks.demo import is_demo_number


def read(text: str, **options: Any) -> Number | NumberProblem:
    return NumberReader(IntakeOptions(**{"rule": NumberRule.simulated} | options)).read(text)


def problem(text: str, **options: Any) -> NumberProblem:
    found = read(text, **options)
    assert isinstance(found, NumberProblem), found
    return found


@pytest.mark.parametrize(
    "text",
    [
        "+12025550123",
        "  +1 (202) 555-0123 ",
        "+1-202-555-0123",
        "+1.202.555.0123",
        "(+1) 202 555 0123",
        "+1\u00a0202\u00a0555\u00a00123",
        "+1\u2011202\u2013555\u22120123",
        "\u202a+12025550123\u202c",
        "\ufeff+12025550123",
        "＋１ ２０２ ５５５ ０１２３",
        "+١٢٠٢٥٥٥٠١٢٣",
        "tel:+1-202-555-0123",
        "TEL:+12025550123;phone-context=example.com",
    ],
)
def test_every_way_to_write_a_number(text: str) -> None:
    assert read(text) == Number("+12025550123", None)


@pytest.mark.parametrize(
    ("text", "region", "e164"),
    [
        ("(202) 555-0123", "US", "+12025550123"),
        ("1 202 555 0123", "US", "+12025550123"),
        ("011 44 20 7946 0958", "US", "+442079460958"),
        ("0170 1234567", "DE", "+491701234567"),
        ("030/123456", "DE", "+4930123456"),
        ("001 202 555 0123", "DE", "+12025550123"),
        ("0044 20 7946 0958", "IT", "+442079460958"),
        ("06 6982", "IT", "+39066982"),
        ("+44 (0)20 7946 0958", None, "+442079460958"),
    ],
)
def test_numbers_of_a_region(text: str, region: str | None, e164: str) -> None:
    assert read(text, region=region) == Number(e164, None)


@pytest.mark.parametrize(
    ("text", "code", "suggestion"),
    [
        ("", "blank_number", None),
        (" \u00a0", "blank_number", None),
        ("2025550123", "missing_plus", "+12025550123"),
        ("1 (202) 555-0123", "missing_plus", "+12025550123"),
        ("4915112345678", "missing_plus", "+4915112345678"),
        ("0049 151 12345678", "missing_plus", "+4915112345678"),
        ("5550123", "missing_plus", None),
        ("12025550123.0", "decimal_number", "+12025550123"),
        ("+12025550123 x77", "has_extension", "+12025550123"),
        ("tel:+12025550123;ext=5", "has_extension", None),
        ("'+12025550123", "not_a_number", "+12025550123"),
        ("=+12025550123", "not_a_number", "+12025550123"),
        ("+12025550123, +12025550124", "not_a_number", None),
        ("+1202555\n0123", "not_a_number", "+12025550123"),
        ("1-800-FLOWERS", "not_a_number", None),
        ("Ada", "not_a_number", None),
        ("+", "not_a_number", None),
        ("1" * 5000, "not_a_number", None),
        ("+1202555012", "too_short", None),
        ("+1555", "too_short", None),
        ("55", "too_short", None),
        ("+120255501234", "too_long", None),
        ("+1202555012345678", "too_long", None),
        ("+10005550123", "invalid_number", None),
        ("+9991234567", "unknown_country_code", None),
        ("+0012025550123", "unknown_country_code", None),
        ("911", "emergency_number", None),
        ("+49112", "emergency_number", None),
        ("411", "short_number", None),
    ],
)
def test_problems(text: str, code: str, suggestion: str | None) -> None:
    found = problem(text, country="US")
    assert (found.code, found.suggestion) == (code, suggestion)


@pytest.mark.parametrize("text", ["4.15555E+09", "4,15555E+09", "4.15555e9", "1E+10", "+4.9E+11"])
def test_what_excel_makes_of_a_number(text: str) -> None:
    found = problem(text)
    assert found.code == "excel_number"
    assert text in found.message
    assert found.suggestion is not None
    assert "Text" in found.suggestion


def test_a_number_without_plus_is_read_in_the_country_of_the_workspace_but_only_in_words() -> None:
    found = problem("2025550123", country="US")
    assert "In US it would be +12025550123" in found.message
    assert "region=US" in found.message
    assert problem("2025550123").suggestion is None


def test_a_number_that_may_be_two_is_neither() -> None:
    """Inside Germany 4915 is an area code; with a + it is a mobile number."""
    found = problem("4915112345678", region="DE")
    assert (found.code, found.suggestion) == ("ambiguous_number", "+4915112345678")
    assert "+494915112345678" in found.message


def test_too_short_says_how_many_digits_are_right() -> None:
    assert "after +1 come 10 digits, here are 8" in problem("+120255501").message.replace("here are 8 ", "")


def test_fictional_numbers_are_simulated_wherever_they_are() -> None:
    """+1 268 is Antigua, where 555 does not exist; the area is as good as any for a dry run."""
    assert read("+12685550123") == Number("+12685550123", None)
    assert problem("+12685550123", rule=NumberRule.real).code == "invalid_number"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("+19002345678", "premium_number"),
        ("+881612345678", "satellite_number"),
        ("+8821612345678", "satellite_number"),
        ("+18762345678", "country_not_allowed"),
        ("+33612345678", "country_not_allowed"),
    ],
)
def test_what_a_real_trunk_refuses(text: str, code: str) -> None:
    assert problem(text, rule=NumberRule.real, countries=frozenset({"US", "CA"})).code == code
    assert isinstance(read(text, rule=NumberRule.any), Number)


@pytest.mark.parametrize("rule", [rule for rule in NumberRule if rule is not NumberRule.any])
def test_no_trunk_calls_premium_and_satellite_numbers(rule: NumberRule) -> None:
    """Premium numbers of many plans, in whatever way they are written; satellites by their calling code."""
    for text in (
        "+19002345678",
        "+1 (900) 234-5678",
        "+449012345678",
        "+499001234567",
        "+33891123456",
        "+979123456789",
    ):
        assert problem(text, rule=rule).code == "premium_number", text
    assert problem("0900 1234567", rule=rule, region="DE").code == "premium_number"
    for text in ("+870773111632", "+881612345678", "+8821612345678", "+883510012345"):
        assert problem(text, rule=rule).code == "satellite_number", text


def test_the_last_look_before_the_dial_refuses_the_same() -> None:
    look = LastLook()
    for number, code in (("+19002345678", "premium_number"), ("+881612345678", "satellite_number")):
        for live in (True, False):
            refused = look.refusal(number, live=live)
            assert refused is not None
            assert refused.code == code
    for number in ("+12125550101", "+33612345678", "+1", "", "no number", "+12685550123"):
        assert look.refusal(number, live=True) is None


def test_every_demo_phone_may_be_called_whatever_its_area() -> None:
    """900 is the area of premium numbers; 555-01xx is fiction there, too."""
    look = LastLook()
    for area in range(200, 1000):
        number = f"+1{area}5550142"
        assert is_demo_number(number)
        assert look.refusal(number, live=False) is None
        assert NumberReader(IntakeOptions(rule=NumberRule.demo), is_demo_number).read(number) == Number(number, None)
        assert read(number) == Number(number, None)


def test_a_real_trunk_calls_its_countries_only() -> None:
    found = problem("+33612345678", rule=NumberRule.real, countries=frozenset({"US", "CA"}))
    assert "FR" in found.message
    assert "CA, US" in found.message
    assert read("+14165550123", rule=NumberRule.real, countries=frozenset({"US", "CA"})) == Number("+14165550123", None)
    assert read("+33612345678", rule=NumberRule.real) == Number("+33612345678", None)


def test_the_demo_trunk_takes_its_own_phones_only() -> None:
    reader = NumberReader(IntakeOptions(rule=NumberRule.demo), lambda e164: e164 == "+12025550123")
    assert reader.read("+1 202 555 0123") == Number("+12025550123", None)
    for text in ("+12025550124", "+12022234567", "+442079460958"):
        found = reader.read(text)
        assert isinstance(found, NumberProblem)
        assert found.code == "not_a_demo_number"
        assert "covey.toml" in found.message
    assert reader.read("+1202555").code == "too_short"  # type: ignore[union-attr]


def test_zones() -> None:
    assert read("+12025550123", zones=True) == Number("+12025550123", "America/New_York")
    assert read("+4930123456", zones=True) == Number("+4930123456", "Europe/Berlin")
    several = read("+61491570156", zones=True)
    assert isinstance(several, Number)
    assert several.zone is not None
    assert "Australia/Sydney" in several.zone.split(",")
    assert "Australia/Perth" in several.zone.split(",")


def ask_phonenumbers(number: str, region: str | None) -> tuple[object, ...]:
    try:
        parsed = phonenumbers.parse(number, region)
    except NumberParseException as error:
        return ("refused", error.error_type)
    national = phonenumbers.national_significant_number(parsed)
    if not phonenumbers.is_valid_number(parsed):
        return (parsed.country_code, national)
    zones = time_zones_for_number(parsed)
    zone = None if zones == (UNKNOWN_TIMEZONE,) else ",".join(zones)
    place = phonenumbers.region_code_for_number(parsed)
    return (parsed.country_code, national, place, phonenumbers.number_type(parsed), zone)


def ask_plans(plans: Plans, number: str, region: str | None) -> tuple[object, ...]:
    try:
        code, national = plans.split(number, region)
    except NumberParseException as error:
        return ("refused", error.error_type)
    standing = plans.standing(code, national)
    if standing.kind == UNKNOWN:
        return (code, national)
    return (code, national, standing.region, standing.kind, plans.zone(code, national, standing.kind))


def examples() -> Iterator[tuple[str | None, PhoneNumber]]:
    """A number of every type of every region."""
    for region in sorted(phonenumbers.SUPPORTED_REGIONS):
        for kind in PhoneNumberType.values():
            if kind != UNKNOWN and (number := phonenumbers.example_number_for_type(region, kind)):
                yield region, number
    for code in sorted(phonenumbers.COUNTRY_CODES_FOR_NON_GEO_REGIONS):
        if number := phonenumbers.example_number_for_non_geo_entity(code):
            yield None, number


def damaged(national: str, chance: random.Random) -> str:
    """`national` with a few digits changed, one more or one fewer."""
    digits = list(national)
    for _ in range(chance.randrange(4)):
        digits[chance.randrange(len(digits))] = chance.choice("0123456789")
    match chance.randrange(8):
        case 0:
            digits.append(chance.choice("0123456789"))
        case 1:
            digits.pop()
        case 2:
            digits.insert(0, chance.choice("01689"))
        case _:
            pass
    return "".join(digits)


def test_the_plans_and_phonenumbers_agree_on_every_country() -> None:
    plans, chance, valid = Plans(), random.Random(20), 0
    for region, number in examples():
        national = phonenumbers.national_significant_number(number)
        written = phonenumbers.format_number(number, PhoneNumberFormat.NATIONAL)
        inside = "".join(filter(str.isdecimal, written))
        for text in (national, *(damaged(national, chance) for _ in range(4))):
            asked: list[tuple[str, str | None]] = [(f"+{number.country_code}{text}", None)]
            if region:
                asked += [(text, region), (inside, region), (f"0{text}", region), (asked[0][0][1:], region)]
                asked += [(f"{dial_out}{asked[0][0][1:]}", region) for dial_out in ("00", "011", "810")]
            for form in asked:
                answer = ask_phonenumbers(*form)
                assert ask_plans(plans, *form) == answer, form
                valid += len(answer) == 5
    assert valid > 10_000
