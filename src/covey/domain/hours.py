"""Hours: the local times within which an item may start, in every time zone it may be in."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_PATTERN = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]|24):([0-5]\d)")
_SEARCH = timedelta(days=8)
_STEP = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Hours:
    """Every day from `opens` to `closes`, local time; `closes` None means midnight."""

    opens: time
    closes: time | None

    def hold(self, local: datetime) -> bool:
        """Whether `local` is within the hours."""
        clock = local.time()
        return clock >= self.opens and (self.closes is None or clock < self.closes)


@lru_cache(maxsize=256)
def parse_hours(text: str) -> Hours:
    """`HH:MM-HH:MM` as hours; ValueError says what would be right."""
    match = _PATTERN.fullmatch(text)
    if match is None:
        raise ValueError(f"hours {text!r}: must be HH:MM-HH:MM, such as 08:00-21:00")
    first, last = text.split("-")
    closes = None if last == "24:00" else time.fromisoformat(last)
    opens = time.fromisoformat(first)
    if closes is not None and closes <= opens:
        raise ValueError(f"hours {text!r}: the end must be later than the beginning")
    return Hours(opens, closes)


@lru_cache(maxsize=1024)
def zones(names: str) -> tuple[ZoneInfo, ...]:
    """The time zones of a comma-joined list of IANA names; ValueError names the one there is none of."""
    found = []
    for name in names.split(","):
        try:
            found.append(ZoneInfo(name.strip()))
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError(f"there is no time zone {name!r}") from error
    return tuple(found)


@lru_cache(maxsize=1024)
def next_opening(hours: str, zone: str | None, now: datetime) -> datetime | None:
    """None if `hours` hold in every zone of `zone` (UTC without one) at `now`; else when they next do."""
    rule, where = parse_hours(hours), zones(zone or "UTC")
    if _all_hold(rule, where, now):
        return None
    at = _quarter_after(now)
    while at < now + _SEARCH:
        if _all_hold(rule, where, at):
            return _first_minute(rule, where, at)
        at += _STEP
    return now + _SEARCH


def _all_hold(rule: Hours, where: tuple[ZoneInfo, ...], at: datetime) -> bool:
    return all(rule.hold(at.astimezone(zone)) for zone in where)


def _quarter_after(now: datetime) -> datetime:
    floor = now.astimezone(UTC).replace(second=0, microsecond=0)
    return floor - timedelta(minutes=floor.minute % 15) + _STEP


def _first_minute(rule: Hours, where: tuple[ZoneInfo, ...], at: datetime) -> datetime:
    while _all_hold(rule, where, at - timedelta(minutes=1)):
        at -= timedelta(minutes=1)
    return at
