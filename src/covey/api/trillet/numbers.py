"""One phone number from outside, read by the rules of a list."""

from covey.calls.intake import IntakeOptions, NumberRule
from covey.calls.intake.numbers import Number, NumberReader
from covey.calls.trunks.demo import is_demo_number
from covey.domain.errors import BadRequest


def read_number(text: str, options: IntakeOptions, field: str = "to") -> Number:
    """The number in `text`. Takes milliseconds, so it runs off the event loop. Raises BadRequest."""
    found = NumberReader(options, is_demo_number).read(text)
    if isinstance(found, Number):
        return found
    hint = f" Try {found.suggestion}." if found.suggestion else ""
    raise BadRequest(f"{field}: {found.message}{hint}", code=found.code)


ANY = IntakeOptions(rule=NumberRule.simulated)
"""Every number that is valid anywhere, the fictional ones too."""
