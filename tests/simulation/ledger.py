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
from covey.engine.reconciler import LOST_COMMITS
from covey.engine.runner import Run
from covey.store.operations.transaction import micros
from covey.store.results import Claim, FinishReport, Stopped

from .broken import Broken
from .database import SimulatedDatabase
from .locks import Locks
from .loop import NOON, Loop
from .losses import Losses
from .script import LaneFacts, Submit
from .takenback import TakenBack
from .turns import Turns

Key = tuple[str, int, int]
"""Batch, seq, attempt."""

EPSILON = 1e-6
FULL_RECOUNT = 250
"""So many writes from one recount of all rows to the next."""

STOP_SECONDS = 0.5
SLACK_SECONDS = 0.06
GONE_SECONDS = 2.0
SILENT_SECONDS = 30.0
RETURN_SECONDS = 30.0
"""The figures of the promises, written down a second time."""

HEALTHY_SECONDS = 6.0
"""So long after its last trouble a process that runs is not to be given up."""

STORM = 400
"""More writes of one process in one second than any work that these histories hold can need."""


@dataclass(slots=True, eq=False)
class Start:
    """One start as the far side saw it. `lost`: the database fell back to before its claim, and knows nothing of it."""

    key: Key
    at: float
    worker: str
    until: float
    lost: bool = False
    outcome: Outcome | None = None

    @property
    def harmless(self) -> bool:
        """Whether the item may start again all the same."""
        return isinstance(self.outcome, Returned | Retry)


@dataclass(slots=True)
class Handed:
    """A run as it was handed out: when, its start time, and how long the answer took."""

    at: float
    start_at: float
    took: float = 0.0


@dataclass(slots=True)
class Known:
    """A batch as the ledger knows it."""

    facts: Submit
    paused: bool = False
    stopped_at: float | None = None
    active_at_stop: frozenset[tuple[int, int]] = frozenset()
    erased: bool = False
    starts: list[float] = field(default_factory=list)
    busy: set[Start] = field(default_factory=set)


@dataclass
class Health:
    """What is true of a worker's process, whatever the engine believes of it."""

    alive: Callable[[], bool]
    trouble: float = 0.0
    evicted: bool = False


