"""Numbering plans: phonenumbers' own rules, asked in the same order, without its objects on the way.

phonenumbers needs 20 to 40 µs a number, which is 10 to 20 s for the largest list. Its data are regular expressions;
asking them directly takes 2 to 4 µs. Where a number needs more than a look at its digits (carrier codes, rewritten
prefixes, dialled-out numbers) phonenumbers itself splits it. A test holds both to the same answers.
"""

import re
from collections.abc import Callable
from functools import cached_property
from typing import NamedTuple

import phonenumbers
from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneMetadata, PhoneNumberDesc, PhoneNumberType
from phonenumbers.tzdata import TIMEZONE_DATA, TIMEZONE_LONGEST_PREFIX

Match = Callable[[str], re.Match[str] | None]

UNKNOWN = PhoneNumberType.UNKNOWN
SHORTEST, LONGEST = 2, 17
"""The shortest and longest national number that phonenumbers parses."""


class NumberPlan(NamedTuple):
    """What a numbering plan says of a number: the region it is of, None if of none, and its PhoneNumberType."""

    region: str | None
    kind: int


class _Kind(NamedTuple):
    type: int
    lengths: tuple[int, ...]
    match: Match


_ORDER = (
    (PhoneNumberType.PREMIUM_RATE, "premium_rate"),
    (PhoneNumberType.TOLL_FREE, "toll_free"),
    (PhoneNumberType.SHARED_COST, "shared_cost"),
    (PhoneNumberType.VOIP, "voip"),
    (PhoneNumberType.PERSONAL_NUMBER, "personal_number"),
    (PhoneNumberType.PAGER, "pager"),
    (PhoneNumberType.UAN, "uan"),
    (PhoneNumberType.VOICEMAIL, "voicemail"),
)


class Country:
    """The rules of one region."""

    def __init__(self, metadata: PhoneMetadata) -> None:
        general = metadata.general_desc
        assert general is not None
        assert general.national_number_pattern is not None
        assert metadata.country_code is not None
        self.code = metadata.country_code
        self.lengths = general.possible_length
        self.local_lengths = general.possible_length_local_only
        self._metadata = metadata
        self._viable: Match = re.compile(general.national_number_pattern).fullmatch
        leading = metadata.leading_digits
        self.leading: Match | None = re.compile(leading).match if leading else None
        dial_out = metadata.international_prefix
        self.dial_out: Match | None = re.compile(dial_out).match if dial_out else None
        trunk = metadata.national_prefix_for_parsing
        self._prefix = re.compile(trunk) if trunk else None

    @cached_property
    def _kinds(self) -> list[_Kind]:
        pairs = ((kind, getattr(self._metadata, name)) for kind, name in _ORDER)
        return [asked for kind, desc in pairs if (asked := _kind(kind, desc))]

    @cached_property
    def _fixed(self) -> _Kind | None:
        return _kind(PhoneNumberType.FIXED_LINE, self._metadata.fixed_line)

    @cached_property
    def _mobile(self) -> _Kind | None:
        return _kind(PhoneNumberType.MOBILE, self._metadata.mobile)

    def kind(self, national: str) -> int:
        """The PhoneNumberType of a national number, UNKNOWN if it is not valid here."""
        length = len(national)
        if (self.lengths and length not in self.lengths) or not self._viable(national):
            return UNKNOWN
        for kind in self._kinds:
            if length in kind.lengths and kind.match(national):
                return kind.type
        same = self._metadata.same_mobile_and_fixed_line_pattern
        fixed = _matches(self._fixed, national)
        if fixed and (same or _matches(self._mobile, national)):
            return PhoneNumberType.FIXED_LINE_OR_MOBILE
        if fixed:
            return PhoneNumberType.FIXED_LINE
        return PhoneNumberType.MOBILE if not same and _matches(self._mobile, national) else UNKNOWN

    def strip(self, national: str) -> str | None:
        """`national` without the prefix that is dialled inside the country; None: phonenumbers has to say."""
        if not SHORTEST <= len(national) <= LONGEST:
            return None
        prefix = self._prefix.match(national) if self._prefix else None
        if self._prefix is None or prefix is None:
            return national
        rewrites = bool(self._metadata.national_prefix_transform_rule)
        if prefix.lastindex is not None or (rewrites and not self._prefix.groups):
            return None
        rest = national[prefix.end() :]
        if self._viable(national) and not self._viable(rest):
            return national
        return rest if len(rest) in self.lengths else None


