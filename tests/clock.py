"""A clock that stands still until a test moves it."""

from datetime import UTC, datetime, timedelta

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
"""A Monday, noon in UTC."""


class ManualClock:
    """A `covey.domain.clock.Clock` that only `advance` moves."""

    def __init__(self, now: datetime = NOON) -> None:
        self._now = now
        self._monotonic = 1000.0

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def advance(self, seconds: float) -> datetime:
        """Move both clocks on; the time it is then."""
        self._now += timedelta(seconds=seconds)
        self._monotonic += seconds
        return self._now

    def set_back(self, seconds: float) -> None:
        """Somebody sets the time of day back; no time passes."""
        self._now -= timedelta(seconds=seconds)
