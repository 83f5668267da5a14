"""The witness: reads the start logs and the database, and holds them against what the clients were told.

Start logs outlive every kill: a start is written there before it counts. Their times are of the monotonic clock, which
all processes of a machine share.
"""

import asyncio
import collections
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from covey.calls.trunks.simulated import SimulatedSettings, fate
from covey.calls.trunks.simulated import starts as started
from covey.domain.ids import split_item_id

from .cluster import Shape
from .ledger import Ledger

START_LEASE_SECONDS = 0.5
AGAIN_SECONDS = 0.2
NEVER_REACHED = ("returned", "retried")
"""States of a run after which its item may start again."""

ItemKey = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Start:
    """One start, by the log of the process that made it."""

    batch: str
    seq: int
    attempt: int
    at: float
    log: str

    @property
    def item(self) -> ItemKey:
        return self.batch, self.seq


@dataclass(frozen=True, slots=True)
class Run:
    """A row of `runs`."""

    batch: str
    seq: int
    attempt: int
    last: bool
    state: str
    code: str
    worker: str | None


@dataclass(slots=True)
class Verdict:
    """What came of it: what was checked and found right, and what was not."""

    facts: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def check(self, fine: bool, text: str) -> None:
        """Keep `text`, as a fact or as something wrong."""
        (self.facts if fine else self.wrong).append(text)


def read_starts(logs: Iterable[Path]) -> list[Start]:
    """All starts, in order of time."""
    found = []
    for path in logs:
        for told in started(path) if path.exists() else ():
            split = split_item_id(told["item"])
            assert split is not None, told
            found.append(Start(*split, told["attempt"], told["at"], path.parent.name))
    return sorted(found, key=lambda start: start.at)


class Witness:
    """Looks into the database by a connection of its own, past the proxy."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._kept: dict[str, list[Run]] = {}

    async def keep(self, batch: str) -> None:
        """Remember a batch's runs, before it is deleted; asks until the database answers."""
        while True:
            try:
                self._kept[batch] = await asyncio.to_thread(self._runs, batch)
                return
            except psycopg.OperationalError:
                await asyncio.sleep(AGAIN_SECONDS)

    def _runs(self, batch: str | None = None) -> list[Run]:
        columns = "encode(batch, 'hex'), seq, attempt, last = 1, state, code, worker"
        which = "WHERE batch = decode(%(batch)s, 'hex')" if batch else ""
        return [Run(*row) for row in self._rows(f"SELECT {columns} FROM runs {which}", {"batch": batch})]

    def _rows(self, statement: str, params: dict[str, Any] | None = None) -> list[tuple[Any, ...]]:
        with psycopg.connect(self._url, autocommit=True) as connection:
            return connection.execute(statement, params or {}).fetchall()

    def workers_of(self, items: set[ItemKey]) -> set[str | None]:
        """The workers whose runs of these items have ended."""
        return {run.worker for run in self._runs() if (run.batch, run.seq) in items}

    def codes(self, batch: str) -> dict[str, int]:
        """How many of a batch's items ended with which code."""
        return dict(collections.Counter(run.code for run in self._runs(batch) if run.last))

    def batches(self) -> dict[str, dict[str, Any]]:
        """The batches that are there, drafts and erased ones not: their facts and counts by id."""
        names = ("total", "active", "succeeded", "failed", "canceled", "completed", "stopped", "deferred")
        rows = self._rows(
            "SELECT encode(b.id, 'hex'), total, active, succeeded, failed, canceled, completed_at IS NOT NULL, "
            "c.stopped = 1, c.deferred FROM batches b JOIN counts c ON c.batch = b.id "
            "WHERE accepted_at IS NOT NULL AND erased_at IS NULL"
        )
        return {row[0]: dict(zip(names, row[1:], strict=True)) for row in rows}

    def judge(self, ledger: Ledger, starts: Sequence[Start], shape: Shape) -> Verdict:
        """Hold everything against the promises that need no recount (see `recounted`)."""
        verdict = Verdict()
        there = self.batches()
        runs = self._runs()
        for batch, kept in self._kept.items():
            if batch not in there:
                runs += kept
        self._nothing_lost(verdict, ledger, there)
        started_once(verdict, starts, runs)
        stops_are_exact(verdict, ledger, starts, runs, there)
        outcomes_are_true(verdict, starts, runs)
        limits_hold(verdict, starts, shape)
        verdict.check(not ledger.wrong, f"clients saw wrong answers: {ledger.wrong[:10] or 0}")
        codes = collections.Counter(run.code for run in runs if run.last)
        verdict.facts.append("ended: " + ", ".join(f"{code} {n}" for code, n in codes.most_common()))
        return verdict

    def _nothing_lost(self, verdict: Verdict, ledger: Ledger, there: dict[str, dict[str, Any]]) -> None:
        accepted = dict(ledger.accepted.values())
        missing = set(accepted) - set(there) - ledger.erasing
        verdict.check(not missing, f"acknowledged batches that are not there: {sorted(missing) or 0}")
        unknown = set(there) - set(accepted)
        verdict.check(not unknown, f"batches nobody was told of (made twice): {sorted(unknown) or 0}")
        verdict.check(
            len(accepted) == len(ledger.accepted), f"{len(ledger.accepted)} keys, {len(accepted)} different batches"
        )
        lost = [
            f"{batch}: {facts}"
            for batch, facts in there.items()
            if not facts["completed"]
            or facts["active"]
            or facts["total"] != accepted.get(batch, facts["total"])
            or facts["succeeded"] + facts["failed"] + facts["canceled"] != facts["total"]
        ]
        verdict.check(not lost, f"{len(there)} batches at the end, {len(lost)} with items without an end {lost[:5]}")


