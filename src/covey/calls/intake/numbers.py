"""A cell of a list becomes a phone number, or a problem that says what would be right."""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberType, shortnumberinfo

from covey.calls.intake.options import IntakeOptions, NumberRule
from covey.calls.intake.plan import UNKNOWN, NumberPlan, Plans, calling_code
from covey.calls.text import is_invisible
from covey.settings.regions import REGIONS

SATELLITE = {
    870: "the satellites of Inmarsat",
    881: "satellite phones",
    882: "international networks, satellites among them",
    883: "international networks, satellites among them",
}
"""Calling codes of satellite and international networks, which cost as much (ITU-T E.164, list of assigned codes)."""

LONGEST_E164 = 15
"""Digits of the longest number (ITU-T E.164)."""

SHORTEST_NUMBER = 7
"""Fewer digits than this, without a `+`, are a short number or a part of one."""

LONGEST_WRITTEN = 100
"""Characters of the longest way to write a number."""

_PLAIN = re.compile(r"\+[1-9][0-9]{6,14}")
_FICTIONAL = re.compile(r"1[2-9][0-9]{2}55501[0-9]{2}")
_PUNCTUATION = re.compile(r"[ \t().\-/]+")
_DIALLED = re.compile(r"\+?[0-9]+")
_EXCEL = re.compile(r"\+?[0-9](?:[.,][0-9]+)?E\+?[0-9]{1,2}", re.IGNORECASE)
_DECIMAL = re.compile(r"(\+?[0-9]{7,15})[.,]0+")
_EXTENSION = re.compile(r"(.*[0-9)])\s*(?:;?\s*ext(?:ension|n)?[.=:]?|x|#|;)\s*[0-9]{1,8}", re.IGNORECASE)
_TEL = re.compile(r"tel:(?://)?([^;]*)(?:;(?!ext=)[^;]*)*", re.IGNORECASE)
_PLUSES = "+＋﹢⁺"


class Number(NamedTuple):
    """A number that may be called: E.164 with its `+`, and its time zones joined by commas, if they were asked for."""

    e164: str
    zone: str | None


class NumberProblem(NamedTuple):
    """Why a cell is no number that may be called, and what would be right, where that is known."""

    code: str
    message: str
    suggestion: str | None = None


IsDemoNumber = Callable[[str], bool]


