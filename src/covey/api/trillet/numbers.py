"""Single phone numbers from outside, read by the rules of a list.

The numbering plans are loaded with the first of them: a server that reads none spares their memory.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from covey.calls.intake import IntakeOptions, NumberRule
from covey.calls.trunks.demo import is_demo_number
from covey.domain.errors import BadRequest

if TYPE_CHECKING:
    from covey.calls.intake.numbers import Number


def read_number(text: str, options: IntakeOptions, field: str = "to") -> "Number":
    """The number in `text`. Takes milliseconds, so it runs off the event loop. Raises BadRequest."""
    from covey.calls.intake.numbers import Number, NumberReader

    found = NumberReader(options, is_demo_number).read(text)
    if isinstance(found, Number):
        return found
    hint = f" Try {found.suggestion}." if found.suggestion else ""
    raise BadRequest(f"{field}: {found.message}{hint}", code=found.code)


def zones_of(numbers: Mapping[int, str]) -> dict[int, str | None]:
    """The time zones that each number (E.164) may be in. Runs off the event loop, like `read_number`."""
    from covey.calls.intake.numbers import Number, NumberReader

    reader = NumberReader(IntakeOptions(rule=NumberRule.any, zones=True), is_demo_number)
    found = {key: reader.read(number) for key, number in numbers.items()}
    return {key: one.zone for key, one in found.items() if isinstance(one, Number)}


def never_called(numbers: Mapping[int, str], *, live: bool) -> set[int]:
    """The keys of those numbers (E.164) that no trunk calls. Runs off the event loop, like `read_number`."""
    from covey.calls.intake.numbers import LastLook

    look = LastLook()
    return {key for key, number in numbers.items() if look.refusal(number, live=live)}


ANY = IntakeOptions(rule=NumberRule.any)
"""Every number that is valid anywhere, the fictional ones too."""
