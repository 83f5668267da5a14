"""Clients of a cluster: they submit, look, cancel, pause, resume and delete, and ask again until they are answered."""

import asyncio
import contextlib
import random
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

from benchmarks.serving import demo_numbers

from covey.client import CoveyClient, StartOptions
from covey.client.errors import Conflict, NotFound, ServerError, Unreachable
from covey.client.models import Batch, CancelDetails, Progress

from .cluster import Cluster
from .ledger import Ledger
from .witness import Witness

T = TypeVar("T")

AGENT = {"name": "chaos", "ttsModel": {"provider": "espeak"}, "llmModel": "none", "greeting": "Hello."}
MOST_OPEN = 14
ROWS = (20, 200)
AGAIN_SECONDS = 0.2
PATIENCE_SECONDS = 8.0
"""How long a client waits for an answer: a frozen process never gives one."""

NUMBERS = demo_numbers(79_000)


class Clients:
    """Several people's worth of requests to all API processes."""

    def __init__(self, cluster: Cluster, ledger: Ledger, witness: Witness, seed: int) -> None:
        self._ledger = ledger
        self._witness = witness
        self._chance = random.Random(seed)
        self._names = {CoveyClient(cluster.profile(member), attempts=1): member.name for member in cluster.of("serve")}
        self._clients = list(self._names)
        self._agent = ""
        self._next_number = 0
        self._open: list[str] = []
        self._paused: set[str] = set()
        self._ended: list[str] = []
        self._loops: list[asyncio.Task[None]] = []

    async def ask(self, what: str, request: Callable[[CoveyClient], Awaitable[T]]) -> T:
        """Ask one after the other until one answers."""
        turn = self._chance.randrange(len(self._clients))
        while True:
            try:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    answer = await request(self._clients[turn % len(self._clients)])
            except (TimeoutError, Unreachable, ServerError, Conflict) as error:
                if isinstance(error, Conflict) and error.code != "still_running":
                    raise
                if isinstance(error, ServerError) and error.status != 503:
                    self._ledger.wrong.append(f"{what} was answered {error.status}: {error.message} {error.request_id}")
                self._ledger.again += 1
                await asyncio.sleep(AGAIN_SECONDS)
                turn += 1
                continue
            self._ledger.count(what)
            return answer

    def work(self, count: int) -> None:
        """Begin to ask for this and that, as so many people."""
        self._loops = [asyncio.create_task(self.loop(), name=f"client {n}") for n in range(count)]

    async def rest(self) -> None:
        """Ask for nothing more. Raises what a client ran into that is no answer."""
        loops, self._loops = self._loops, []
        failed = [loop for loop in loops if loop.done()]
        for loop in loops:
            loop.cancel()
        await asyncio.gather(*loops, return_exceptions=True)
        for loop in failed:
            loop.result()

    async def prepare(self) -> None:
        """Make the agent."""
        self._agent = (await self.ask("agent", lambda covey: covey.agents.create(AGENT))).id

    async def close(self) -> None:
        for client in self._clients:
            await client.close()

    async def loop(self) -> None:
        """One thing after the other, until cancelled."""
        actions = (self._submit, self._look, self._cancel, self._pause, self._resume, self._delete)
        while True:
            await self._chance.choices(actions, (6, 8, 3, 2, 3, 1))[0]()
            await asyncio.sleep(self._chance.uniform(0.0, 0.3))

    def _csv(self, rows: int) -> bytes:
        first = self._next_number
        self._next_number = (first + rows) % (len(NUMBERS) - ROWS[1])
        return "\n".join(["phone_number", *NUMBERS[first : first + rows], ""]).encode()

    async def _submit(self) -> None:
        if len(self._open) + len(self._ledger.unanswered) < MOST_OPEN:
            await self.submit(self._csv(self._chance.randint(*ROWS)))

    async def submit_rows(self, rows: int) -> str:
        """Start a batch of so many; its id."""
        return await self.submit(self._csv(rows))

    async def submit(self, people: bytes, key: str | None = None) -> str:
        """Start a batch, asking again with the same key until that is answered; its id."""
        key = key or str(uuid.uuid4())
        self._ledger.unanswered[key] = people
        options = StartOptions(allow_duplicate=True)
        started = await self.ask(
            "submit",
            lambda covey: covey.batches.start(people, self._agent, options, idempotency_key=key),
        )
        batch = plain(started.batch_id)
        self._ledger.accepted[key] = (batch, started.total_calls)
        self._ledger.unanswered.pop(key, None)
        self._open.append(batch)
        return batch

    def _some_open(self) -> str | None:
        return self._chance.choice(self._open) if self._open else None

    async def _look(self) -> None:
        if batch := self._some_open():
            await self.look(batch)

    async def look(self, batch: str) -> Batch:
        """Look, and see whether the numbers add up."""
        seen = await self.ask("look", lambda covey: covey.batches.get(wire(batch)))
        self._check(seen.progress)
        if seen.is_complete and batch in self._open:
            self._open.remove(batch)
            self._ended.append(batch)
        return seen

    def _check(self, seen: Progress) -> None:
        parts = (seen.waiting, seen.active, seen.completed, seen.failed, seen.cancelled)
        if sum(parts) != seen.total:
            self._ledger.wrong.append(f"{parts} do not add up to {seen.total}")

    async def _cancel(self) -> None:
        if len(self._open) > MOST_OPEN // 2 and (batch := self._some_open()):
            await self.cancel(batch)

    async def cancel(self, batch: str) -> None:
        """Cancel; that it has ended meanwhile is an answer too."""

        async def cancel(covey: CoveyClient) -> tuple[CancelDetails, str]:
            return (await covey.batches.cancel(wire(batch))).details, self._names[covey]

        with contextlib.suppress(Conflict):
            answer, by = await self.ask("cancel", cancel)
            self._ledger.stopped(batch, by, answer.active_calls, answer.cancelled_calls)

    async def _pause(self) -> None:
        if len(self._paused) < 3 and (batch := self._some_open()):
            with contextlib.suppress(Conflict):
                await self.ask("pause", lambda covey: covey.batches.pause(wire(batch)))
                self._paused.add(batch)

    async def _resume(self) -> None:
        if self._paused:
            await self.resume(self._paused.pop())

    async def resume(self, batch: str) -> None:
        """Let a batch go on. One that was stopped, ended and deleted meanwhile may be gone."""
        with contextlib.suppress(Conflict):
            try:
                await self.ask("resume", lambda covey: covey.batches.resume(wire(batch)))
            except NotFound:
                if batch not in self._ledger.erasing:
                    raise

    async def _delete(self) -> None:
        if not self._ended:
            return
        batch = self._ended.pop(self._chance.randrange(len(self._ended)))
        await self._witness.keep(batch)
        self._ledger.erasing.add(batch)
        self._paused.discard(batch)
        with contextlib.suppress(NotFound):
            await self.ask("delete", lambda covey: covey.batches.erase(wire(batch)))

    async def settle(self, seconds: float) -> None:
        """Once nothing is broken any more: have every start answered, every batch go on, and end."""
        for key, people in list(self._ledger.unanswered.items()):
            await self.submit(people, key)
        for batch in list(self._paused):
            await self.resume(batch)
        end = asyncio.get_running_loop().time() + seconds
        canceled = False
        while self._open:
            for batch in list(self._open):
                await self.look(batch)
            if asyncio.get_running_loop().time() > end:
                if canceled:
                    self._ledger.wrong.append(f"batches that do not end: {self._open}")
                    return
                for batch in list(self._open):
                    await self.cancel(batch)
                canceled, end = True, end + 150
            await asyncio.sleep(0.3)


def plain(batch: str) -> str:
    """A batch's id in the database's words."""
    return batch.removeprefix("batch_")


def wire(batch: str) -> str:
    """A batch's id on the wire."""
    return f"batch_{batch}"


@contextlib.asynccontextmanager
async def at_work(cluster: Cluster, ledger: Ledger, witness: Witness, seed: int, count: int) -> AsyncIterator[Clients]:
    """Clients that go on until they are told to rest, or the block ends."""
    clients = Clients(cluster, ledger, witness, seed)
    await clients.prepare()
    clients.work(count)
    try:
        yield clients
    finally:
        await clients.rest()
        await clients.close()
