"""What must hold, judged from outside the engine: after every write to the database, and at every start.

The ledger is told of each write in the moment of its commit, whoever learns of the answer; the witness of each start in
the moment before the far side sees it. Neither asks the engine what it believes.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from covey.domain.lane import START_HORIZON
from covey.domain.run import Aborted, Failed, Finished, Outcome, Retry, Returned, Succeeded
from covey.engine.runner import Run
from covey.store.ports import Claim, FinishReport, Stopped

from .database import SimulatedDatabase
from .locks import Locks
from .loop import Loop
from .script import LaneFacts, Submit

Key = tuple[str, int, int]
"""Batch, seq, attempt."""

EPSILON = 1e-6
FULL_RECOUNT = 250
"""So many writes from one recount of all rows to the next."""

STOP_SECONDS = 0.5
GONE_SECONDS = 2.0
SILENT_SECONDS = 30.0
"""The figures of the promises, written down a second time."""

HEALTHY_SECONDS = 6.0
"""So long after its last trouble a process that runs is not to be given up."""

STORM = 400
"""More writes of one process in one second than any work that these histories hold can need."""


class Broken(AssertionError):
    """A promise was broken. `promise` names it."""

    def __init__(self, promise: str, **facts: Any) -> None:
        self.promise = promise
        self.facts = facts
        super().__init__(f"{promise}: " + ", ".join(f"{name}={value}" for name, value in facts.items()))


@dataclass(slots=True)
class Start:
    """One start as the far side saw it."""

    attempt: int
    at: float
    worker: str
    until: float
    outcome: Outcome | None = None


@dataclass(slots=True)
class Known:
    """A batch as the ledger knows it."""

    facts: Submit
    paused: bool = False
    stopped_at: float | None = None
    active_at_stop: frozenset[tuple[int, int]] = frozenset()
    erased: bool = False
    starts: list[float] = field(default_factory=list)
    busy: set[Key] = field(default_factory=set)


@dataclass
class Health:
    """What is true of a worker's process, whatever the engine believes of it."""

    alive: Callable[[], bool]
    trouble: float = 0.0
    given_up: bool = False


