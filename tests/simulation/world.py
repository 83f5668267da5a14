"""A whole simulated house: machines with the real engine on them, people, and the hand that makes things fail."""

import asyncio
import gc
import secrets
import sys
from collections.abc import AsyncIterator, Iterator, MutableMapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import cache, partial
from random import Random
from typing import Any
from unittest.mock import patch

import structlog

from covey.domain.batch import NewBatch, NewItem, Quota, StopReason
from covey.domain.errors import Conflict, CoveyError, NotFound, Unavailable
from covey.domain.lane import Lane
from covey.engine import sweeper
from covey.engine.orders import Orders
from covey.engine.rescuer import Rescuer
from covey.engine.submission import Submission
from covey.engine.sweeper import Sweeper
from covey.engine.wakeups import Wakeups
from covey.engine.worker import Worker
from covey.loop import Loop as EngineLoop
from covey.metrics import Metrics
from covey.store.operations import lanes as lane_operations
from covey.store.sqlite.transaction import SqliteTransaction, completed

from .broken import Broken
from .database import SimulatedDatabase
from .far_side import LONGEST, FarSide, OwnFault, SimulatedRunner
from .ledger import Health, Ledger
from .locks import Locks
from .loop import Loop, Process, ProcessClock
from .network import Link, Network
from .script import (
    Act,
    ClockSet,
    Crash,
    Drain,
    FailOver,
    Freeze,
    Order,
    Restart,
    Script,
    Sick,
    Submit,
    Weather,
)
from .store import SimulatedStore

FREE = Quota(unended_batches=1_000_000, waiting_items=1 << 40, allow_duplicate=True)

PATIENCE_SECONDS = 600.0
"""So long after the last fault every batch must have ended."""

HOLD = timedelta(seconds=LONGEST + 3)
"""How long the slots of settled runs stay taken: the longest run, and as much as two clocks may differ."""

LOOK_SECONDS = 0.3
"""How often it is looked whether all has ended."""

BACK_SECONDS = 0.5
"""How soon a process that had to end is started again."""


@cache
def metrics() -> Metrics:
    return Metrics()


@dataclass
class Life:
    """One life of a node's process."""

    process: Process
    link: Link
    store: SimulatedStore
    worker: Worker
    submission: Submission
    orders: Orders
    loops: list[EngineLoop]
    clock: ProcessClock
    wakeups: Wakeups
    ending: bool = False


class Node:
    """A machine that runs one process, life after life."""

    def __init__(self, world: "World", number: int) -> None:
        self.world = world
        self.number = number
        self.lives = 0
        self.ahead = world.dice.uniform(-1, 1)
        self.origin = 1000.0 * number
        self.drift = world.dice.uniform(-5e-5, 5e-5)
        self.life = self.begin()

    def begin(self) -> Life:
        """A new process."""
        world = self.world
        self.lives += 1
        name = f"node-{self.number}.{self.lives}"
        process = world.loop.process(name)
        clock = ProcessClock(world.loop, self.ahead, self.origin, self.drift)
        link = Link(world.network, process, Random(world.script.seed * 1000 + self.number * 100 + self.lives))
        store = SimulatedStore(world.database, link, world.locks, clock, world.ledger, name)
        life: Life = process.context.run(self._assemble, process, link, store, clock)
        world.ledger.workers[life.worker.id] = Health(lambda: process.running, world.loop.time())
        self.life = life
        world.loop.spawn(process, self._live(life))
        return life

    def _assemble(self, process: Process, link: Link, store: SimulatedStore, clock: ProcessClock) -> Life:
        world, wakeups = self.world, Wakeups()
        runner = SimulatedRunner(world.far_side, world.ledger, clock, lambda: worker.id)
        runners = {lane.name: runner for lane in world.script.lanes}
        worker = Worker(store, clock, wakeups, runners, world.script.room, metrics())
        loops: list[EngineLoop] = [Rescuer(worker, dict.fromkeys(runners, HOLD))]
        if self.number == 0:
            loops.append(Sweeper(store, clock, wakeups, worker.id, list(runners), _no_files))
        submission, orders = Submission(store, wakeups, worker.id), Orders(store, wakeups, worker.withdrawals)
        return Life(process, link, store, worker, submission, orders, loops, clock, wakeups)

    def hear(self, hint: str, late: float) -> None:
        """A hint comes by the worker's lock session, if there is one and the network lets it pass."""
        life, loop = self.life, self.world.loop
        if not life.link.cut and life.worker.id in self.world.locks.held:
            loop.at(loop.time() + late, life.process.context.run, loop.call_soon, life.wakeups.heard, hint)

    async def _live(self, life: Life) -> None:
        try:
            await life.worker.enlist(dict.fromkeys(life.worker.dispatchers, HOLD))
        except Unavailable:
            self._end(life, BACK_SECONDS)
            return
        assert life.store.hold is not None
        beating = asyncio.create_task(life.store.hold.beating(life.wakeups.heard))
        life.worker.start()
        for loop in life.loops:
            loop.start()
        await life.worker.evicted.wait()
        await self.drain(life, BACK_SECONDS)
        beating.cancel()

    async def drain(self, life: Life, back_in: float) -> None:
        """End as on SIGTERM."""
        if life.ending:
            return
        life.ending = True
        await life.worker.drain(LONGEST, asyncio.Event())
        for loop in life.loops:
            await loop.stop()
        with suppress(Unavailable):
            await life.worker.stop()
        self._end(life, back_in)

    def _end(self, life: Life, back_in: float) -> None:
        """The process ends; another one begins later."""
        loop = self.world.loop
        loop.at(loop.time(), self.crash, life, back_in, False)

    def crash(self, life: Life, back_in: float, silently: bool) -> None:
        """The process dies; another one begins later."""
        if life.process.dead:
            return
        loop = self.world.loop
        loop.kill(life.process)
        self.world.ledger.died(life.worker.id)
        if not silently:
            self.world.locks.end(life.worker.id)
        loop.at(loop.time() + back_in, self._again)

    def _again(self) -> None:
        if self.life.process.dead:
            self.begin()

    def trouble(self, until: float) -> None:
        """This node's process is not well until then."""
        health = self.world.ledger.workers[self.life.worker.id]
        health.trouble = max(health.trouble, until)


