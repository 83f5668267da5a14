"""Records the outcomes of runs: collects them for a few milliseconds and writes them in one transaction at a time."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import structlog

from covey.domain.errors import Unavailable
from covey.domain.run import INTERNAL_ERROR, Finished
from covey.loop import Loop
from covey.store.results import FinishReport
from covey.store.store import Finishes

log = structlog.get_logger(__name__)

RETRY_SECONDS = (0.1, 0.5, 2.0)
"""How long the completer waits before it asks a database again that did not answer; the last one repeats."""

MOST_AT_ONCE = 500

STOP_SECONDS = 10.0
"""How long the end of a process waits for a database that does not answer."""


class Completer(Loop):
    """Holds outcomes until the database has them. Nothing is dropped: an outcome stays in hand until it is written."""

    name = "completer"
    rests_first = True

    def __init__(
        self,
        store: Finishes,
        worker: str,
        done: Callable[[list[Finished], FinishReport], None],
        on_answer_lost: Callable[[], None],
    ) -> None:
        """`done` is told of everything that was written, and makes room in the worker; `doubt` of every answer that
        was lost."""
        self._store = store
        self._worker = worker
        self._done = done
        self._on_answer_lost = on_answer_lost
        self._waiting: list[Finished] = []
        self._idle = asyncio.Event()
        self._idle.set()

    async def stop(self) -> None:
        """Write what waits, then end the loop. What the database does not take in time the successor settles."""
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self._idle.wait()
        except TimeoutError:
            log.error("outcomes_left_to_next_start", runs=len(self._waiting))
        await super().stop()

    def on_finished(self, finished: Finished) -> None:
        """A run has ended."""
        self._waiting.append(finished)
        self._idle.clear()
        self.wake.set()

    @property
    def waiting(self) -> int:
        """How many outcomes are not written yet."""
        return len(self._waiting)

    async def _rest(self) -> None:
        """Until a run has ended, if all that have are written."""
        if not self._waiting:
            self._idle.set()
            await self.wake.wait()
            self.wake.clear()

    async def _failed(self, error: Exception) -> None:
        log.exception("outcome_not_writable", runs=len(self._waiting), exc_info=error)
        await asyncio.sleep(RETRY_SECONDS[-1])

    async def round(self) -> None:
        """Write one group; asks again until the database took it."""
        if not self._waiting:
            return
        group = self._waiting[:MOST_AT_ONCE]
        try:
            report = await self._write(group)
        except Exception:
            log.exception("outcomes_not_written", runs=len(group))
            report = await self._write_singly(group)
        del self._waiting[: len(group)]
        if report.stale:
            log.warning("stale_outcomes", runs=len(report.stale))
        self._done(group, report)

    async def _write_singly(self, group: list[Finished]) -> FinishReport:
        """One outcome that cannot be written must not keep the others: it becomes the server's own failure."""
        reports = []
        for one in group:
            try:
                reports.append(await self._write([one]))
            except Exception:
                log.exception("outcome_not_written", batch=one.batch, seq=one.seq, attempt=one.attempt)
                reports.append(await self._write_failed(one))
        return FinishReport(
            sum(report.written for report in reports),
            tuple(run for report in reports for run in report.stale),
            tuple(batch for report in reports for batch in report.ended),
            tuple(batch for report in reports for batch in report.paused),
        )

    async def _write_failed(self, one: Finished) -> FinishReport:
        """Its last chance: if not even this can be written, its run stays active until the next start settles it."""
        try:
            return await self._write([replace(one, outcome=INTERNAL_ERROR)])
        except Exception:
            log.exception("outcome_left_to_next_start", batch=one.batch, seq=one.seq, attempt=one.attempt)
            return FinishReport(0, ((one.batch, one.seq, one.attempt),))

    async def _write(self, group: list[Finished]) -> FinishReport:
        for attempt in range(1_000_000_000):
            try:
                return await self._store.finish(self._worker, group)
            except Unavailable as error:
                self._on_answer_lost()
                log.error("outcomes_wait_for_database", runs=len(self._waiting), why=error.message)
                await asyncio.sleep(RETRY_SECONDS[min(attempt, len(RETRY_SECONDS) - 1)])
        raise AssertionError("unreachable")
