"""Kills: kill -9 of the server, or of a dialler alone, at random moments; then what the phones say of it.

    python -m benchmarks kills [KILLS]             on the demo trunk, over real SIP
    python -m benchmarks kills simulated [KILLS]   on the simulated trunk, with its start log

The phones run apart and outlive every kill: they count dialogs, and see who says goodbye to them.
"""

import asyncio
import collections
import os
import random
import signal
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.serving import AGENT, Phones, ServerProcess, children, demo_numbers, demo_settings, write_csv
from covey.calls.trunks.simulated import starts as started
from covey.client import StartOptions
from covey.domain.clock import SystemClock
from covey.store.sqlite import SqliteStore

KILLS = 50
SIMULATED_KILLS = 1000
CHANNELS = 40
ROWS = 2_000
GONE_SECONDS = 3.0
MOMENTS = (1.0, 7.0)


@dataclass(slots=True)
class Kill:
    """One kill: of what, when, how many calls were active, and how long things took afterwards."""

    what: str
    at: float
    active: int
    diallers_gone: float
    resumed: float | None = None
    began_again: float = 0.0


@dataclass(slots=True)
class Verdict:
    """What the witness says of it all."""

    wrong: list[str] = field(default_factory=list)
    facts: list[str] = field(default_factory=list)

    def check(self, fine: bool, text: str) -> None:
        """Keep `text`, as a fact or as something wrong."""
        (self.facts if fine else self.wrong).append(text)


def live_calls(events: list[dict[str, Any]], at: float) -> list[dict[str, Any]]:
    """The INVITEs whose dialog was open at a moment; each with its `ended` line under "end" (None: never ended)."""
    ended = {event["call_id"]: event for event in events if event["event"] == "ended"}
    invites = [event for event in events if event["event"] == "invite" and event["invite_at"] <= at]
    spans = [{**event, "end": ended.get(event["call_id"])} for event in invites]
    return [span for span in spans if span["end"] is None or _over(span["end"]) > at]


def _over(end: dict[str, Any]) -> float:
    return float(end["bye_at"] or end["invite_at"])


def most_at_once(events: list[dict[str, Any]]) -> int:
    """The most dialogs that the phones had open at one moment."""
    moves = []
    for event in events:
        if event["event"] == "ended":
            moves += [(event["invite_at"], 1), (_over(event), -1)]
    now = most = 0
    for _, step in sorted(moves):
        now += step
        most = max(most, now)
    return most


async def until(condition: Any, seconds: float) -> float:
    """Wait until `condition()` holds; how long it took, `seconds` at most."""
    began = time.monotonic()
    while not condition() and time.monotonic() - began < seconds:
        await asyncio.sleep(0.01)
    return time.monotonic() - began


async def kill_server(server: ServerProcess, phones: Phones) -> Kill:
    """Kill the server, wait until its diallers are gone, start it again, wait for the first call."""
    diallers = server.diallers()
    at = time.time()
    server.kill()
    gone = await until(lambda: not any(_alive(pid) for pid in diallers), 10)
    kill = Kill("server", at, len(live_calls(phones.events(), at)), gone)
    kill.began_again = time.time()
    await server.start()
    await until(lambda: _first_invite(phones, kill.began_again) is not None, 10)
    first = _first_invite(phones, kill.began_again)
    kill.resumed = None if first is None else first - kill.began_again
    return kill


async def kill_dialler(server: ServerProcess, phones: Phones) -> Kill:
    """Kill one dialler."""
    at = time.time()
    active = len(live_calls(phones.events(), at))
    for pid in server.diallers():
        os.kill(pid, signal.SIGKILL)
    return Kill("dialler", at, active, 0.0)


def _alive(pid: int) -> bool:
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _first_invite(phones: Phones, since: float) -> float | None:
    later = (e["invite_at"] for e in phones.events() if e["event"] == "invite" and e["invite_at"] > since)
    return next(later, None)


async def demo(folder: Path, kills: int) -> Verdict:
    """Kill on the demo trunk; the verdict."""
    phones, chance = Phones.start(folder), random.Random(11)
    server = ServerProcess(folder, demo_settings(phones, CHANNELS))
    done: list[Kill] = []
    try:
        await server.start()
        await _start_batch(server, folder)
        for n in range(kills):
            await asyncio.sleep(chance.uniform(*MOMENTS))
            kill = kill_server if n % 2 == 0 else kill_dialler
            done.append(await kill(server, phones))
            if sys.stderr.isatty():
                sys.stderr.write(f"\r{n + 1} of {kills} kills ")
        async with server.client() as covey:
            await covey.batches.cancel((await covey.batches.page()).batches[0].id)
        await _all_ended(server)
        await server.stop()
        await asyncio.sleep(GONE_SECONDS)
        codes, wrong = await recounted(folder / "data" / "covey.db")
    finally:
        if server.process is not None and server.process.poll() is None:
            server.kill()
        phones.stop()
    return judge(done, phones.events(), codes, wrong)


async def _start_batch(server: ServerProcess, folder: Path) -> None:
    people = write_csv(folder / "people.csv", demo_numbers(ROWS, [*range(60), 95, 96, 97]))
    async with server.client() as covey:
        agent = await covey.agents.create(AGENT)
        await covey.batches.start(people, agent.id, StartOptions())


