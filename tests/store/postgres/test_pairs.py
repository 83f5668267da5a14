"""Every pair of operations at once on the same rows, on a real PostgreSQL: one stands still in its transaction with all
its locks, the other is started. Whether it waits or passes is written down here; what both come to is what they come
to one after the other."""

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import product

import psycopg
import pytest
import pytest_asyncio

from covey.domain.batch import NewItem, StopReason
from covey.domain.errors import Conflict, NotFound
from covey.domain.lane import Lane
from covey.domain.run import Failed, Finished, Outcome, Retry, Succeeded
from covey.store.postgres import store as postgres

from ...conformance.conftest import WORKER, Scene
from ...conformance.databases import DATABASES, template
from ...patience import patience
from ...postgres_server import session_server
from .pairs import DOOMED, Clock, Gate, Held, Pair, make_moments

pytestmark = pytest.mark.asyncio(loop_scope="module")


BEHIND_THE_GATE = 2
"""The step of a claim before which it has passed its lane's gate and locked nothing else."""

ON_A_BATCH = ("claim", "finish", "stop", "pause", "settle", "truth")
OVER = ("erase", "truth", "stop", "finish")

WAITS = [
    # The batch is locked by both.
    *(("busy", *pair) for pair in product(ON_A_BATCH, repeat=2)),
    *(("busy", *pair) for pair in (("settle", "finish of the doomed"), ("finish of the doomed", "settle"))),
    *(("late", "expire", other) for other in (*ON_A_BATCH, "expire")),
    *(("late", other, "expire") for other in ON_A_BATCH),
    *(("ending", "finish", other) for other in ("finish", "stop", "pause", "erase")),
    ("ending", "stop", "finish"),
    *(("ended", *pair) for pair in product(OVER, repeat=2)),
    *(("ended", first, "pause") for first in OVER),
    *(("erased", *pair) for pair in product(("sweep",), ("truth", "finish", "stop", "pause", "erase"))),
    ("erased", "truth", "sweep"),
    *(("emptied", *pair) for pair in product(("sweep",), ("truth", "finish", "stop", "pause", "erase", "both truths"))),
    *(("emptied", first, "sweep") for first in ("truth", "finish", "both truths")),
    *(("stopped", "sweep leftovers", other) for other in ON_A_BATCH if other not in ("pause", "claim")),
    *(("stopped", other, "sweep leftovers") for other in ON_A_BATCH if other not in ("pause", "claim")),
    # The lane, with its breaker.
    *(("shared", *pair) for pair in (("fail", "fail elsewhere"), ("fail elsewhere", "fail"))),
    *(("shared", *pair) for pair in product(("claim", "fail"), ("open the lane's breaker",))),
    *(("shared", "open the lane's breaker", other) for other in ("claim", "fail")),
    # The row of the run.
    ("busy", "advance", "finish"),
    # A share of the lane.
    *(("busy", "accept", other) for other in ("finish", "truth")),
    *(("busy", other, "accept") for other in ("claim", "finish", "truth")),
    # A draft, or the workspace that it is accepted in.
    *(("busy", "append", other) for other in ("append more", "accept what was appended", "discard")),
    *(("busy", "accept", other) for other in ("append", "accept", "accept the twin", "discard")),
    *(("busy", "discard", other) for other in ("append", "accept", "discard")),
    *(("orphaned", "sweep drafts", other) for other in ("append", "accept", "discard", "sweep drafts")),
    *(("orphaned", other, "sweep drafts") for other in ("append", "accept", "discard")),
    # The worker that is given up.
    ("busy", "declare", "claim of the doomed"),
    ("busy", "claim of the doomed", "declare"),
    ("busy", "declare", "declare"),
]
PASSES = [
    # Whether the worker is alive changes nothing in what it has in its hands.
    *(("busy", "declare", other) for other in ("finish of the doomed", "settle", "truth")),
    *(("busy", other, "declare") for other in ("finish of the doomed", "settle", "truth")),
    # A draft is no batch of the lane yet, and what is settled keeps its slot.
    *(("busy", *pair) for pair in product(("accept", "append"), ("stop", "pause", "settle"))),
    *(("busy", *pair) for pair in product(("stop", "pause", "settle"), ("accept", "append"))),
    *(("late", *pair) for pair in (("expire", "accept"), ("accept", "expire"))),
    # How far a run is waits for nobody: it is said again in a moment.
    *(("busy", first, "advance") for first in ("finish", "claim", "pause", "advance")),
    # One sweeps at a time, and the other leaves it to that one.
    ("emptied", "sweep", "sweep"),
    ("stopped", "sweep leftovers", "sweep leftovers"),
]
CHOSE_BEFORE = ("busy", "accept", "claim")
"""The claim waits for the share of the lane, after it chose among the batches that there were."""