class Ledger:
    """Keeps what happened, and raises `Broken` in the moment in which a promise is."""

    def __init__(self, loop: Loop, database: SimulatedDatabase, locks: Locks, lanes: Sequence[LaneFacts]) -> None:
        self._loop = loop
        self._database = database
        self._locks = locks
        self.lanes = {lane.name: lane for lane in lanes}
        self.batches: dict[str, Known] = {}
        self.hands: dict[tuple[str, int], tuple[int, str]] = {}
        self.claimed_at: dict[Key, float] = {}
        self.unknown: dict[Key, str] = {}
        self.recorded: dict[Key, Outcome] = {}
        self.starts: dict[tuple[str, int], list[Start]] = defaultdict(list)
        self.lane_starts: dict[str, list[float]] = defaultdict(list)
        self.lane_busy: dict[str, set[Key]] = defaultdict(set)
        self.ref_busy: dict[tuple[str, str], set[Key]] = defaultdict(set)
        self.workers: dict[str, Health] = {}
        self.began = 0.0
        self.lossy = False
        self.trace: list[str] | None = None
        self.writes = 0
        self._second: dict[str, tuple[int, int]] = {}
        self._changes = 0

    @property
    def now(self) -> float:
        return self._loop.time()

    # Writes

    def committed(
        self, name: str, result: Any, error: BaseException | None, wrote: Callable[[Any], None] | None
    ) -> None:
        """Something was written, or refused."""
        if self.trace is not None:
            what = getattr(wrote, "func", wrote)
            self.trace.append(f"{self.now:.6f} {name} {getattr(what, '__name__', '')} {result!r} {error!r}")
        if error is not None and not hasattr(error, "status"):
            raise Broken("the database takes what is written", error=repr(error))
        self._no_storm(name)
        if error is None and wrote is not None:
            wrote(result)
        changes = self._database.connection.total_changes()
        if changes != self._changes:
            self._changes = changes
            self.writes += 1
            self._see_stops()
            full = self.writes % FULL_RECOUNT == 0
            wrong = self._database.recount.full() if full else self._database.recount.quick()
            if wrong:
                raise Broken("counts add up", wrong=wrong)

    def _no_storm(self, name: str) -> None:
        second, count = self._second.get(name, (0, 0))
        count = count + 1 if second == int(self.now) else 1
        self._second[name] = int(self.now), count
        if count > STORM:
            raise Broken("nobody asks without end", process=name, writes=count)

    def submitted(self, batch: str, facts: Submit) -> None:
        """A batch may come to be."""
        self.batches[batch] = Known(facts)

    def claimed(self, worker: str, lane: str, room: int, claim: Claim) -> None:
        """A claim: nothing is handed out that must not start."""
        bite = claim.bite
        if bite is None:
            return
        known = self.batches[bite.batch]
        if self.workers[worker].given_up:
            raise Broken("who was given up claims nothing", worker=worker)
        if known.paused or known.stopped_at is not None or bite.lane != lane or len(bite.runs) > room:
            raise Broken("only open batches are claimed", batch=bite.batch, known=known)
        for run in bite.runs:
            item = (bite.batch, run.seq)
            earliest = self._database.clock.now()
            if item in self.hands:
                raise Broken("no item is in two hands", item=item, hands=self.hands[item], worker=worker)
            if not bite.now <= run.start_at <= earliest + START_HORIZON:
                raise Broken("a start lies in the next moments", start_at=run.start_at, now=earliest)
            self.hands[item] = (run.attempt, worker)
            self.claimed_at[bite.batch, run.seq, run.attempt] = self.now

    def finished(self, worker: str, group: list[Finished], report: FinishReport) -> None:
        """A finish: what was in this worker's hands is written, all else is stale and changes nothing."""
        stale = []
        for one in group:
            key = (one.batch, one.seq, one.attempt)
            if self.hands.get(key[:2]) == (one.attempt, worker):
                del self.hands[key[:2]]
            elif self.unknown.get(key) == worker:
                del self.unknown[key]
            else:
                stale.append(key)
                continue
            self.recorded[key] = one.outcome
        if sorted(report.stale) != sorted(stale) or report.written != len(group) - len(stale):
            raise Broken("a stale finish changes nothing, any other is written", report=report, stale=stale)
        for batch in report.paused:
            self.batches[batch].paused = True

    def fell_back(self) -> None:
        """The database is at an earlier moment: what it knows now is what holds, and what was recorded may be lost."""
        self.recorded.clear()
        self.hands = {
            (batch.hex(), seq): (attempt, worker)
            for batch, seq, attempt, worker in self._execute(
                "SELECT batch, seq, attempt, worker FROM live WHERE state = 1"
            )
        }
        unknown = self._execute("SELECT batch, seq, attempt, worker FROM runs WHERE code = 'outcome_unknown'")
        self.unknown = {(batch.hex(), seq, attempt): worker for batch, seq, attempt, worker in unknown}
        facts = "SELECT id, paused_at IS NOT NULL, stopped_at IS NOT NULL FROM batches WHERE accepted_at IS NOT NULL"
        there = {id_.hex(): (paused, stopped) for id_, paused, stopped in self._execute(facts)}
        for batch, known in self.batches.items():
            paused, stopped = there.get(batch, (0, 0))
            known.paused = bool(paused)
            known.stopped_at = known.stopped_at if stopped else None

    def stopped(self, batch: str, answer: Stopped) -> None:
        """A stop was written: see that it says what is."""
        counts = answer.batch.counts
        if counts.waiting:
            raise Broken("a stop leaves nothing waiting", batch=batch, counts=counts)

    def paused(self, batch: str, paused: bool, _: Any) -> None:
        """A pause or a resume."""
        self.batches[batch].paused = paused

    def _see_stops(self) -> None:
        """Batches that are stopped since this write, by whoever: what was active then may go on, nothing else."""
        for (id_,) in self._database.connection.execute("SELECT batch FROM counts WHERE stopped = 1"):
            known = self.batches[id_.hex()]
            if known.stopped_at is None:
                known.stopped_at = self.now
                known.active_at_stop = frozenset(
                    (seq, attempt) for (batch, seq), (attempt, _) in self.hands.items() if batch == id_.hex()
                )

    # Workers

    def enlisted(self, worker: str, _: Any) -> None:
        """A worker's life began."""

    def given_up(self, worker: str) -> None:
        """A worker was declared dead: it must have looked so for two seconds, and not be well."""
        health = self.workers[worker]
        health.given_up = True
        free_for = self.now - self._locks.free_since.get(worker, self.now)
        if free_for < GONE_SECONDS - 0.01:
            raise Broken("only who is gone for two seconds is given up", worker=worker, free_for=free_for)
        if health.alive() and self.now - max(health.trouble, self.began) > HEALTHY_SECONDS:
            raise Broken("nobody who is well is given up", worker=worker)
        self._abandon(worker)

    def ends_session(self, worker: str) -> None:
        """A session is ended because its owner stands still."""
        session = self._locks.held.get(worker)
        if session is not None and self.now - session.beat_at < SILENT_SECONDS:
            raise Broken("only who stands still for 30 s is cut off", worker=worker, silent=self.now - session.beat_at)

    def settled(self, worker: str, _: int) -> None:
        """Runs of a dead worker were settled."""
        if not self.workers[worker].given_up:
            raise Broken("only the dead are settled", worker=worker)
        rows = self._database.connection.execute(
            "SELECT batch, seq FROM live WHERE worker = ? AND state = 1", (worker,)
        )
        left = {(batch.hex(), seq) for batch, seq in rows}
        for item, (attempt, owner) in list(self.hands.items()):
            if owner == worker and item not in left:
                del self.hands[item]
                if not self.batches[item[0]].facts.repeatable:
                    self.unknown[item[0], item[1], attempt] = worker

    def _abandon(self, worker: str) -> None:
        """What harms nobody when it is repeated is not waited for any more."""
        for (batch, seq), starts in self.starts.items():
            if self.batches[batch].facts.repeatable:
                for start in starts:
                    if start.worker == worker:
                        self.ended((batch, seq, start.attempt))

    def died(self, worker: str) -> None:
        """A worker's process died, and with it the runs that harm nobody."""
        self._abandon(worker)

    # The witness of starts

    def start(self, run: Run, worker: str, seconds: float) -> None:
        """The far side is about to see a start that lasts for `seconds` at most."""
        key: Key = (run.batch, run.seq, run.attempt)
        known = self.batches[run.batch]
        if self.trace is not None:
            self.trace.append(f"{self.now:.6f} {worker} starts {key}")
        try:
            self._in_hand(key, known, worker)
            self._first_start(key, known)
            self._within_limits(run, key, known)
        except Broken as broken:
            self._loop.fail(broken)  # or the engine would take it for the runner's own fault
            raise
        self.starts[key[:2]].append(Start(run.attempt, self.now, worker, self.now + seconds))
        self._loop.at(self.now + seconds, self.ended, key)

    def _in_hand(self, key: Key, known: Known, worker: str) -> None:
        batch, seq, attempt = key
        if known.stopped_at is not None:
            if (seq, attempt) not in known.active_at_stop:
                raise Broken("nothing that a stop counted canceled starts", run=key, stopped_at=known.stopped_at)
            if self.now > known.stopped_at + STOP_SECONDS + 0.001:
                raise Broken("no start later than 500 ms after a stop", run=key, late=self.now - known.stopped_at)
        late = self.now - self.claimed_at[key]
        if late > STOP_SECONDS + 0.001:
            raise Broken("no start later than 500 ms after its claim", run=key, late=late)
        if self.hands.get((batch, seq)) != (attempt, worker) and not self.lossy:
            raise Broken("only what is in hand starts", run=key, worker=worker, hands=self.hands.get((batch, seq)))

    def _first_start(self, key: Key, known: Known) -> None:
        earlier = self.starts.get(key[:2], [])
        if any(start.attempt == key[2] for start in earlier):
            raise Broken("one start for an attempt", run=key)
        if not known.facts.repeatable:
            for start in earlier:
                if not isinstance(start.outcome, Returned | Retry):
                    raise Broken("what may have been reached is not started again", run=key, earlier=start)
        retried = sum(isinstance(start.outcome, Retry) for start in earlier)
        if retried >= known.facts.max_tries:
            raise Broken("no more tries than there are", run=key, tries=retried, most=known.facts.max_tries)

    def _within_limits(self, run: Run, key: Key, known: Known) -> None:
        lane, facts = self.lanes[run.lane], known.facts
        self._pace(self.lane_starts[run.lane], lane.pace, run.lane)
        self._pace(known.starts, facts.pace, run.batch)
        self._cap(self.lane_busy[run.lane], lane.cap, key, run.lane)
        self._cap(known.busy, facts.cap, key, run.batch)
        if facts.exclusive and run.ref is not None:
            self._cap(self.ref_busy[run.workspace, run.ref], 1, key, run.ref)

    def _pace(self, starts: list[float], pace: int | None, where: str) -> None:
        starts.append(self.now)
        if pace is not None and len(starts) > pace and self.now - starts[-1 - pace] < 1.0 - EPSILON:
            raise Broken("no second sees a start too many", where=where, pace=pace, starts=starts[-1 - pace :])

    def _cap(self, busy: set[Key], cap: int | None, key: Key, where: str) -> None:
        busy.add(key)
        if cap is not None and len(busy) > cap:
            raise Broken("never more at once than the limit", where=where, cap=cap, busy=sorted(busy))

    def ended(self, key: Key) -> None:
        """The far side is free of a run."""
        facts = self.batches[key[0]].facts
        self.lane_busy[facts.lane].discard(key)
        self.batches[key[0]].busy.discard(key)
        if facts.exclusive and (ref := facts.refs[key[1] % len(facts.refs)]) is not None:
            self.ref_busy[facts.workspace, ref].discard(key)

    def answered(self, key: Key, outcome: Outcome) -> None:
        """A runner said what came of a run that it started."""
        self.ended(key)
        for start in self.starts[key[:2]]:
            if start.attempt == key[2]:
                start.outcome = outcome

    # At the end

    def unended(self) -> list[str]:
        """Batches that have not ended."""
        open_ = self._database.connection.execute(
            "SELECT id FROM batches WHERE accepted_at IS NOT NULL AND completed_at IS NULL AND erased_at IS NULL"
        )
        return [id_.hex() for (id_,) in open_]

    def close(self) -> None:
        """All has ended: nothing is in anybody's hands, nothing acknowledged is lost, all is counted."""
        if wrong := self._database.recount.full():
            raise Broken("counts add up", wrong=wrong)
        execute = self._database.connection.execute
        for what in ("SELECT * FROM live WHERE state = 1", "SELECT * FROM held", "SELECT * FROM busy_refs"):
            if left := execute(what).fetchall():
                raise Broken("in the end nothing is held", what=what, left=left)
        if not self.lossy:
            self._nothing_lost()

    def _nothing_lost(self) -> None:
        query = """SELECT r.batch, seq, attempt, state, code FROM runs r JOIN batches b ON b.id = r.batch
            WHERE erased_at IS NULL"""
        runs = {(b.hex(), seq, attempt): (state, code) for b, seq, attempt, state, code in self._execute(query)}
        there = {b.hex() for (b,) in self._execute("SELECT id FROM batches WHERE erased_at IS NULL")}
        for key, outcome in self.recorded.items():
            if key[0] in there and not _is_in(outcome, runs.get(key)):
                raise Broken("nothing acknowledged is lost", run=key, outcome=outcome, written=runs.get(key))
        for (batch, seq), starts in self.starts.items():
            for start in starts:
                lost = batch in there and (batch, seq, start.attempt) not in runs
                if lost and not isinstance(start.outcome, Returned):
                    raise Broken("every start is written down", item=(batch, seq), start=start)

    def _execute(self, query: str) -> Any:
        return self._database.connection.execute(query)


def _is_in(outcome: Outcome, written: tuple[str, str] | None) -> bool:
    match outcome:
        case Succeeded(code):
            return written == ("succeeded", code)
        case Failed(code):
            return written == ("failed", code)
        case Aborted(code):
            return written is not None and written[1] == code
        case Retry():
            return written is not None and written[1] == outcome.otherwise.code
        case Returned():
            return True
