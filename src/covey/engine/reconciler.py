"""The reconciler: what the database believes in a worker's hands, against what is in them.

They differ after an answer was lost: a run was claimed and the worker never saw it. And they differ after a fail-over
that lost acknowledged commits: the database has forgotten how a run ended, or the worker holds a run of which the
database knows nothing, and might hand it out again. The first is given back. The second is written once more. The
third pauses the batch until a person has looked: only they can say what the far side has seen.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping

import structlog

from covey.domain.clock import Clock
from covey.domain.errors import Conflict, NotFound, Unavailable
from covey.domain.run import NOT_STARTED, START_LEASE_SECONDS, Finished, Returned
from covey.engine.dispatcher import Dispatcher, RunKey
from covey.store.results import FinishReport
from covey.store.store import Store

log = structlog.get_logger(__name__)

LOST_COMMITS = "database_lost_commits"
"""Why a batch is paused of which the database knows less than it once said."""

RETRY_SECONDS = 0.5
"""How soon it is looked again when the database did not answer."""

GIVE_BACK_SECONDS = START_LEASE_SECONDS + 0.1
"""For so long a run is missing before it is given back: whatever was claimed when it was first missed has lost its
start lease by then."""

LAST_WAITS = (0.1, 0.5, 2.0)
"""How long a worker that ends waits between its questions, before it leaves to others what it does not know."""

KEPT_OUTCOMES = 1000
"""So many outcomes are kept after they were written, should the database forget them."""


class Reconciler:
    """Compares and mends, one round at a time."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        worker: str,
        dispatchers: Mapping[str, Dispatcher],
        on_finished: Callable[[Finished], None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._worker = worker
        self._dispatchers = dispatchers
        self._on_finished = on_finished
        self._missing: dict[RunKey, float] = {}
        """When each run was first missed."""
        self._unwritten: set[RunKey] = set()
        """Runs that started, whose outcome could not be written: nobody may start them again."""
        self._strange: set[RunKey] = set()
        self._written: dict[RunKey, Finished] = {}
        self.wake = asyncio.Event()
        """Set when an answer of the database was lost: what is believed may differ from now on."""

    def run_in_hand(self, key: RunKey) -> bool:
        """Whether a run is in this worker's hands."""
        return any(key in dispatcher.runs for dispatcher in self._dispatchers.values())

    async def round(self) -> None:
        """Compare once, and again soon if the database does not answer or a run is missing.

        A run that is in nobody's hands is given back once it was missed for longer than a start lease: until then the
        answer of its claim may be on its way, and start it.
        """
        try:
            await self._compare()
        except Unavailable:
            self._again_in(RETRY_SECONDS)
            raise
        if self._missing:
            self._again_in(GIVE_BACK_SECONDS)

    def _again_in(self, seconds: float) -> None:
        asyncio.get_running_loop().call_later(seconds, self.wake.set)

    async def _compare(self) -> None:
        running = {key for dispatcher in self._dispatchers.values() for key in dispatcher.running}
        believed = set(await self._store.in_hand(self._worker))
        now = self._clock.monotonic()
        self._unwritten &= believed
        missing = {key for key in believed - self._unwritten if not self.run_in_hand(key)}
        since = {key: self._missing.get(key, now) for key in missing}
        over = {key for key, first in since.items() if now - first >= GIVE_BACK_SECONDS}
        self._give_back(over)
        self._missing = {key: first for key, first in since.items() if key not in over}
        still = {key for dispatcher in self._dispatchers.values() for key in dispatcher.running}
        await self._look_after((running & still) - believed)
        await self._look_after(set(self._strange))

    async def last_round(self) -> None:
        """Give back what was claimed without an answer before the last claim: nobody waits for one any more."""
        if any(dispatcher.claiming for dispatcher in self._dispatchers.values()):
            return
        for wait in LAST_WAITS:
            try:
                believed = set(await self._store.in_hand(self._worker))
            except Unavailable as error:
                log.warning("unanswered_claim_unknown", why=error.message)
                await asyncio.sleep(wait)
            else:
                self._give_back({key for key in believed - self._unwritten if not self.run_in_hand(key)})
                return
        log.error("unanswered_claim_left_to_others")

    def recorded(self, finished: Iterable[Finished], report: FinishReport) -> None:
        """A finish was answered: runs that changed nothing, though this worker had them, are looked at. One that never
        started is no loss."""
        started = {(one.batch, one.seq, one.attempt): one for one in finished if not _never_started(one)}
        if report.stale:
            self._strange.update(started.keys() & set(report.stale))
            self._unwritten |= self._strange
            self.wake.set()
        self._keep({key: one for key, one in started.items() if key not in report.stale})

    def _keep(self, written: Mapping[RunKey, Finished]) -> None:
        self._written.update(written)
        while len(self._written) > KEPT_OUTCOMES:
            del self._written[next(iter(self._written))]

    def _give_back(self, runs: Iterable[RunKey]) -> None:
        for key in sorted(runs):
            ended = self._written.get(key)
            if ended is not None:
                log.critical("outcome_lost_by_database", batch=key[0], seq=key[1])
            self._on_finished(ended or Finished(*key, Returned(NOT_STARTED), None, self._clock.now()))

    async def _look_after(self, runs: set[RunKey]) -> None:
        """Pause the batches of those runs of which the database knows nothing at all."""
        lost = {batch for batch, seq, attempt in sorted(runs) if not await self._known(batch, seq, attempt)}
        for batch in sorted(lost):
            log.critical("database_lost_commits", batch=batch)
            try:
                found = await self._store.batch(batch)
                await self._store.pause(found.workspace, batch, LOST_COMMITS)
            except Conflict:
                log.warning("batch_already_ended", batch=batch)
        self._strange -= runs

    async def _known(self, batch: str, seq: int, attempt: int) -> bool:
        """Whether the database has ever heard how this run ended. A run that others settled is known to it."""
        try:
            item = await self._store.item(batch, seq)
        except NotFound:
            log.critical("batch_lost_by_database", batch=batch)
            return True
        ended = [*item.earlier, *([item.last] if item.last is not None else [])]
        return any(run.attempt >= attempt for run in ended)


def _never_started(one: Finished) -> bool:
    return isinstance(one.outcome, Returned) and one.outcome.code == NOT_STARTED