@pytest.fixture(autouse=True)
def nothing_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A deadlock is an error here."""
    monkeypatch.setattr(postgres, "ATTEMPTS", 1)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair() -> AsyncIterator[Pair]:
    server, clock = session_server(), Clock()
    url = server.create_database("pairs", await template())
    async with contextlib.AsyncExitStack() as open_:
        stores = [Held(url, clock, free_seconds=0) for _ in range(2)]
        for store, me in zip(stores, ("me", "you"), strict=True):
            await store.open()
            open_.push_async_callback(store.close)
            await store.enlist(me)
        behind = await open_.enter_async_context(await psycopg.AsyncConnection.connect(url, autocommit=True))
        made = Pair(stores[0], stores[1], behind, clock)
        await made.add_worker(WORKER, alive=True)
        await made.add_worker(DOOMED, alive=False)
        await make_moments(made)
        yield made
    server.drop("pairs")


@pytest.mark.parametrize(("moment", "first", "second"), WAITS)
async def test_who_comes_second_waits_and_sees_what_the_first_did(
    pair: Pair, moment: str, first: str, second: str
) -> None:
    expected = await pair.one_after_the_other(moment, first, second)
    await pair.begin(moment, first, second)
    results, how = await pair.at_once(first, second, Gate())
    assert how == "waits"
    assert (results, await pair.look()) == expected
    assert await pair.wrong() == {}


@pytest.mark.parametrize(("moment", "first", "second"), [*PASSES, CHOSE_BEFORE])
async def test_who_needs_not_wait_passes(pair: Pair, moment: str, first: str, second: str) -> None:
    either = await pair.either_order(moment, first, second)
    await pair.begin(moment, first, second)
    results, how = await pair.at_once(first, second, Gate())
    assert how == ("waits" if (moment, first, second) == CHOSE_BEFORE else "passes")
    assert (results, await pair.look()) in either
    assert await pair.wrong() == {}


ANYWHERE = [
    # Batches in the order of their ids or of their deletion.
    ("emptied", "both truths", "sweep"),
    ("emptied", "sweep", "both truths"),
    # A lane, and the facts of a batch that ends.
    ("ending", "finish", "sweep leftovers"),
    ("ending", "sweep leftovers", "finish"),
    ("orphaned", "sweep drafts", "accept"),
    ("busy", "claim", "stop"),
    ("shared", "fail", "open the lane's breaker"),
]
"""Pairs of which the first may stand still anywhere, in the default run; `make test-slow` has all the others."""

ONE_AFTER_THE_OTHER = {("busy", "append", "accept what was appended"), ("busy", "accept", "append")}
"""Whoever fills a draft accepts it when all is in."""
EVERYWHERE = sorted({*WAITS, *PASSES} - {*ANYWHERE} - ONE_AFTER_THE_OTHER)


@pytest.mark.parametrize(
    ("moment", "first", "second"),
    [*ANYWHERE, *(pytest.param(*one, marks=pytest.mark.slow) for one in EVERYWHERE)],
)
async def test_wherever_the_first_stands_still(pair: Pair, moment: str, first: str, second: str) -> None:
    either = await pair.either_order(moment, first, second)
    gate, at = Gate(0), 0
    while not gate.at_its_end:
        await pair.begin(moment, first, second)
        results, _ = await pair.at_once(first, second, gate := Gate(at))
        assert (results, await pair.look()) in either, f"it stood still before step {at}"
        assert await pair.wrong() == {}
        at += 1


class Storm:
    """Somebody who does one thing after another by chance, in one of the two processes, on one small lane."""

    def __init__(self, pair: Pair, seed: int) -> None:
        self.store = (pair.one, pair.other)[seed % 2]
        self.scene = Scene(self.store, pair.clock, DATABASES["postgres"])
        self.chance = random.Random(seed)
        self.worker = f"worker of the storm {seed}"
        self.done: Counter[str] = Counter()

    async def rage(self, steps: int) -> None:
        """Do so many things. What is refused is refused."""
        things = (self.submit, self.take, self.take, self.finish, self.finish, self.control, self.settle, self.sweep)
        for _ in range(steps):
            thing = self.chance.choice(things)
            with contextlib.suppress(Conflict, NotFound):
                await thing()
                self.done[thing.__name__] += 1

    async def _batch(self) -> str:
        batches, _ = await self.store.batches("w", limit=6)
        return self.chance.choice(batches).id

    async def submit(self) -> None:
        over = self.chance.choice([None, self.scene.after(1)])
        people = [NewItem(b"{}", ref=f"person {self.chance.randrange(40)}") for _ in range(self.chance.randint(1, 12))]
        await self.scene.submit(people, max_tries=2, exclusive=self.chance.random() < 0.5, expires_at=over)

    async def take(self) -> None:
        await self.store.claim(self.worker, "lane", self.chance.randint(1, 4))

    async def finish(self) -> None:
        hands = [*await self.store.in_hand(self.worker), (await self._batch(), 0, 1)]
        chosen, now = self.chance.sample(hands, self.chance.randint(1, len(hands))), self.scene.now
        possible: list[Outcome] = [Succeeded("done"), Failed("no", ""), Retry(now, Failed("busy", ""))]
        outcome = self.chance.choice(possible)
        await self.store.finish(self.worker, [Finished(*one, outcome, now, now) for one in chosen])

    async def control(self) -> None:
        batch = await self._batch()
        what = self.chance.choice(["stop", "pause", "resume", "resume", "erase_batch"])
        more = {"stop": (StopReason.cancel,), "pause": ("p",)}.get(what, ())
        await getattr(self.store, what)("w", batch, *more)

    async def settle(self) -> None:
        """The worker's runs are given up, and a part of them it finishes after all."""
        hands, now = await self.store.in_hand(self.worker), self.scene.now
        await self.store.settle(self.worker, {"lane": timedelta(seconds=1)})
        await self.store.finish(self.worker, [Finished(*one, Succeeded("done"), now, now) for one in hands[::2]])

    async def sweep(self) -> None:
        self.scene.clock.advance(0.5)
        await self.store.expire()
        await self.store.sweep_leftovers(5)
        await self.store.sweep_erased(5)