class NumberReader:
    """Reads the numbers of one list by its options."""

    def __init__(self, options: IntakeOptions, is_demo_number: IsDemoNumber | None = None) -> None:
        """`is_demo_number` says whether an E.164 number is a phone of the demo trunk; the rule `demo` needs it."""
        region, country = (one if one in REGIONS else None for one in (options.region, options.country))
        self._options = replace(options, region=region, country=country)  # a default kept from before may be none
        self._is_demo = is_demo_number if options.rule is NumberRule.demo else None
        self._fictional = options.rule in (NumberRule.any, NumberRule.simulated)
        self._dials = options.rule is not NumberRule.any
        self._strict = options.rule is NumberRule.real
        self._plans = Plans()

    def read(self, text: str) -> Number | NumberProblem:
        """The number in a cell."""
        if _PLAIN.fullmatch(text):
            return self._international(text)
        return self._written(_unified(text))

    def _written(self, text: str) -> Number | NumberProblem:
        if not text:
            return NumberProblem("blank_number", "The row has no phone number.")
        if len(text) > LONGEST_WRITTEN:
            return NumberProblem("not_a_number", f"The cell has {len(text):,} characters; it is no phone number.")
        if tel := _TEL.fullmatch(text):
            text = tel[1].strip()
        digits = _PUNCTUATION.sub("", text)
        if _DECIMAL.fullmatch(text) or not _DIALLED.fullmatch(digits):
            return self._spoiled(text)
        return self._dialled(digits, self._options.region)

    def _dialled(self, digits: str, region: str | None) -> Number | NumberProblem:
        if digits[0] == "+":
            return self._international(digits)
        if region is None:
            return self._without_plus(digits)
        if len(digits) < SHORTEST_NUMBER and (short := _short(digits, region)):
            return short
        try:
            code, national = self._plans.split(digits, region)
        except NumberParseException as error:
            return _unparsed(error, digits)
        if digits.startswith(str(code)) and (other := self._reads(f"+{digits}", None)) not in (
            None,
            f"+{code}{national}",
        ):
            message = f"The number may be +{code}{national}, dialled inside the country, or {other}. Write it with +."
            return NumberProblem("ambiguous_number", message, other)
        return self._judged(code, national)

    def _international(self, number: str) -> Number | NumberProblem:
        digits = number[1:]
        if (self._fictional or self._is_demo) and _FICTIONAL.fullmatch(digits):
            return self._checked_demo(number, 1, digits[1:], UNKNOWN)
        if len(digits) > LONGEST_E164:
            return _too_long(digits)
        if calling_code(number) is None:
            return NumberProblem(
                "unknown_country_code",
                f"No country has a calling code that +{digits[:3]} begins with.",
                self._as_national(digits),
            )
        try:
            code, national = self._plans.split(number)
        except NumberParseException as error:
            return _unparsed(error, digits)
        return self._judged(code, national)

    def _judged(self, code: int, national: str) -> Number | NumberProblem:
        standing = self._plans.standing(code, national)
        if standing.kind == UNKNOWN:
            return self._invalid(code, national, standing)
        if self._dials and (refused := _never_called(code, standing)):
            return refused
        if self._strict and (refused := self._not_allowed(standing)):
            return refused
        return self._checked_demo(f"+{code}{national}", code, national, standing.kind)

    def _checked_demo(self, e164: str, code: int, national: str, kind: int) -> Number | NumberProblem:
        if self._is_demo and not self._is_demo(e164):
            return NumberProblem(
                "not_a_demo_number",
                "The demo trunk rings only its own phones, the fictional numbers +1 <area code> 555 01xx. To call real "
                "people, configure a trunk of your own under [trunks] in covey.toml and name it in the agent or the "
                "batch (trunk=…).",
            )
        return Number(e164, self._plans.zone(code, national, kind) if self._options.zones else None)

    def _not_allowed(self, standing: NumberPlan) -> NumberProblem | None:
        countries = self._options.countries
        if countries is not None and standing.region not in countries:
            allowed = ", ".join(sorted(countries)) or "none"
            return NumberProblem(
                "country_not_allowed",
                f"The number is in {_place(standing.region)}, and the trunk may call only: {allowed}. "
                "The countries of a trunk stand in its settings.",
            )
        return None

    def _invalid(self, code: int, national: str, standing: NumberPlan) -> NumberProblem:
        regions = [region for region, _ in self._plans.of_code(code)]
        if len(national) < SHORTEST_NUMBER and any(_is_emergency(national, region) for region in regions):
            return NumberProblem("emergency_number", f"{national} is an emergency number; these are never called.")
        main = self._plans.main(code)
        lengths = sorted(main.lengths)
        wanted = f"after +{code} come {_lengths(lengths)} digits, here are {len(national)}"
        if len(national) in main.local_lengths or len(national) < lengths[0]:
            return NumberProblem("too_short", f"The number is too short: {wanted}.")
        if len(national) > lengths[-1]:
            return NumberProblem("too_long", f"The number is too long: {wanted}.")
        if len(national) not in lengths:
            return NumberProblem("invalid_number", f"The number has a length that does not exist: {wanted}.")
        return NumberProblem("invalid_number", f"No such number exists in {_place(standing.region or regions[0])}.")

    def _without_plus(self, digits: str) -> NumberProblem:
        if len(digits) < SHORTEST_NUMBER:
            short = _short(digits, self._options.country or "US")
            return short or NumberProblem("too_short", f"{len(digits)} digits are too few for a phone number.")
        suggestion, where = self._as_international(digits)
        would_be = f" In {where} it would be {suggestion}." if suggestion and where else ""
        region = f"region={where}" if where else "as region the country that the numbers are dialled in"
        how = f" Write it with + and the country code, or send {region}."
        return NumberProblem("missing_plus", f"The number has no + and country code.{would_be}{how}", suggestion)

    def _as_international(self, digits: str) -> tuple[str | None, str | None]:
        """What digits without `+` are likely to be, and the country that this is said of."""
        country = self._options.country
        if country and (number := self._reads(digits, country)):
            return number, country
        if digits.startswith("00"):
            return self._reads(f"+{digits[2:]}", None), None
        return self._reads(f"+{digits}", None), None

    def _as_national(self, digits: str) -> str | None:
        home = self._options.region or self._options.country
        return self._reads(digits, home) if home else None

    def _reads(self, digits: str, region: str | None) -> str | None:
        try:
            code, national = self._plans.split(digits, region)
        except NumberParseException:
            return None
        return f"+{code}{national}" if self._plans.standing(code, national).kind != UNKNOWN else None

    def _spoiled(self, text: str) -> NumberProblem:
        if _EXCEL.fullmatch(text):
            return NumberProblem(
                "excel_number",
                f"Excel turned the number into {text}; its last digits are lost.",
                "In Excel, format the column as Text, enter the numbers again and save as CSV UTF-8.",
            )
        if decimal := _DECIMAL.fullmatch(text):
            return NumberProblem(
                "decimal_number",
                "The number was saved as a decimal fraction.",
                self._likely(decimal[1]) or f"Write it without the decimal point: {decimal[1]}",
            )
        if extension := _EXTENSION.fullmatch(text):
            return NumberProblem(
                "has_extension",
                "The number has an extension; extensions can't be dialled.",
                self._likely(_PUNCTUATION.sub("", extension[1])),
            )
        digits = "".join(character for character in text if character.isdigit())
        suggestion = self._likely(f"+{digits}" if "+" in text else digits) if text.count("+") < 2 else None
        return NumberProblem("not_a_number", "The cell is not a phone number such as +12025550123.", suggestion)

    def _likely(self, digits: str) -> str | None:
        if len(digits) < SHORTEST_NUMBER:
            return None
        if not _DIALLED.fullmatch(digits):
            return None
        if digits[0] == "+":
            return self._reads(digits, None)
        region = self._options.region
        return self._reads(digits, region) if region else self._as_international(digits)[0]


