"""What a list is checked against: the choices of whoever sends it, and the limits of the server."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any


class Encoding(StrEnum):
    """How the bytes of a file become text. It is stated, never guessed; a byte order mark is fine."""

    utf_8 = "utf-8"
    windows_1252 = "windows-1252"
    utf_16 = "utf-16"


class OnInvalid(StrEnum):
    """What a bad row does to its list."""

    reject = "reject"
    skip = "skip"


class OnDuplicate(StrEnum):
    """What becomes of the second and later rows with the same number."""

    keep = "keep"
    skip = "skip"


class NumberRule(StrEnum):
    """Which numbers a list may hold, by the trunk it is meant for.

    `any`: every valid number and the fictional 555-01xx ones, for lists of which nothing is dialled. `demo`: only the
    phones of the demo trunk. `simulated`: as `any`, without premium and satellite numbers, which no trunk calls.
    `real`: valid numbers of the allowed countries, without premium, satellite, emergency and short numbers.
    """

    any = "any"
    demo = "demo"
    simulated = "simulated"
    real = "real"


@dataclass(frozen=True, slots=True)
class IntakeLimits:
    """The largest list that is taken. `report_rows` is how many bad rows a report shows.

    After `bad_rows` of them (a row that is left out as a duplicate counts) the rest of the list is not read: it is no
    list of numbers, and its report would outgrow the disk. So it is after `empty_in_a_row` lines without a cell, or
    `empty_lines` in all, more than a worksheet has: 20 MB of line ends would take as long as a million numbers.
    """

    columns: int = 256
    cell: int = 10_000
    header_name: int = 100
    report_rows: int = 1_000
    bad_rows: int = 500_000
    empty_in_a_row: int = 100_000
    empty_lines: int = 1_048_576


@dataclass(frozen=True, slots=True)
class IntakeOptions:
    """How to read a list (contract 12.3 to 12.5).

    `phone_column` names the column of the numbers, if it is not `phone_number`. `region` (ISO 3166, two letters)
    reads numbers without `+`; `country`, the workspace's own, only says what they would be. `countries` are the
    regions that a real trunk may dial, None for all. `placeholders` are the columns the agent speaks of. `zones`
    asks for the time zones of every number. `headerless` takes a list that has no header, too: every cell that may be a
    number is read.
    """

    rule: NumberRule = NumberRule.demo
    encoding: Encoding = Encoding.utf_8
    phone_column: str | None = None
    region: str | None = None
    country: str | None = None
    countries: frozenset[str] | None = None
    placeholders: frozenset[str] = frozenset()
    on_invalid: OnInvalid = OnInvalid.reject
    on_duplicate: OnDuplicate = OnDuplicate.keep
    zones: bool = False
    headerless: bool = False
    limits: IntakeLimits = field(default_factory=IntakeLimits)

    def dump(self) -> dict[str, Any]:
        """As plain JSON values, for the child process."""
        countries = None if self.countries is None else sorted(self.countries)
        return asdict(self) | {"countries": countries, "placeholders": sorted(self.placeholders)}

    @classmethod
    def load(cls, data: Mapping[str, Any]) -> "IntakeOptions":
        """From what `dump` wrote."""
        countries = data["countries"]
        return cls(
            rule=NumberRule(data["rule"]),
            encoding=Encoding(data["encoding"]),
            phone_column=data["phone_column"],
            region=data["region"],
            country=data["country"],
            countries=None if countries is None else frozenset(countries),
            placeholders=frozenset(data["placeholders"]),
            on_invalid=OnInvalid(data["on_invalid"]),
            on_duplicate=OnDuplicate(data["on_duplicate"]),
            zones=data["zones"],
            headerless=data["headerless"],
            limits=IntakeLimits(**data["limits"]),
        )
