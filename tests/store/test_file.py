"""The file: its owner, its schema, its copies."""

import asyncio
from pathlib import Path

import apsw
import pytest

from covey.domain.batch import BatchState, NewItem
from covey.domain.errors import Conflict
from covey.domain.lane import Lane
from covey.domain.run import Aborted, Failed, Outcome, Retry, Succeeded
from covey.store.migrate import StoreError, migrations, pending
from covey.store.sqlite import SqliteStore, copy_database, restore
from covey.store.sqlite.lock import OwnerLock
from covey.store.sqlite.transaction import PACKAGE, SqliteConnection

from ..clock import ManualClock
from ..conformance.conftest import Scene, numbers, seqs
from ..patience import patience


async def test_one_process_owns_the_file(sqlite: SqliteStore) -> None:
    second = OwnerLock(sqlite.path.with_suffix(".lock"))
    with pytest.raises(StoreError, match="in use by another Covey"):
        await second.acquire(patience=0.05)
    await sqlite.close()
    await second.acquire(patience=0.05)
    second.release()


async def test_what_was_written_is_there_for_the_next_owner(scene: Scene, sqlite: SqliteStore) -> None:
    batch = await scene.submit(3)
    await scene.one(Succeeded("good"))
    await sqlite.close()
    successor = SqliteStore(sqlite.path, scene.clock)
    await successor.open()
    assert numbers((await successor.batch(batch)).counts) == (2, 0, 1, 0, 0)
    await successor.close()


async def test_a_newer_database_is_refused(sqlite: SqliteStore, clock: ManualClock) -> None:
    await sqlite.close()
    connection = apsw.Connection(str(sqlite.path))
    connection.pragma("user_version", 99)
    connection.close()
    newer = SqliteStore(sqlite.path, clock)
    with pytest.raises(StoreError, match="schema 99, this Covey knows only up to"):
        await newer.open()
    lock = OwnerLock(sqlite.path.with_suffix(".lock"))
    await lock.acquire(patience=0.05)
    lock.release()


async def test_what_is_no_database_is_refused(tmp_path: Path, clock: ManualClock) -> None:
    path = tmp_path / "covey.db"
    path.write_bytes(b"this is a letter, not a database" * 100)
    with pytest.raises(StoreError, match="not a sound database"):
        await SqliteStore(path, clock).open()


def test_migrations_are_numbered_without_gaps() -> None:
    assert [step.number for step in migrations(PACKAGE)] == list(range(1, len(migrations(PACKAGE)) + 1))
    assert pending(PACKAGE, len(migrations(PACKAGE))) == []


async def test_a_backup_is_whole_while_the_database_is_written(scene: Scene, sqlite: SqliteStore) -> None:
    batch = await scene.submit(30_000)
    stopping = asyncio.Event()

    async def work() -> None:
        while not stopping.is_set():
            await scene.one(Succeeded("good"))

    working = asyncio.ensure_future(work())
    copy = sqlite.path.with_name("backup.db")
    async with patience():
        await sqlite.backup(str(copy))
    stopping.set()
    await working
    assert restore(copy, sqlite.path.with_name("restored.db"), scene.clock) == 1
    restored = SqliteStore(sqlite.path.with_name("restored.db"), scene.clock)
    await restored.open()
    assert await restored.recount(batch) == {}
    assert 0 <= (await restored.batch(batch)).counts.succeeded <= (await scene.counts(batch)).succeeded
    await restored.close()


async def test_unended_batches_come_back_paused_but_what_may_be_repeated(scene: Scene, sqlite: SqliteStore) -> None:
    calls, films = await scene.submit(3), await scene.submit(3, repeatable=True)
    ended, stopped = await scene.submit(1), await scene.submit(1)
    await scene.stop(ended)
    await scene.stop(stopped)
    copy, target = sqlite.path.with_name("copy.db"), sqlite.path.with_name("target.db")
    await sqlite.backup(str(copy))
    assert restore(copy, target, scene.clock) == 1
    back = SqliteStore(target, scene.clock)
    await back.open()
    paused = await back.batch(calls)
    assert (paused.state, paused.pause_reason) == (BatchState.paused, "restored")
    assert (await back.history(calls))[-1].data == {"reason": "restored"}
    assert (await back.batch(films)).state is BatchState.queued
    assert (await back.batch(ended)).state is BatchState.canceled
    await back.enlist("worker")
    claim = await back.claim("worker", "lane", 10)
    assert claim.portion is not None
    assert claim.portion.batch == films
    await back.resume("w", calls)
    assert seqs((await back.claim("worker", "lane", 10)).portion) == [0, 1, 2]
    with pytest.raises(Conflict):
        await back.resume("w", ended)
    await back.close()


async def test_copies_go_to_new_files_only_and_leave_no_pieces(sqlite: SqliteStore) -> None:
    there = sqlite.path.with_name("there.db")
    there.write_bytes(b"mine")
    with pytest.raises(StoreError, match="is there already"):
        await sqlite.backup(str(there))
    assert there.read_bytes() == b"mine"
    damaged, target = sqlite.path.with_name("damaged.db"), sqlite.path.with_name("new.db")
    damaged.write_bytes(b"this is a letter, not a database" * 100)
    with pytest.raises(StoreError):
        copy_database(damaged, target)
    with pytest.raises(StoreError):
        restore(damaged, target, ManualClock())
    assert sorted(path.name for path in sqlite.path.parent.glob("new.db*")) == []


async def test_a_store_that_was_closed_can_be_closed_again(sqlite: SqliteStore) -> None:
    await sqlite.put_lane(Lane("a", 1))
    await sqlite.close()
    await sqlite.close()


MOVED = ("deferred", "active", "succeeded", "failed", "canceled")


@pytest.mark.parametrize(
    ("count", "stopped"),
    [*((count, False) for count in (*MOVED, "cursor")), *((count, True) for count in (*MOVED, "total"))],
)
@pytest.mark.parametrize("by", [1, -1])
async def test_counts_that_do_not_add_up_are_refused(
    scene: Scene, sqlite: SqliteStore, *, count: str, by: int, stopped: bool
) -> None:
    batch = await scene.submit(10, max_tries=3)
    portion = await scene.take(5)
    busy = Retry(scene.after(60), Failed("busy", ""))
    outcomes: list[Outcome] = [Succeeded("good"), Failed("bad", ""), Aborted("aborted"), busy]
    for seq, outcome in enumerate(outcomes):
        await scene.finish(portion, outcome, seqs=[seq])
    if stopped:
        await scene.stop(batch)
    before = await scene.counts(batch)

    def break_it(database: SqliteConnection) -> None:
        database.connection.execute(f"UPDATE counts SET {count} = {count} + {by}")

    with pytest.raises(apsw.ConstraintError):
        await sqlite.writer.run(break_it)
    assert await scene.counts(batch) == before


async def test_a_ref_cannot_be_active_twice_whatever_forgets_to_look(scene: Scene, sqlite: SqliteStore) -> None:
    batch = await scene.submit([NewItem(b"{}", ref="a")], exclusive=True)
    await scene.take()
    again = {"workspace": "w", "batch": bytes.fromhex(batch), "refs": '["a", "b"]', "seqs": "[8, 9]"}
    assert await sqlite.writer.run(lambda database: database.rows("take_refs", again)) == [("b",)]
    await sqlite.writer.run(lambda database: database.many("free_ref", [("w", "b", bytes.fromhex(batch), 9)]))
