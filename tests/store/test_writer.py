"""The one thread that writes: groups, savepoints, a full disk, callers that went away."""

import asyncio
import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw
import pytest

from covey.domain.errors import CoveyError, DatabaseFull, Unavailable
from covey.domain.lane import Lane
from covey.store.sqlite import SqliteStore
from covey.store.sqlite.transaction import SqliteConnection, SqliteTransaction, completed

from ..clock import ManualClock
from ..conformance.conftest import Scene, numbers
from ..patience import PATIENCE, patience


@contextmanager
def held(store: SqliteStore) -> Iterator[None]:
    """While this holds, what is asked of the writer waits; then it is one group."""
    go, begun = threading.Event(), threading.Event()

    def hold(_: SqliteConnection) -> None:
        begun.set()
        go.wait(PATIENCE)

    task = asyncio.ensure_future(store.writer.run(hold))
    try:
        yield
    finally:
        go.set()
        task.add_done_callback(lambda done: done.exception())


def put(database: SqliteConnection, name: str) -> None:
    database.run("lane_put", {"lane": name, "cap": 1, "pace": None})


def fail(database: SqliteConnection) -> None:
    put(database, "failing")
    raise CoveyError("no")


def roll_all_back(database: SqliteConnection) -> None:
    put(database, "lost")
    database.connection.execute("ROLLBACK")
    raise apsw.FullError("as SQLite does it when the disk is full")


async def names(store: SqliteStore) -> set[str]:
    return {lane.name for lane in await store.lanes()} - {"lane"}


async def test_an_operation_that_fails_takes_nothing_with_it(sqlite: SqliteStore) -> None:
    with held(sqlite):
        results = asyncio.gather(
            sqlite.put_lane(Lane("a", 1)),
            sqlite.writer.run(fail),
            sqlite.put_lane(Lane("b", 1)),
            return_exceptions=True,
        )
        await asyncio.sleep(0)
    first, failed, last = await results
    assert (first, type(failed), last) == (None, CoveyError, None)
    assert await names(sqlite) == {"a", "b"}


async def test_nobody_of_a_group_that_was_rolled_back_is_told_it_was_written(sqlite: SqliteStore) -> None:
    with held(sqlite):
        before = [asyncio.ensure_future(sqlite.put_lane(Lane(name, 1))) for name in "ab"]
        rolled = asyncio.ensure_future(sqlite.writer.run(roll_all_back))
        after = asyncio.ensure_future(sqlite.put_lane(Lane("c", 1)))
        await asyncio.sleep(0)
    results = await asyncio.gather(*before, rolled, return_exceptions=True)
    assert [type(result) for result in results] == [Unavailable, Unavailable, DatabaseFull]
    await after
    assert await names(sqlite) == {"c"}


async def test_a_full_disk_loses_nothing_acknowledged(scene: Scene, sqlite: SqliteStore) -> None:
    batch = await scene.submit(3)
    portion = await scene.take(1)
    full_disk = scene.database.full_disk
    assert full_disk is not None
    results = await full_disk(sqlite, [lambda: scene.finish(portion), lambda: scene.stop(batch)])
    counts = numbers(await scene.counts(batch))
    finished, stopped = (not isinstance(result, Exception) for result in results)
    assert counts == (0 if stopped else 2, 0 if finished else 1, int(finished), 0, 2 if stopped else 0)
    assert all(isinstance(result, Unavailable) for result in results if isinstance(result, Exception))
    assert await sqlite.recount(batch) == {}
    await scene.stop(batch)
    if not finished:
        await scene.finish(portion)
    assert numbers(await scene.counts(batch)) == (0, 0, 1, 0, 2)


async def test_stops_and_finishes_go_before_what_came_earlier(scene: Scene, sqlite: SqliteStore) -> None:
    order: list[str] = []

    def note(what: str, _: SqliteConnection) -> None:
        order.append(what)

    with held(sqlite):
        slow = [asyncio.ensure_future(sqlite.writer.run(functools.partial(note, str(n)))) for n in range(3)]
        urgent = asyncio.ensure_future(sqlite.writer.run(lambda _: order.append("urgent"), urgent=True))
        await asyncio.sleep(0)
    await asyncio.gather(*slow, urgent)
    assert order == ["urgent", "0", "1", "2"]