class LastLook:
    """The look at a number before it is dialled: what intake refuses today may have been accepted by an earlier
    version, or by older numbering plans. The fictional numbers are nobody's: a trunk that rings no real phone may call
    them."""

    def __init__(self) -> None:
        self._plans = Plans()

    def refusal(self, number: str, *, live: bool) -> NumberProblem | None:
        """Why `number` (E.164) is never called on any trunk; None if it may be. `live`: real phones can ring."""
        if not _PLAIN.fullmatch(number) or (not live and _FICTIONAL.fullmatch(number[1:])):
            return None
        try:
            code, national = self._plans.split(number)
        except NumberParseException:
            return None
        return _never_called(code, self._plans.standing(code, national))


def _never_called(code: int, standing: NumberPlan) -> NumberProblem | None:
    if code in SATELLITE:
        return NumberProblem("satellite_number", f"+{code} leads to {SATELLITE[code]}; these are never called.")
    if standing.kind == PhoneNumberType.PREMIUM_RATE:
        return NumberProblem("premium_number", "The number charges a premium rate; these are never called.")
    return None


def _unified(text: str) -> str:
    """`text` with plain digits, dashes, blanks and `+`, and without invisible characters."""
    if text.isascii():
        return text.strip()
    return "".join(map(_unified_character, text)).strip()


def _unified_character(character: str) -> str:
    if character in _PLUSES:
        return "+"
    if character == "／":
        return "/"
    if is_invisible(character):
        return ""
    match unicodedata.category(character):
        case "Nd":
            return str(unicodedata.digit(character))
        case "Pd":
            return "-"
        case "Zs":
            return " "
        case _:
            return {"（": "(", "）": ")", "．": ".", "−": "-", "‧": ".", "·": "."}.get(character, character)


def _short(digits: str, region: str) -> NumberProblem | None:
    if _is_emergency(digits, region):
        return NumberProblem("emergency_number", f"{digits} is an emergency number; these are never called.")
    number = phonenumbers.PhoneNumber(
        country_code=phonenumbers.country_code_for_region(region), national_number=int(digits)
    )
    if shortnumberinfo.is_valid_short_number_for_region(number, region):
        return NumberProblem("short_number", f"{digits} is a short number; these are never called.")
    return None


def _is_emergency(digits: str, region: str) -> bool:
    return region != "001" and shortnumberinfo.is_emergency_number(digits, region)


def _unparsed(error: NumberParseException, digits: str) -> NumberProblem:
    match error.error_type:
        case NumberParseException.INVALID_COUNTRY_CODE:
            return NumberProblem("unknown_country_code", "The number begins with a country code that does not exist.")
        case NumberParseException.TOO_LONG:
            return _too_long(digits)
        case _:
            return NumberProblem("too_short", f"{len(digits)} digits are too few for a phone number.")


def _too_long(digits: str) -> NumberProblem:
    return NumberProblem("too_long", f"The number has {len(digits)} digits; the longest has {LONGEST_E164}.")


def _lengths(lengths: list[int]) -> str:
    if len(lengths) == 1:
        return str(lengths[0])
    if lengths == list(range(lengths[0], lengths[-1] + 1)):
        return f"{lengths[0]} to {lengths[-1]}"
    return f"{', '.join(map(str, lengths[:-1]))} or {lengths[-1]}"


def _place(region: str | None) -> str:
    return "no country (an international service)" if region in (None, "001") else f"{region}"
