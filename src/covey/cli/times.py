"""Times and gaps as people type them."""

import re
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta

import typer

_GAP = re.compile(r"(?:([0-9]{1,9})d)?(?:([0-9]{1,9})h)?(?:([0-9]{1,9})m)?")


def moment(text: str) -> datetime:
    """A moment: RFC 3339, a local `2026-11-23 09:00`, or `+2h30m` from now. Raises typer.BadParameter, for a day alone,
    too: nobody who names a day means its midnight."""
    if text.startswith("+"):
        return datetime.now(UTC) + gap(text[1:])
    with suppress(ValueError):
        only = date.fromisoformat(text)
        raise typer.BadParameter(f"{text!r} has no clock time; 9 in the morning of that day is {only}T09:00")
    try:
        return datetime.fromisoformat(text).astimezone()
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no time; try 2026-11-23T09:00, 2026-11-23T08:00:00Z or +2h") from None


def gap(text: str) -> timedelta:
    """A length of time: `1d`, `2h`, `30m`, `1d2h`. Raises typer.BadParameter."""
    found = _GAP.fullmatch(text)
    if not text or found is None:
        raise typer.BadParameter(f"{text!r} is no length of time; try 30m, 2h or 1d2h")
    days, hours, minutes = (int(part or 0) for part in found.groups())
    return timedelta(days=days, hours=hours, minutes=minutes)


def wire_gap(text: str) -> dict[str, float]:
    """A gap as the API has it: days and hours."""
    length = gap(text)
    return {"days": length.days, "hours": length.seconds / 3600}


def day(text: str) -> date:
    """A day, `2026-11-23`. Raises typer.BadParameter."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no day; try 2026-11-23") from None