class Plans:
    """The numbering plans of the world."""

    def __init__(self) -> None:
        self._countries: dict[str, Country] = {}
        self._codes: dict[int, tuple[tuple[str, Country], ...]] = {}

    def split(self, number: str, region: str | None = None) -> tuple[int, str]:
        """The calling code and the national number of `number`, which is digits with or without a leading `+`.

        `region` is where a number without `+` is dialled from. Raises phonenumbers.NumberParseException.
        """
        found = self._quick_split(number, region)
        if found is not None:
            return found
        parsed = phonenumbers.parse(number, region)
        assert parsed.country_code is not None
        return parsed.country_code, phonenumbers.national_significant_number(parsed)

    def _quick_split(self, number: str, region: str | None) -> tuple[int, str] | None:
        if number[0] == "+":
            code = calling_code(number)
            if code is None or len(number) < 4:
                return None
            national = self.of_code(code)[0][1].strip(number[1 + len(str(code)) :])
            return None if national is None else (code, national)
        if region is None:
            return None
        country = self._country(region)
        if country.dial_out and (dialled := country.dial_out(number)):
            abroad = number[dialled.end() :]
            return self._quick_split(f"+{abroad}", None) if abroad[:1] not in ("", "0") else None
        if number.startswith(str(country.code)):
            return None
        national = country.strip(number)
        return None if national is None else (country.code, national)

    def standing(self, code: int, national: str) -> NumberPlan:
        """Whether +`code` `national` is a valid number, of which region, of which type."""
        regions = self.of_code(code)
        for region, country in regions:
            if country.leading is not None and len(regions) > 1:
                if country.leading(national):
                    return NumberPlan(region, country.kind(national))
                continue
            kind = country.kind(national)
            if kind != UNKNOWN:
                return NumberPlan(region, kind)
        return NumberPlan(None, UNKNOWN)

    def main(self, code: int) -> Country:
        """The rules of the region that stands for a calling code."""
        return self.of_code(code)[0][1]

    def zone(self, code: int, national: str, kind: int) -> str | None:
        """The time zones a number may be in, joined by commas; None if nothing is known of them.

        A number that belongs to no place (toll-free, VoIP) may be anywhere in its country.
        """
        placed = kind == UNKNOWN or phonenumbers.is_number_type_geographical(kind, code)
        digits = f"{code}{national}" if placed else str(code)
        for length in range(TIMEZONE_LONGEST_PREFIX, 0, -1):
            zones = TIMEZONE_DATA.get(digits[:length])
            if zones is not None:
                return ",".join(zones)
        return None

    def of_code(self, code: int) -> tuple[tuple[str, Country], ...]:
        """The regions of a calling code with their rules, the main one first."""
        if code not in self._codes:
            regions = COUNTRY_CODE_TO_REGION_CODE[code]
            self._codes[code] = tuple((region, self._country(region, code)) for region in regions)
        return self._codes[code]

    def _country(self, region: str, code: int = 0) -> Country:
        key = region if region != "001" else str(code)
        if key not in self._countries:
            metadata = (
                PhoneMetadata.metadata_for_nongeo_region(code, None)
                if region == "001"
                else PhoneMetadata.metadata_for_region(region, None)
            )
            assert metadata is not None
            self._countries[key] = Country(metadata)
        return self._countries[key]


def calling_code(number: str) -> int | None:
    """The country calling code that `number` (`+` and digits) begins with; None if there is no such code."""
    for length in (1, 2, 3):
        digits = number[1 : 1 + length]
        if digits and digits[0] != "0" and int(digits) in COUNTRY_CODE_TO_REGION_CODE:
            return int(digits)
    return None


def _kind(type_: int, desc: PhoneNumberDesc | None) -> _Kind | None:
    if desc is None or desc.national_number_pattern is None:
        return None
    lengths = desc.possible_length or tuple(range(SHORTEST, LONGEST + 1))
    return _Kind(type_, tuple(lengths), re.compile(desc.national_number_pattern).fullmatch)


def _matches(kind: _Kind | None, national: str) -> bool:
    return kind is not None and len(national) in kind.lengths and kind.match(national) is not None
