"""Signs of life of the event loop that starts runs: how late it is, and systemd's watchdog, which it feeds."""

import os
import socket
from collections import deque
from collections.abc import Callable, Mapping

import structlog

from covey.domain.clock import Clock
from covey.loop import Loop
from covey.metrics import Metrics

log = structlog.get_logger(__name__)

SHOWN_SECONDS = 60.0
"""The metric is the worst of so many seconds: no scrape misses it."""


class LoopLag(Loop):
    """Measures how late the event loop wakes its tasks."""

    name = "loop lag"
    seconds = 0.1

    def __init__(self, clock: Clock, metrics: Metrics, alive: Callable[[], None]) -> None:
        """`alive` is called in every round."""
        self._clock = clock
        self._alive = alive
        self._due: float | None = None
        self._late: deque[tuple[float, float]] = deque()
        metrics.loop_lag.set_function(lambda: self.worst(SHOWN_SECONDS))

    def worst(self, seconds: float) -> float:
        """The longest that anybody waited in the last `seconds`; what waits at this moment, too."""
        now = self._clock.monotonic()
        under_way = 0.0 if self._due is None else now - self._due
        return max([0.0, under_way, *(late for at, late in self._late if now - at <= seconds)])

    async def round(self) -> None:
        """Note how late this round is."""
        now = self._clock.monotonic()
        if self._due is not None:
            self._late.append((now, now - self._due))
        while self._late and now - self._late[0][0] > SHOWN_SECONDS:
            self._late.popleft()
        self._due = now + self.seconds
        self._alive()


class ServiceManager:
    """systemd, if it started this process: what sd_notify(3) and sd_watchdog_enabled(3) describe."""

    def __init__(self, clock: Clock, environment: Mapping[str, str] | None = None) -> None:
        """`environment` is the process's own unless another is named."""
        names = os.environ if environment is None else environment
        self._clock = clock
        self._address = names.get("NOTIFY_SOCKET", "")
        self._pause = _watchdog_seconds(names) / 4
        self._fed_at = float("-inf")

    def ready(self) -> None:
        """The process does its work from now on."""
        self._tell("READY=1")

    def announce_stop(self) -> None:
        """The process drains, and ends by itself."""
        self._tell("STOPPING=1")

    def alive(self) -> None:
        """Feed the watchdog, if there is one and it is time."""
        now = self._clock.monotonic()
        if self._pause and now - self._fed_at >= self._pause:
            self._fed_at = now
            self._tell("WATCHDOG=1")

    def _tell(self, what: str) -> None:
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
                line.setblocking(False)
                line.sendto(what.encode(), address)
        except OSError as error:
            log.warning("systemd_not_notified", what=what, why=error.strerror)


def _watchdog_seconds(names: Mapping[str, str]) -> float:
    """How long the watchdog waits for a sign of life; 0: there is none for this process."""
    if names.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return 0.0
    micros = names.get("WATCHDOG_USEC", "")
    return int(micros) / 1e6 if micros.isdecimal() else 0.0
