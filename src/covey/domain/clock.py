"""Time: aware UTC datetimes for what is written down, a monotonic clock in seconds for what is waited for."""

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """What the time is. Every part that needs it gets one in its constructor, so tests can move it."""

    def now(self) -> datetime:
        """The present, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back; on Linux the same for all processes of a machine."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()