class World:
    """One history as it happens."""

    def __init__(self, script: Script, *, trace: bool = False) -> None:
        self.script = script
        self.dice = Random(script.seed + 1)
        self.loop = Loop(Random(script.seed + 2))  # type: ignore[abstract]  # no files, no sockets
        self.database = SimulatedDatabase(self.loop, Random(script.seed + 3))
        self.database.notify = self._notify
        self.network = Network(self.loop, self.database)
        self.locks = Locks(self.loop)
        self.ledger = Ledger(self.loop, self.database, self.locks, script.lanes)
        self.ledger.trace = [] if trace else None
        self.far_side = FarSide(script.seed)
        self.nodes: list[Node] = []
        self.names: dict[int, str] = {}
        self.workspaces: dict[str, str] = {}
        self._hint_dice = Random(script.seed + 5)

    def _notify(self, hint: str) -> None:
        """Every process hears it, some milliseconds later."""
        for node in self.nodes:
            node.hear(hint, 0.0002 + 0.002 * self._hint_dice.random() + node.life.link.slow)

    def run(self) -> None:
        """Let it happen. Raises `Broken` when a promise was broken."""
        with _seeded(self.script.seed), _listening(self.loop):
            try:
                self._happen()
            finally:
                self.loop.end()

    def _happen(self) -> None:
        loop, script = self.loop, self.script
        self._make_lanes()
        self.nodes = [Node(self, number) for number in range(script.nodes)]
        for act in script.acts:
            if isinstance(act, FailOver):
                loop.at(act.at - act.lost, self.database.keep)
            loop.at(act.at, self._do, act)
        loop.at(script.calm_at, self._calm)
        loop.at(script.calm_at + LOOK_SECONDS, self._look_for_the_end)
        loop.run_until(script.calm_at + PATIENCE_SECONDS)
        if not self._all_ended():
            raise Broken("in the end every batch ends", left=self._left())
        self.ledger.close()

    def _look_for_the_end(self) -> None:
        if self._all_ended() and self._nothing_held():
            self.loop.stop()
        else:
            self.loop.at(self.loop.time() + LOOK_SECONDS, self._look_for_the_end)

    def _left(self) -> list[Any]:
        query = "SELECT hex(batch), stopped, total, cursor, deferred, active, next_at FROM counts WHERE batch = ?"
        execute = self.database.connection.execute
        return [execute(query, (bytes.fromhex(batch),)).fetchall() for batch in self.ledger.unended()]

    def _all_ended(self) -> bool:
        return self._every_submit_is_known() and not self.ledger.unended()

    def _every_submit_is_known(self) -> bool:
        return self.names.keys() >= {act.number for act in self.script.acts if isinstance(act, Submit)}

    def _nothing_held(self) -> bool:
        held = self.database.connection.execute(
            "SELECT (SELECT count(*) FROM held) + (SELECT count(*) FROM live WHERE state = 1)"
            " + (SELECT count(*) FROM batches WHERE leftovers = 1)"
        )
        return held.fetchone() == (0,)

    def _make_lanes(self) -> None:
        transaction = SqliteTransaction(self.database.database, self.database.clock)
        for lane in self.script.lanes:
            completed(lane_operations.put_lane(transaction, Lane(lane.name, lane.cap, lane.pace)))

    # What happens

    def _do(self, act: Act) -> None:
        if self.ledger.trace is not None:
            self.ledger.trace.append(f"{self.loop.time():.6f} {act}")
        match act:
            case Submit():
                self._submit(act)
            case Order():
                self._person(self._order(act))
            case Restart(_, seconds):
                self._restart(seconds)
            case FailOver(_, seconds, _):
                self._restart(seconds)
                if self.database.fall_back():
                    self.ledger.fell_back()
            case Sick(_, lane, seconds):
                self.far_side.sick.add(lane)
                self.loop.at(self.loop.time() + seconds, self.far_side.sick.discard, lane)
            case _:
                self._node_act(act)

    def _node_act(self, act: Crash | Freeze | Drain | Weather | ClockSet) -> None:
        node = self.nodes[act.node % len(self.nodes)]
        life, loop = node.life, self.loop
        match act:
            case Crash(_, _, back_in, silently):
                node.crash(life, back_in, silently)
            case Freeze(_, _, seconds):
                if not life.process.frozen:
                    loop.freeze(life.process)
                    loop.at(loop.time() + seconds, loop.thaw, life.process)
                    node.trouble(loop.time() + seconds)
            case Drain(_, _, back_in):
                if not life.process.dead:
                    loop.spawn(life.process, node.drain(life, back_in))
            case Weather(_, _, seconds, questions, answers, slow, stumbles, cut):
                link = life.link
                link.lose_questions, link.lose_answers, link.slow, link.cut = questions, answers, slow, cut
                link.stumbles = stumbles
                loop.at(loop.time() + seconds, _fair, link)
                node.trouble(loop.time() + seconds)
            case ClockSet(_, _, ahead):
                life.clock.ahead = node.ahead = ahead

    def _restart(self, seconds: float) -> None:
        now = self.loop.time()
        self.database.stop()
        self.locks.end_all()
        self.network.reset()
        self.ledger.began = max(self.ledger.began, now + seconds)
        self.loop.at(self.ledger.began, self._back)

    def _back(self) -> None:
        if self.loop.time() >= self.ledger.began:
            self.database.start()

    def _calm(self) -> None:
        """Nothing goes wrong any more; who paused a batch lets it go on."""
        self.far_side.calm = True
        self.far_side.sick.clear()
        self._resume()

    def _resume(self) -> None:
        paused = self.database.connection.execute(
            "SELECT id FROM batches WHERE paused_at IS NOT NULL AND stopped_at IS NULL AND completed_at IS NULL"
        )
        for (id_,) in list[Any](paused):
            self._person(self._resume_one(id_.hex()))
        self.loop.at(self.loop.time() + 5, self._resume)

    async def _resume_one(self, batch: str) -> None:
        await self._ask("resume", batch)

    # People: each asks some process, and another when it does not answer

    def _person(self, work: Any) -> None:
        process = self.loop.process("a person")
        self.loop.spawn(process, work)

    def _submit(self, act: Submit) -> None:
        self._person(self._submitting(act))

    async def _submitting(self, act: Submit) -> None:
        """Submit it, and again when it did not come to be."""
        tries = 0
        while True:
            life = self._some_life()
            if life is not None:
                id_ = f"{0x69A58000 + int(self.loop.time()):08x}{act.number:06x}{tries:04x}000000"
                tries += 1
                self.ledger.submitted(id_, act)
                task = self.loop.spawn(life.process, self._submit_once(act, id_, life))
                while not task.done() and not life.process.dead:
                    await asyncio.sleep(0.2)
                if task.done() and task.exception() is None and task.result():
                    break
                if self._came_to_be(id_):
                    break
            await asyncio.sleep(0.3)
        self.names[act.number] = id_
        self.workspaces[id_] = act.workspace

    def _came_to_be(self, batch: str) -> bool:
        query = "SELECT 1 FROM batches WHERE id = ? AND accepted_at IS NOT NULL"
        return self.database.connection.execute(query, (bytes.fromhex(batch),)).fetchone() is not None

    async def _submit_once(self, act: Submit, id_: str, life: Life) -> bool:
        now = self.database.clock.now()
        new = NewBatch(
            id_,
            act.workspace,
            "simulated",
            act.lane,
            b"{}",
            now,
            start_at=None if act.start_in is None else now + timedelta(seconds=act.start_in),
            expires_at=None if act.expires_in is None else now + timedelta(seconds=act.expires_in),
            max_tries=act.max_tries,
            repeatable=act.repeatable,
            exclusive=act.exclusive,
            cap=act.cap,
            pace=act.pace,
        )
        try:
            await life.submission.submit(new, _pieces(act), FREE)
        except (Unavailable, NotFound, Conflict):
            return False
        return True

    def _some_life(self) -> Life | None:
        lives = [node.life for node in self.nodes if node.life.process.running and not node.life.ending]
        return lives[int(self.dice.random() * len(lives))] if lives else None

    async def _order(self, act: Order) -> None:
        batch = self.names.get(act.number)
        if batch is not None:
            await self._ask(act.what, batch, act.seq)

    async def _obey(self, life: Life, what: str, batch: str, seq: int) -> bool:
        """Do what a person asked; whether it was answered."""
        store, orders = life.store, life.orders
        answered = partial(self.ledger.taken_back.order_answered, life.worker.id, batch)
        try:
            match what:
                case "stop" | "abort":
                    await orders.stop(self.workspaces[batch], batch, StopReason.cancel, abort=what == "abort")
                    answered(None)
                case "pause":
                    await orders.pause(self.workspaces[batch], batch, "asked")
                    answered(None)
                case "resume":
                    await store.resume(self.workspaces[batch], batch)
                case "drop":
                    if await orders.drop(self.workspaces[batch], batch, seq):
                        answered(seq)
                case "erase":
                    await store.erase_batch(self.workspaces[batch], batch)
        except Unavailable:
            return False
        except CoveyError:
            pass
        return True

    async def _ask(self, what: str, batch: str, seq: int = 0) -> None:
        for _ in range(20):
            life = self._some_life()
            if life is not None:
                task = self.loop.spawn(life.process, self._obey(life, what, batch, seq))
                while not task.done() and not life.process.dead:
                    await asyncio.sleep(0.1)
                if task.done() and task.result():
                    return
            await asyncio.sleep(0.5)