async def _all_ended(server: ServerProcess) -> None:
    async with server.client() as covey:
        batch = (await covey.batches.page()).batches[0].id
        while not (await covey.batches.get(batch)).is_complete:
            await asyncio.sleep(0.2)


async def recounted(path: Path) -> tuple[dict[str, int], list[str]]:
    """How many items ended with which code, and what does not add up."""
    store = SqliteStore(path, SystemClock())
    await store.open()
    codes: collections.Counter[str] = collections.Counter()
    wrong = []
    try:
        batches, _ = await store.batches(None, origin=None, limit=1000)
        for batch in batches:
            codes.update(await store.outcomes(batch.id))
            wrong += [f"{batch.id}: {name} {pair}" for name, pair in (await store.recount(batch.id)).items()]
            if not batch.ended:
                wrong.append(f"{batch.id} has not ended")
    finally:
        await store.close()
    return dict(codes), wrong


def judge(kills: list[Kill], events: list[dict[str, Any]], codes: dict[str, int], wrong: list[str]) -> Verdict:
    """Hold the phones' account against the promises."""
    verdict = Verdict()
    dialogs: dict[tuple[str, str], set[str]] = collections.defaultdict(set)
    for event in events:
        if event["event"] == "invite":
            dialogs[event["item"], event["attempt"]].add(event["call_id"])
    twice = sum(1 for calls in dialogs.values() if len(calls) > 1)
    verdict.check(twice == 0, f"{len(dialogs)} attempts were dialled, {twice} of them twice")
    late = [span for kill in kills for span in _left_hanging(kill, events)]
    verdict.check(not late, f"phones not told within {GONE_SECONDS:.0f} s that their caller died: {len(late)}")
    most = most_at_once(events)
    verdict.check(most <= CHANNELS, f"most calls at once at the phones: {most} of {CHANNELS} channels")
    servers = [kill for kill in kills if kill.what == "server"]
    gone = max((kill.diallers_gone for kill in servers), default=0.0)
    verdict.check(gone <= GONE_SECONDS, f"diallers outlived their server by {gone:.2f} s at most")
    resumed = sorted(kill.resumed if kill.resumed is not None else 99.0 for kill in servers)
    verdict.check(
        bool(resumed) and resumed[-1] <= 2.0,
        f"calling resumed {resumed[len(resumed) // 2]:.2f} s (median), {resumed[-1]:.2f} s (worst) after the restart",
    )
    busy = sum(1 for kill in kills if kill.active >= 10)
    verdict.check(2 * busy >= len(kills), f"{len(kills)} kills, {busy} of them with ten or more calls active")
    verdict.check(not wrong, f"wrong by recount: {wrong or 'nothing'}")
    verdict.facts.append(f"ended outcome_unknown: {codes.get('outcome_unknown', 0)}; all: {codes}")
    return verdict


def _left_hanging(kill: Kill, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Dialogs open at a kill that ended later than they may have, or never."""
    open_then = live_calls(events, kill.at)
    return [span for span in open_then if span["end"] is None or _over(span["end"]) > kill.at + GONE_SECONDS]


async def simulated(folder: Path, kills: int) -> Verdict:
    """Kill a server with the simulated trunk; its start log is the witness."""
    starts = folder / "starts.jsonl"
    settings = (
        f'[calls]\ndefault_trunk = "simulated"\n[trunks.simulated]\nkind = "simulated"\nspeed = 20.0\n'
        f'channels = 100\ncalls_per_second = 400\nstart_log = "{starts}"\n'
    )
    server, chance, verdict = ServerProcess(folder, settings), random.Random(5), Verdict()
    await server.start()
    people = write_csv(folder / "people.csv", demo_numbers(50_000))
    began = time.monotonic()
    for n in range(kills):
        if n % 100 == 0:
            async with server.client() as covey:
                agent = await covey.agents.create(AGENT)
                await covey.batches.start(people, agent.id, StartOptions(allow_duplicate=True))
        await asyncio.sleep(chance.uniform(0.05, 0.5))
        server.kill()
        await server.start()
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{n + 1} of {kills} kills ")
    async with server.client() as covey:
        async for row in covey.batches.all():
            await covey.batches.cancel(row.id)
    await asyncio.sleep(3)
    await server.stop()
    codes, wrong = await recounted(folder / "data" / "covey.db")
    seen = collections.Counter((start["item"], start["attempt"]) for start in started(starts))
    twice = sum(1 for n in seen.values() if n > 1)
    verdict.check(twice == 0, f"{len(seen)} attempts started, {twice} of them twice")
    verdict.check(not wrong, f"wrong by recount: {wrong or 'nothing'}")
    verdict.facts.append(f"{kills} kills in {time.monotonic() - began:.0f} s; all: {codes}")
    return verdict


def main() -> None:
    """Print the verdict; exit 1 if anything was wrong."""
    words = sys.argv[1:]
    what = simulated if "simulated" in words else demo
    given = [int(word) for word in words if word.isdigit()]
    count = given[0] if given else (SIMULATED_KILLS if what is simulated else KILLS)
    with tempfile.TemporaryDirectory() as name:
        verdict = asyncio.run(what(Path(name), count))
        orphans = children(1, "covey.calls.trunks.dialler")
        verdict.check(not orphans, f"diallers left over: {len(orphans)}")
    for text in verdict.facts:
        print("  " + text)
    for text in verdict.wrong:
        print("WRONG " + text)
    sys.exit(1 if verdict.wrong else 0)


if __name__ == "__main__":
    main()
