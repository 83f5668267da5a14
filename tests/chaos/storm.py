"""One storm: a cluster, its clients, its faults, and what the witness says at the end."""

import asyncio
import contextlib
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from covey.store.postgres.store import PostgresStore

from ..postgres_server import PostgresServer
from .clients import Clients, at_work
from .cluster import Cluster, Shape, running
from .faults import Faults
from .ledger import Ledger
from .watch import Death, Watch, spread
from .witness import Verdict, Witness, read_starts

DATABASE = "chaos"
CLIENTS = 4
WARM = 20
"""So many runs are active before the first fault."""

SETTLED_SECONDS = 3.0
FROZEN_SECONDS = 35.0
END_SECONDS = 120.0


@dataclass(slots=True)
class Deployment:
    """Everything that runs during a storm."""

    server: PostgresServer
    cluster: Cluster
    ledger: Ledger
    witness: Witness
    watch: Watch
    clients: Clients
    faults: Faults


@dataclass(slots=True)
class Report:
    """What came of a storm."""

    verdict: Verdict
    faults: Counter[str]
    deaths: list[Death]
    asked: dict[str, int]
    seconds: float
    lines: list[str] = field(default_factory=list)


@contextlib.asynccontextmanager
async def deployment(folder: Path, shape: Shape, seed: int, clients: int = CLIENTS) -> AsyncIterator[Deployment]:
    """A cluster on a durable PostgreSQL, with clients at work."""
    server = await asyncio.to_thread(PostgresServer(durable=True).start)
    try:
        server.create_database(DATABASE)
        direct = server.tcp_url(DATABASE)
        ledger, witness = Ledger(), Witness(direct)
        async with running(folder, server, DATABASE, shape) as cluster:
            with Watch(direct) as watch:
                faults = Faults(cluster, server, watch, seed)
                async with at_work(cluster, ledger, witness, seed, clients) as working:
                    yield Deployment(server, cluster, ledger, witness, watch, working, faults)
    finally:
        await asyncio.to_thread(server.close)


async def storm(folder: Path, kills: int, seed: int, *, short: bool = False, shape: Shape | None = None) -> Report:
    """Faults until so many processes were killed; then everything must come to its end, and the witness speaks.

    A `short` one freezes nobody, cancels what has not ended at the end of the faults, and judges no speed: a process
    that was never seen alive, by others that are young themselves, is given up after 30 s.
    """
    shape, began = shape or Shape(), time.monotonic()
    async with deployment(folder, shape, seed) as all_of_it:
        while all_of_it.watch.active() < WARM:
            await asyncio.sleep(0.05)
        await all_of_it.faults.until(kills, not short, lambda: _progress(all_of_it, kills, began))
        all_of_it.faults.stop()
        await all_of_it.clients.rest()
        await all_of_it.clients.settle(2.0 if short else END_SECONDS)
        verdict = await judged(all_of_it, shape)
        report = Report(
            verdict, all_of_it.faults.done, all_of_it.watch.deaths, all_of_it.ledger.asked, time.monotonic() - began
        )
        if not short:
            settle_times(all_of_it.watch, verdict)
        report.lines = _lines(all_of_it, report)
    return report


async def judged(all_of_it: Deployment, shape: Shape) -> Verdict:
    """What the witness says, recounts and all, of a cluster in which everything has ended."""
    witness, ledger = all_of_it.witness, all_of_it.ledger
    starts = read_starts(member.starts for member in all_of_it.cluster.members.values())
    verdict = await asyncio.to_thread(witness.judge, ledger, starts, shape)
    wrong = await recounted(all_of_it.server.tcp_url(DATABASE), list(witness.batches()))
    verdict.check(not wrong, f"wrong by recount: {wrong[:5] or 0}")
    return verdict


async def recounted(url: str, batches: list[str]) -> list[str]:
    """The counts of these batches that do not agree with the rows."""
    store = PostgresStore(url)
    await store.open()
    try:
        return [f"{batch}: {wrong}" for batch in batches if (wrong := await store.recount(batch))]
    finally:
        await store.close()


def settle_times(watch: Watch, verdict: Verdict) -> None:
    """How long the runs of the dead and the frozen waited. Deaths around a loss of all sessions (the database killed,
    everybody cut off) are told apart: for 30 s after it everybody may come back, and nobody is given up."""
    never = [death for death in watch.deaths if death.settled is None]
    verdict.check(not never, f"deaths whose runs were never settled: {never[:5] or 0}")
    settled = [death for death in watch.deaths if death.settled is not None]
    killed = [death for death in settled if death.what != "freeze"]
    clean = sorted(death.settled or 0.0 for death in killed if watch.clean(death))
    verdict.check(
        not clean or clean[len(clean) // 2] <= SETTLED_SECONDS, f"killed with runs in hand, settled: {spread(clean)}"
    )
    around = [death.settled or 0.0 for death in killed if not watch.clean(death)]
    verdict.facts.append(f"killed within 35 s of a loss of all sessions, settled: {spread(around)}")
    frozen = sorted(death.settled or 0.0 for death in settled if death.what == "freeze" and watch.clean(death))
    verdict.check(not frozen or frozen[-1] <= FROZEN_SECONDS, f"frozen with runs in hand, settled: {spread(frozen)}")


def _progress(all_of_it: Deployment, kills: int, began: float) -> None:
    faults, ledger = all_of_it.faults, all_of_it.ledger
    text = (
        f"{time.monotonic() - began:5.0f} s  {faults.kills} of {kills} kills, {faults.done.total()} faults; "
        f"{len(ledger.accepted)} batches, {ledger.items:,} items, {len(ledger.stops)} stops, "
        f"{all_of_it.watch.active()} active"
    )
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{text} ")
    elif faults.kills % 25 == 0 or faults.kills == kills:
        sys.stderr.write(text + "\n")
    sys.stderr.flush()


def _lines(all_of_it: Deployment, report: Report) -> list[str]:
    """The table."""
    exits = Counter(code for member in all_of_it.cluster.members.values() for code in member.exits)
    return [
        f"{report.seconds:.0f} s; faults: " + ", ".join(f"{kind} {n}" for kind, n in report.faults.most_common()),
        "asked and answered: "
        + ", ".join(f"{what} {n}" for what, n in sorted(report.asked.items()))
        + f"; asked again {all_of_it.ledger.again} times",
        f"{len(all_of_it.ledger.accepted)} batches, {all_of_it.ledger.items:,} items",
        "lives that ended by themselves: "
        + (", ".join(f"code {code}: {n}" for code, n in exits.items() if code != -9) or "none"),
        *report.verdict.facts,
        *(f"WRONG {text}" for text in report.verdict.wrong),
    ]