async def test_a_stop_waits_for_one_claim_and_not_for_all_that_queue(pair: Pair) -> None:
    await pair.begin("busy")
    pair.one.gate = gate = Gate()
    first = asyncio.ensure_future(pair.one.claim(WORKER, "lane", 1))
    await gate.there.wait()
    pair.other.gate = behind = Gate(BEHIND_THE_GATE)
    queue = []
    for n in range(3):
        queue.append(asyncio.ensure_future(pair.other.claim(WORKER, "lane", 1)))
        await pair.so_many_wait(n + 1)
    stop = asyncio.ensure_future(pair.other.stop("w", pair.names.batch, StopReason.cancel))
    await pair.so_many_wait(4)
    gate.go.set()
    assert (await first).portion is not None
    await behind.there.wait()
    async with patience():
        assert (await stop).first
    behind.go.set()
    assert [(await one).portion for one in queue] == [None] * 3
    assert await pair.wrong() == {}


async def test_a_storm_leaves_every_count_right(pair: Pair) -> None:
    await pair.begin("busy")
    await pair.one.put_lane(Lane("lane", 7))
    storms = [Storm(pair, seed) for seed in range(6)]
    for storm in storms:
        await pair.add_worker(storm.worker, alive=True)
    await asyncio.gather(*(storm.rage(40) for storm in storms))
    done = sum((storm.done for storm in storms), Counter[str]())
    assert min(done[thing] for thing in ("submit", "take", "finish", "control", "settle", "sweep")) > 10, done
    assert await pair.wrong() == {}
    assert await pair.deadlocks() == 0


async def test_whose_row_can_be_seen_holds_its_lock(pair: Pair) -> None:
    async with pair.next_life_waits():
        enlisted = asyncio.ensure_future(pair.one.enlist("newcomer"))
        await pair.somebody_waits()
        assert "newcomer" not in [worker.id for worker in await pair.other.workers()]
    await enlisted
    assert ("newcomer", True) in [(worker.id, worker.alive) for worker in await pair.other.workers()]
    await pair.one.retire("newcomer")
