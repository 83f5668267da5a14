"""What doctor finds, one thing at a time."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: what was looked at, whether it is right, what was seen, and what would make it right. A `warning` is
    no fault, but somebody should know."""

    check: str
    ok: bool
    seen: str
    remedy: str = ""
    warning: bool = False