def started_once(verdict: Verdict, starts: Sequence[Start], runs: Sequence[Run]) -> None:
    """No attempt starts twice, and no item again unless an attempt before reached nobody."""
    attempts = collections.Counter((*start.item, start.attempt) for start in starts)
    twice = {key: n for key, n in attempts.items() if n > 1}
    verdict.check(
        not twice, f"{len(attempts):,} attempts started, {len(twice)} of them twice {list(twice.items())[:5]}"
    )
    again = collections.Counter(key[:2] for key in attempts)
    free = collections.Counter((run.batch, run.seq) for run in runs if run.state in NEVER_REACHED)
    repeated = {item: n for item, n in again.items() if n > 1 + free[item]}
    verdict.check(
        not repeated, f"{len(again):,} items started, {len(repeated)} of them repeated {list(repeated.items())[:5]}"
    )


def stops_are_exact(
    verdict: Verdict, ledger: Ledger, starts: Sequence[Start], runs: Sequence[Run], there: dict[str, dict[str, Any]]
) -> None:
    """What a stop counted canceled never starts; after it nothing starts where it was answered, and elsewhere nothing
    later than the licence."""
    by_batch: dict[str, list[Start]] = collections.defaultdict(list)
    for start in starts:
        by_batch[start.batch].append(start)
    ended = {(run.batch, run.seq) for run in runs if run.last and run.state != "canceled"}
    late, beyond, canceled, here = [], [], [], []
    latest = 0.0
    for stop in ledger.stops:
        after = [start for start in by_batch[stop.batch] if start.at > stop.at]
        latest = max([latest, *(start.at - stop.at for start in after)])
        here += [start for start in after if start.log == stop.by]
        late += [start for start in after if start.at > stop.at + START_LEASE_SECONDS]
        if len({start.item for start in after}) > stop.active:
            beyond.append(stop)
        facts = there.get(stop.batch)
        if facts is not None and facts["canceled"] < stop.canceled:
            canceled.append(f"{stop}: {facts}")
        if facts is not None:
            canceled += [f"started, but canceled: {s}" for s in by_batch[stop.batch] if s.item not in ended]
    verdict.check(
        not late, f"{len(ledger.stops)} stops acknowledged, the latest start {latest * 1e3:.0f} ms after {late[:5]}"
    )
    verdict.check(not here, f"starts after a stop, in the process that answered it: {here[:5] or 0}")
    verdict.check(not beyond, f"stops after which more started than they named active: {beyond[:5] or 0}")
    verdict.check(not canceled, f"counted canceled by a stop, and started: {canceled[:5] or 0}")


def outcomes_are_true(verdict: Verdict, starts: Sequence[Start], runs: Sequence[Run]) -> None:
    """Who ended by a real outcome was started in that attempt; who was started has an end in that attempt."""
    started = {(*start.item, start.attempt) for start in starts}
    real = {(run.batch, run.seq, run.attempt) for run in runs if run.state == "succeeded"}
    verdict.check(real <= started, f"succeeded without a start: {sorted(real - started)[:5] or 0}")
    known = {run.batch for run in runs}
    recorded = {(run.batch, run.seq, run.attempt) for run in runs}
    forgotten = sorted(key for key in started - recorded if key[0] in known)
    verdict.check(not forgotten, f"started, and no end of that attempt recorded: {forgotten[:5] or 0}")


def limits_hold(verdict: Verdict, starts: Sequence[Start], shape: Shape) -> None:
    """The lane's cap and pace, by the log. A call lasts as long as the trunk's model says, whoever died meanwhile."""
    most = most_in_a_second([start.at for start in starts])
    verdict.check(most <= shape.pace, f"most starts in any second: {most} of {shape.pace:g}")
    model = SimulatedSettings()
    moves = []
    for start in starts:
        ahead = fate(model, f"{start.batch[:18]}{start.seq + 1:06x}", start.attempt)
        lasts = min(ahead.ring, shape.ring)
        if ahead.talk is not None and ahead.ring <= shape.ring:
            lasts += min(ahead.talk, shape.longest)
        moves += [(start.at, 1), (start.at + lasts, -1)]
    now = at_once = 0
    for _, step in sorted(moves):
        now += step
        at_once = max(at_once, now)
    verdict.check(at_once <= shape.channels, f"most calls at once: {at_once} of {shape.channels}")


def most_in_a_second(times: Sequence[float]) -> int:
    """The most of these sorted moments in any second, wherever it begins."""
    most = first = 0
    for last, at in enumerate(times):
        while at - times[first] >= 1.0:
            first += 1
        most = max(most, last - first + 1)
    return most
