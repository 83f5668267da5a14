"""How far this machine's monotonic clock is ahead of the store's clock."""

from collections import deque
from datetime import datetime

from covey.domain.clock import Clock

UNSURE_SECONDS = 0.02
"""How long a dispatcher waits at least for a time of the store's clock that it has no measure of yet."""

WIDE_SECONDS = 0.03
"""A measure with more room between its ends than this is made again before the next claim: a paced start that fits
into it may be no more than `START_SLACK` late."""

WRONG_SECONDS = 1.0
"""A moment to ask again that lies this far in the past means that a clock was set."""


class ClockOffset:
    """How far the monotonic clock of this machine is ahead of the store's clock: seconds to add to a store's time.

    Each answer says that the store's time was later than the question and earlier than the answer. The quickest ones of
    the last claims leave the smallest room between the two.
    """

    def __init__(self) -> None:
        self._seen: deque[tuple[float, float]] = deque(maxlen=64)

    def of(self, sent_at: float, received: float, store_now: datetime) -> tuple[float, float]:
        """(least, most) that it can be, after an answer made at `store_now` to a question sent at `sent_at`."""
        now = store_now.timestamp()
        self._seen.append((sent_at - now, received - now))
        if self._least > self._most:  # a clock was set
            self._seen = deque([(sent_at - now, received - now)], maxlen=64)
        return self._least, self._most

    @property
    def wide(self) -> bool:
        """Whether there is no measure yet, or one too wide for a paced start."""
        return not self._seen or self._most - self._least > WIDE_SECONDS

    @property
    def _least(self) -> float:
        return max(least for least, _ in self._seen)

    @property
    def _most(self) -> float:
        return min(most for _, most in self._seen)

    def until(self, at: datetime, clock: Clock) -> float:
        """The seconds until a time of the store's clock. This machine's own clock only serves until the first answer:
        it may be set wrong."""
        if not self._seen:
            return max(UNSURE_SECONDS, (at - clock.now()).total_seconds())
        return at.timestamp() + self._most - clock.monotonic()