async def _pieces(act: Submit) -> AsyncIterator[Sequence[NewItem]]:
    items = [NewItem(b"{}", ref=act.refs[seq % len(act.refs)]) for seq in range(act.items)]
    for first in range(0, len(items), 100):
        yield items[first : first + 100]


def _fair(link: Link) -> None:
    link.lose_questions = link.lose_answers = link.slow = link.stumbles = 0.0
    link.cut = False


async def _no_files(batch: str) -> None:
    """No files."""


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """All chance is the seed's; the collector of garbage waits. Sweeping little at a time costs less of it."""
    dice = Random(seed + 4)
    gc.disable()
    try:
        with (
            patch.object(secrets, "token_hex", lambda length=16: dice.randbytes(length).hex()),
            patch.object(sweeper, "PIECES", 2),
        ):
            yield
    finally:
        gc.enable()


@contextmanager
def _listening(loop: Loop) -> Iterator[None]:
    """What the engine logs as a fault of its own breaks the simulation."""

    def hear(_: Any, __: str, event: MutableMapping[str, Any]) -> Any:
        error = sys.exc_info()[1]
        if event.get("exc_info") and error is not None and not isinstance(error, Unavailable | OwnFault | Broken):
            loop.fail(Broken("the engine has no faults", event=event["event"], error=repr(error)))
        raise structlog.DropEvent

    before = structlog.get_config()
    structlog.configure(
        processors=[hear], wrapper_class=structlog.make_filtering_bound_logger(40), cache_logger_on_first_use=False
    )
    try:
        yield
    finally:
        structlog.configure(**before)
