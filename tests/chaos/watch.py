"""Watches the database from beside: how long it takes until the runs of a dead process are settled."""

import statistics
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import psycopg

LOOK_SECONDS = 0.05
UNCLEAN_SECONDS = 35.0
"""So long after the database came back everybody has time to come back too: nobody is given up sooner."""

LOOK = """
SELECT w.id, w.pid, w.dead_at IS NOT NULL, (SELECT count(*) FROM live WHERE worker = w.id AND state = 1)
FROM workers w
"""


@dataclass(slots=True)
class Death:
    """One process that died, or froze, with runs in its hands; `settled` is the seconds until it had none."""

    what: str
    worker: str
    at: float
    active: int
    settled: float | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """A worker at a look."""

    pid: int
    dead: bool
    active: int


class Watch:
    """Looks twenty times a second, past the proxy, for as long as its block lasts."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self._lock = threading.Lock()
        self._seen: dict[str, Seen] = {}
        self.deaths: list[Death] = []
        self.restarts: list[float] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def active(self, pid: int | None = None) -> int:
        """How many runs are active, in the hands of that process or in all, by the last look."""
        return sum(seen.active for seen in self._seen.values() if pid in (None, seen.pid))

    def died(self, pid: int, what: str) -> Death | None:
        """The process just died, or froze; None if it had nothing in its hands."""
        with self._lock:
            for worker, seen in self._seen.items():
                if seen.pid == pid and not seen.dead and seen.active:
                    death = Death(what, worker, time.monotonic(), seen.active)
                    self.deaths.append(death)
                    return death
        return None

    def database_came_back(self) -> None:
        """The database was just started again."""
        self.restarts.append(time.monotonic())

    def clean(self, death: Death) -> bool:
        """Whether the database was up, and everybody had come back to it, from the death to the settling."""
        end = death.at + (death.settled if death.settled is not None else UNCLEAN_SECONDS)
        return not any(death.at - UNCLEAN_SECONDS <= at <= end for at in self.restarts)

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                with psycopg.connect(self._url, autocommit=True, connect_timeout=5) as connection:
                    while not self._over.wait(LOOK_SECONDS):
                        self._look(connection)
            except psycopg.Error:
                self._over.wait(LOOK_SECONDS)

    def _look(self, connection: psycopg.Connection[Any]) -> None:
        asked = time.monotonic()
        rows = connection.execute(LOOK).fetchall()
        with self._lock:
            self._seen = {row[0]: Seen(row[1], row[2], row[3]) for row in rows}
            for death in self.deaths:
                if death.settled is None and asked > death.at:
                    seen = self._seen.get(death.worker)
                    if seen is None or (seen.dead and not seen.active):
                        death.settled = time.monotonic() - death.at


def spread(seconds: Sequence[float]) -> str:
    """Median, 95th percentile and worst."""
    ordered = sorted(seconds)
    if not ordered:
        return "none"
    p95 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))]
    return f"median {statistics.median(ordered):.2f} s, p95 {p95:.2f} s, worst {ordered[-1]:.2f} s ({len(ordered)})"