class Ledger:
    """Keeps what happened, and raises `Broken` in the moment in which a promise is."""

    def __init__(self, loop: Loop, database: SimulatedDatabase, locks: Locks, lanes: Sequence[LaneFacts]) -> None:
        self._loop = loop
        self._database = database
        self.locks = locks
        self.lanes = {lane.name: lane for lane in lanes}
        self.batches: dict[str, Known] = {}
        self.hands: dict[tuple[str, int], tuple[int, str]] = {}
        self.handed: dict[Key, Handed] = {}
        self.unknown: dict[Key, str] = {}
        self.recorded: dict[Key, Outcome] = {}
        self.starts: dict[tuple[str, int], list[Start]] = defaultdict(list)
        self.lane_starts: dict[str, list[float]] = defaultdict(list)
        self.lane_busy: dict[str, set[Start]] = defaultdict(set)
        self.ref_busy: dict[tuple[str, str], set[Start]] = defaultdict(set)
        self.workers: dict[str, Health] = {}
        self.began = 0.0
        self.losses = Losses(self)
        self.taken_back = TakenBack(self)
        self.turns = Turns(database.connection.execute)
        self.trace: list[str] | None = None
        self.writes = 0
        self._second: dict[str, tuple[int, int]] = {}
        self._changes = 0

    @property
    def now(self) -> float:
        return self._loop.time()

    def at(self, when: float, look: Callable[..., None], *args: Any) -> None:
        """Look again at a later time."""
        self._loop.at(when, look, *args)

    def fail(self, broken: Broken) -> None:
        """End the history: a promise is broken."""
        self._loop.fail(broken)

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
        portion = claim.portion
        if portion is None:
            return
        known = self.batches[portion.batch]
        if self.workers[worker].evicted:
            raise Broken("who was given up claims nothing", worker=worker)
        if known.paused or known.stopped_at is not None or portion.lane != lane or len(portion.runs) > room:
            raise Broken("only open batches are claimed", batch=portion.batch, known=known)
        self.turns.claimed(portion, micros(portion.now), self.lanes[lane].cap)
        for run in portion.runs:
            item = (portion.batch, run.seq)
            earliest = self._database.clock.now()
            if item in self.hands:
                raise Broken("no item is in two hands", item=item, hands=self.hands[item], worker=worker)
            if not portion.now <= run.start_at <= earliest + START_HORIZON:
                raise Broken("a start lies in the next moments", start_at=run.start_at, now=earliest)
            self.hands[item] = (run.attempt, worker)
            start_at = (run.start_at - NOON).total_seconds()
            self.handed[portion.batch, run.seq, run.attempt] = Handed(self.now, start_at)

    def received(self, claim: Claim) -> None:
        """The answer to a claim came to who asked: no clock is read better than an answer takes."""
        portion = claim.portion
        for run in portion.runs if portion is not None else ():
            handed = self.handed[portion.batch, run.seq, run.attempt]  # type: ignore[union-attr]
            handed.took = self.now - handed.at

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
        before = self.hands
        self.hands = {
            (batch.hex(), seq): (attempt, worker)
            for batch, seq, attempt, worker in self.execute(
                "SELECT batch, seq, attempt, worker FROM live WHERE state = 1"
            )
        }
        runs = self._runs()
        self.recorded = {key: outcome for key, outcome in self.recorded.items() if _is_in(outcome, runs.get(key))}
        unknown = self.execute("SELECT batch, seq, attempt, worker FROM runs WHERE code = 'outcome_unknown'")
        self.unknown = {(batch.hex(), seq, attempt): worker for batch, seq, attempt, worker in unknown}
        facts = "SELECT id, paused_at IS NOT NULL, stopped_at IS NOT NULL FROM batches WHERE accepted_at IS NOT NULL"
        there = {id_.hex(): (paused, stopped) for id_, paused, stopped in self.execute(facts)}
        for batch, known in self.batches.items():
            paused, stopped = there.get(batch, (0, 0))
            known.paused = bool(paused)
            known.stopped_at = known.stopped_at if stopped else None
        dead = {worker for (worker,) in self.execute("SELECT id FROM workers WHERE dead_at IS NOT NULL")}
        for worker, health in self.workers.items():
            health.evicted = worker in dead
        self.taken_back.fell_back({batch for batch, facts in there.items() if facts == (0, 0)})
        self.losses.fell_back(before)

    def stopped(self, batch: str, answer: Stopped) -> None:
        """A stop was written: see that it says what is."""
        counts = answer.batch.counts
        if counts.waiting:
            raise Broken("a stop leaves nothing waiting", batch=batch, counts=counts)

    def paused(self, batch: str, reason: str | None, _: Any) -> None:
        """A pause, or a resume (None)."""
        known = self.batches[batch]
        known.paused = reason is not None
        if not known.paused and known.stopped_at is None:
            self.taken_back.resumed(batch)
        if reason == LOST_COMMITS:
            self.losses.paused.add(batch)

    def _see_stops(self) -> None:
        """Batches that are stopped since this write, by whoever: what was active then may go on, nothing else."""
        for id_, canceled in self.execute("SELECT batch, canceled FROM counts WHERE stopped = 1"):
            known = self.batches[id_.hex()]
            self.taken_back.counted(id_.hex(), canceled)
            if known.stopped_at is None:
                known.stopped_at = self.now
                known.active_at_stop = frozenset(
                    (seq, attempt) for (batch, seq), (attempt, _) in self.hands.items() if batch == id_.hex()
                )

    # Workers

    def enlisted(self, worker: str, _: Any) -> None:
        """A worker's life began."""

    def evicted(self, worker: str) -> None:
        """A worker was declared dead: it must have looked so for two seconds, and not be well."""
        health = self.workers[worker]
        health.evicted = True
        free_for = self.now - self.locks.free_since.get(worker, self.now)
        if free_for < GONE_SECONDS - 0.01:
            raise Broken("only who is gone for two seconds is given up", worker=worker, free_for=free_for)
        if self.locks.taken_at.get(worker, 0.0) < self.began > self.now - RETURN_SECONDS:
            raise Broken("after a restart everybody has 30 s to come back", worker=worker, began=self.began)
        if health.alive() and self.now - max(health.trouble, self.began) > HEALTHY_SECONDS:
            raise Broken("nobody who is well is given up", worker=worker)
        self._abandon(worker)

    def retired(self, worker: str, _: bool) -> None:
        """A worker ended its life with nothing in hand; what was claimed for it, and it never heard of, is settled."""
        self.workers[worker].evicted = True

    def ends_session(self, worker: str) -> None:
        """A session is ended because its owner stands still."""
        session = self.locks.held.get(worker)
        if session is not None and self.now - session.beat_at < SILENT_SECONDS:
            raise Broken("only who stands still for 30 s is cut off", worker=worker, silent=self.now - session.beat_at)

    def settled(self, worker: str, _: int) -> None:
        """Runs of a dead worker were settled."""
        if not self.workers[worker].evicted:
            raise Broken("only the dead are settled", worker=worker)
        rows = self._database.connection.execute(
            "SELECT batch, seq FROM live WHERE worker = ? AND state = 1", (worker,)
        )
        left = {(batch.hex(), seq) for batch, seq in rows}
        for item, (attempt, owner) in list(self.hands.items()):
            if owner == worker and item not in left:
                del self.hands[item]
                self._no_longer_active(*item, attempt)
                if not self.batches[item[0]].facts.repeatable:
                    self.unknown[item[0], item[1], attempt] = worker

    def _no_longer_active(self, batch: str, seq: int, attempt: int) -> None:
        """A batch's own cap is of what is active; a lane's counts the slots that are held as well."""
        known = self.batches[batch]
        known.busy = {start for start in known.busy if start.key != (batch, seq, attempt)}

    def _abandon(self, worker: str) -> None:
        """What harms nobody when it is repeated is not waited for any more."""
        for (batch, _), starts in self.starts.items():
            if self.batches[batch].facts.repeatable:
                for start in starts:
                    if start.worker == worker:
                        self.ended(start)

    def died(self, worker: str) -> None:
        """A worker's process died, and with it the runs that harm nobody."""
        self._abandon(worker)

    # The witness of starts

    def start(self, run: Run, worker: str, seconds: float) -> Start:
        """The far side is about to see a start that lasts for `seconds` at most."""
        start = Start((run.batch, run.seq, run.attempt), self.now, worker, self.now + seconds)
        known = self.batches[run.batch]
        if self.trace is not None:
            self.trace.append(f"{self.now:.6f} {worker} starts {start.key}")
        try:
            self._in_time(start, known)
            self._in_hand(start)
            if not start.lost:
                self._first_start(start, known)
                self._within_limits(run, start, known)
        except Broken as broken:
            self.fail(broken)  # or the engine would take it for the runner's own fault
            raise
        self.starts[start.key[:2]].append(start)
        self._loop.at(start.until, self.ended, start)
        return start

    def _in_time(self, start: Start, known: Known) -> None:
        handed, run = self.handed[start.key], start.key
        if known.stopped_at is not None:
            if run[1:] not in known.active_at_stop:
                raise Broken("nothing that a stop counted canceled starts", run=run, stopped_at=known.stopped_at)
            if self.now > known.stopped_at + STOP_SECONDS + 0.001:
                raise Broken("no start later than 500 ms after a stop", run=run, late=self.now - known.stopped_at)
        self.taken_back.judge(start)
        late = self.now - handed.at
        if late > STOP_SECONDS + 0.001:
            raise Broken("no start later than 500 ms after its claim", run=run, late=late)
        paced = known.facts.pace is not None or self.lanes[known.facts.lane].pace is not None
        late = self.now - handed.start_at - handed.took
        if paced and late > SLACK_SECONDS + 0.001:
            raise Broken("no paced start later than 60 ms", run=run, late=late)

    def _in_hand(self, start: Start) -> None:
        item, mine = start.key[:2], (start.key[2], start.worker)
        if self.hands.get(item) == mine:
            return
        if self.handed[start.key].at > self.losses.at:
            raise Broken("only what is in hand starts", run=start.key, mine=mine, hands=self.hands.get(item))
        self.losses.lose(start)

    def _first_start(self, start: Start, known: Known) -> None:
        key, all_earlier = start.key, self.starts.get(start.key[:2], [])
        earlier = [one for one in all_earlier if not one.lost]
        if any(one.key == key for one in earlier):
            raise Broken("one start for an attempt", run=key)
        if not known.facts.repeatable:
            for one in earlier:
                if not one.harmless:
                    raise Broken("what may have been reached is not started again", run=key, earlier=one)
            self.losses.started_again([one for one in all_earlier if one.lost])
        retried = sum(isinstance(self.recorded.get(one.key), Retry) for one in earlier)  # unwritten ones died unheard
        if retried >= known.facts.max_tries:
            raise Broken("no more tries than there are", run=key, tries=retried, most=known.facts.max_tries)

    def _within_limits(self, run: Run, start: Start, known: Known) -> None:
        lane, facts = self.lanes[run.lane], known.facts
        self._pace(self.lane_starts[run.lane], lane.pace, run.lane)
        self._pace(known.starts, facts.pace, run.batch)
        self._cap(self.lane_busy[run.lane], lane.cap, start, run.lane)
        self._cap(known.busy, facts.cap, start, run.batch)
        if facts.exclusive and run.ref is not None:
            self._cap(self.ref_busy[run.workspace, run.ref], 1, start, run.ref)

    def _pace(self, starts: list[float], pace: int | None, where: str) -> None:
        starts.append(self.now)
        if pace is not None and len(starts) > pace and self.now - starts[-1 - pace] < 1.0 - EPSILON:
            raise Broken("no second sees a start too many", where=where, pace=pace, starts=starts[-1 - pace :])

    def _cap(self, busy: set[Start], cap: int | None, start: Start, where: str) -> None:
        busy.add(start)
        if cap is not None and len(busy) > cap:
            keys = sorted(one.key for one in busy)
            raise Broken("never more at once than the limit", where=where, cap=cap, busy=keys)

    def ended(self, start: Start) -> None:
        """The far side is free of a run."""
        batch, seq, _ = start.key
        facts = self.batches[batch].facts
        self.lane_busy[facts.lane].discard(start)
        self.batches[batch].busy.discard(start)
        if facts.exclusive and (ref := facts.refs[seq % len(facts.refs)]) is not None:
            self.ref_busy[facts.workspace, ref].discard(start)

    def answered(self, start: Start, outcome: Outcome) -> None:
        """A runner said what came of a run that it started."""
        self.ended(start)
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
        self._nothing_lost()

    def _nothing_lost(self) -> None:
        runs = self._runs()
        there = {b.hex() for (b,) in self.execute("SELECT id FROM batches WHERE erased_at IS NULL")}
        for key, outcome in self.recorded.items():
            if key[0] in there and not _is_in(outcome, runs.get(key)):
                raise Broken("nothing acknowledged is lost", run=key, outcome=outcome, written=runs.get(key))
        for starts in self.starts.values():
            for start in starts:
                missing = not start.lost and start.key[0] in there and start.key not in runs
                if missing and not isinstance(start.outcome, Returned):
                    raise Broken("every start is written down", start=start)

    def _runs(self) -> dict[Key, tuple[str, str]]:
        query = """SELECT r.batch, seq, attempt, state, code FROM runs r JOIN batches b ON b.id = r.batch
            WHERE erased_at IS NULL"""
        return {(b.hex(), seq, attempt): (state, code) for b, seq, attempt, state, code in self.execute(query)}

    def execute(self, query: str) -> Any:
        """What the database says, past all processes."""
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