async def test_a_caller_that_went_away_while_it_waited_is_skipped(sqlite: SqliteStore) -> None:
    with held(sqlite):
        gone = asyncio.ensure_future(sqlite.put_lane(Lane("gone", 1)))
        stays = asyncio.ensure_future(sqlite.put_lane(Lane("stays", 1)))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.sleep(0)
    await stays
    assert await names(sqlite) == {"stays"}


async def test_the_answer_comes_after_the_commit(sqlite: SqliteStore) -> None:
    """Who got an answer finds it in the file, read by a connection that shares nothing with the writer."""
    other = apsw.Connection(str(sqlite.path), flags=apsw.SQLITE_OPEN_READONLY)
    for n in range(200):
        await sqlite.put_lane(Lane(f"lane-{n}", 1))
        assert other.execute("SELECT count(*) FROM limits WHERE lane = ?", (f"lane-{n}",)).fetchone() == (1,)
    other.close()


async def test_a_commit_that_fails_is_no_answer(sqlite: SqliteStore) -> None:
    def refuse_commits(database: SqliteConnection) -> None:
        calls = iter([1, 0])
        database.connection.set_commit_hook(lambda: bool(next(calls, 0)))

    with pytest.raises(Unavailable):
        await sqlite.writer.run(refuse_commits)
    await sqlite.put_lane(Lane("after", 1))
    assert await names(sqlite) == {"after"}


async def test_everybody_is_told_when_no_transaction_can_begin(sqlite: SqliteStore) -> None:
    def impatient(database: SqliteConnection) -> None:
        database.connection.set_busy_timeout(0)

    await sqlite.writer.run(impatient)
    other = apsw.Connection(str(sqlite.path))
    other.execute("BEGIN IMMEDIATE")
    try:
        async with patience():
            results = await asyncio.gather(*(sqlite.put_lane(Lane(n, 1)) for n in "ab"), return_exceptions=True)
    finally:
        other.close()
    assert [type(result) for result in results] == [Unavailable] * 2
    await sqlite.put_lane(Lane("c", 1))


async def test_durable_and_in_a_log(sqlite: SqliteStore) -> None:
    def look(database: SqliteConnection) -> tuple[object, ...]:
        return tuple(database.connection.pragma(name) for name in ("synchronous", "journal_mode", "wal_autocheckpoint"))

    assert await sqlite.writer.run(look) == (2, "wal", 0)


async def test_the_log_is_emptied_at_the_end(scene: Scene, sqlite: SqliteStore) -> None:
    await scene.submit(20_000)
    log = sqlite.path.with_name(sqlite.path.name + "-wal")
    assert log.stat().st_size > 0
    await sqlite.close()
    assert not log.exists() or log.stat().st_size == 0


def telling(
    hint: str, then: Callable[[SqliteConnection], None] = lambda database: None
) -> Callable[[SqliteConnection], None]:
    """An operation that tells a hint, and then does something else."""

    def operation(database: SqliteConnection) -> None:
        completed(SqliteTransaction(database, ManualClock()).tell(hint))
        then(database)

    return operation


async def test_a_wakeup_is_heard_with_its_change_and_never_without(tmp_path: Path) -> None:
    heard: list[str] = []
    store = SqliteStore(tmp_path / "covey.db", ManualClock(), heard.append)
    await store.open()
    with held(store):
        first = asyncio.ensure_future(store.writer.run(telling("first")))
        fails = asyncio.ensure_future(store.writer.run(telling("fails", fail)))
        asked = asyncio.ensure_future(store.writer.run(telling("asked")))
        await asyncio.sleep(0)
    with pytest.raises(CoveyError):
        await fails
    await asyncio.gather(first, asked)
    assert heard == ["first", "asked"]
    with held(store):
        lost = asyncio.ensure_future(store.writer.run(telling("lost")))
        ends = asyncio.ensure_future(store.writer.run(telling("ends it all", roll_all_back)))
        await asyncio.sleep(0)
    assert all(isinstance(one, Unavailable) for one in await asyncio.gather(lost, ends, return_exceptions=True))
    assert heard == ["first", "asked"]
    await store.close()


async def test_a_wakeup_that_nobody_understands_stops_nothing(tmp_path: Path) -> None:
    def refuse(hint: str) -> None:
        raise ValueError(hint)

    store = SqliteStore(tmp_path / "covey.db", ManualClock(), refuse)
    await store.open()
    await store.writer.run(telling("what?"))
    await store.writer.run(functools.partial(put, name="a"))
    assert await names(store) == {"a"}
    await store.close()
