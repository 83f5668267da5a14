"""Who is alive, on a real PostgreSQL: processes that are killed and stopped, sessions that are cut, poolers."""

import asyncio
import shutil
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest

from covey.domain.errors import Conflict, Unavailable
from covey.store.migrate import StoreError
from covey.store.postgres import heartbeat
from covey.store.postgres.heartbeat import LOCK_CLASS, LockSession
from covey.store.postgres.store import PostgresStore

from ...patience import PATIENCE, patience
from ...postgres_server import PostgresServer, Server, session_server
from .pooler import pgbouncer, proxied

FREE = 0.3
"""So long a lock is free in these tests until its owner is dead."""

MICROS = 1_000_000

REFUSED = r"goes through a pooler .*: let database_lock_url lead to PostgreSQL itself"

PROCESS = """
import asyncio, sys
from covey.store.postgres.heartbeat import LockSession

async def main(url, worker):
    life = await LockSession.begin(url, worker)
    print("alive", flush=True)
    while not life.gone:
        await asyncio.sleep(0.02)
    print("given up", flush=True)
    await life.end()

asyncio.run(main(*sys.argv[1:]))
"""


class Seconds:
    """A monotonic clock that can be moved on: as if this process had stood still."""

    def __init__(self) -> None:
        self.skipped = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.skipped


@dataclass
class Scene:
    """A store with a worker `me`, and a bystander's connection that looks behind it."""

    url: str
    store: PostgresStore
    behind: psycopg.AsyncConnection[Any]
    seconds: Seconds
    heard: list[str] = field(default_factory=list)

    @property
    def me(self) -> LockSession:
        life = self.store.lives.life("me")
        assert life is not None
        return life

    async def rows(self, query: str, **params: Any) -> list[tuple[Any, ...]]:
        """The bystander's look."""
        return await (await self.behind.execute(query.encode(), params)).fetchall()

    async def holder(self, worker: str) -> int | None:
        """The server process that holds a worker's lock."""
        found = await self.rows(
            "SELECT l.pid FROM pg_locks l JOIN workers w ON l.objid = w.lock_key::oid WHERE locktype = 'advisory'"
            " AND granted AND objsubid = 2 AND classid = %(class)s::oid AND w.id = %(worker)s"
            " AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())",
            **{"class": LOCK_CLASS, "worker": worker},
        )
        return found[0][0] if found else None

    async def beat(self, worker: str) -> int:
        """A worker's last beat."""
        ((beat,),) = await self.rows("SELECT beat_at FROM workers WHERE id = %(worker)s", worker=worker)
        return int(beat)

    async def cut(self, worker: str) -> None:
        """End a worker's session, and wait until the server has."""
        pid = await self.holder(worker)
        await self.rows("SELECT pg_terminate_backend(%(pid)s, 5000)", pid=pid)

    async def waited_for(self, connection: psycopg.AsyncConnection[Any]) -> None:
        """Wait until some other session waits for a lock of this one."""
        pid = connection.info.backend_pid

        async def waited() -> bool:
            waiting = "SELECT 1 FROM pg_locks WHERE NOT granted AND %(pid)s = ANY (pg_blocking_pids(pid))"
            return bool(await self.rows(waiting, pid=pid))

        await until(waited)

    async def is_dead(self, worker: str) -> bool:
        ((dead,),) = await self.rows("SELECT dead_at IS NOT NULL FROM workers WHERE id = %(worker)s", worker=worker)
        return bool(dead)

    async def dead(self) -> list[str]:
        """One look of `me`."""
        return await self.store.dead_workers("me")


async def until(there: Callable[[], Awaitable[bool]]) -> None:
    """Look again and again until something is there that another process does."""
    async with patience():
        while not await there():
            await asyncio.sleep(0.02)


@asynccontextmanager
async def opened(server: Server) -> AsyncIterator[Scene]:
    url = server.create_database("lives")
    seconds, heard = Seconds(), list[str]()
    store = PostgresStore(url, connections=4, heard=heard.append, free_seconds=FREE, monotonic=seconds)
    await store.open()
    try:
        await store.enlist("me")
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as behind:
            yield Scene(url, store, behind, seconds, heard)
    finally:
        await store.close()
        server.drop("lives")


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    async with opened(session_server()) as scene:
        yield scene


@pytest.fixture
async def other(scene: Scene) -> AsyncIterator[asyncio.subprocess.Process]:
    """Another process with the worker `other`, seen alive by `me`."""
    arguments = ["-c", PROCESS, scene.url, "other"]
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdout=asyncio.subprocess.PIPE)
    try:
        await said(process, "alive")
        assert await scene.dead() == []
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def said(process: asyncio.subprocess.Process, word: str) -> None:
    """Wait until a process says something; it logs besides."""
    assert process.stdout is not None
    async with patience():
        while (line := (await process.stdout.readline()).decode().strip()) != word:
            assert line, f"the process ended without a word of {word!r}"


async def declared(scene: Scene, worker: str) -> None:
    """Look until a worker is declared dead."""

    async def found() -> bool:
        return worker in await scene.dead()

    await until(found)


async def test_a_worker_holds_its_lock_and_beats_for_as_long_as_it_lives(scene: Scene) -> None:
    life, before = scene.me, await scene.beat("me")
    assert life.fresh
    assert life.session_since is not None
    assert await scene.holder("me") is not None
    ((application,),) = await scene.rows(
        "SELECT application_name FROM pg_stat_activity WHERE pid = %(pid)s", pid=await scene.holder("me")
    )
    assert application == "covey lock me"

    async def beaten() -> bool:
        return await scene.beat("me") > before

    await until(beaten)
    await scene.store.retire("me")
    assert await scene.holder("me") is None
    assert await scene.is_dead("me")
    assert life.session_since is None


async def test_a_session_that_was_cut_comes_back(scene: Scene) -> None:
    life = scene.me
    since, backend = life.session_since, await scene.holder("me")
    assert since is not None
    await scene.cut("me")

    async def back() -> bool:
        return life.session_since not in (None, since)

    await until(back)
    assert life.fresh
    assert not life.gone
    assert await scene.holder("me") not in (None, backend)
    assert scene.heard == [""]
    assert not await scene.is_dead("me")


async def test_a_worker_that_was_given_up_knows_at_its_next_beat(scene: Scene) -> None:
    life = scene.me
    await scene.rows("UPDATE workers SET dead_at = 1 WHERE id = 'me' RETURNING id")

    async def gone() -> bool:
        return life.gone and await scene.holder("me") is None

    await until(gone)
    assert not life.fresh
    with pytest.raises(Conflict) as refused:
        await scene.store.claim("me", "lane", 1)
    assert refused.value.code == "worker_gone"
    assert await scene.dead() == []


async def test_a_worker_that_was_given_up_while_its_session_was_cut_does_not_come_back(scene: Scene) -> None:
    life = scene.me
    async with scene.behind.transaction():
        await scene.rows("UPDATE workers SET dead_at = 1 WHERE id = 'me' RETURNING id")
        await scene.cut("me")

        await scene.waited_for(scene.behind)
        assert life.session_since is None

    async def gone() -> bool:
        return life.gone and await scene.holder("me") is None

    await until(gone)


async def test_a_worker_without_answers_claims_nothing(scene: Scene) -> None:
    scene.store.lives.check("me")
    scene.seconds.skipped += 3
    with pytest.raises(Unavailable):
        scene.store.lives.check("me")


async def test_wakeups_of_other_processes_are_heard(scene: Scene) -> None:
    await scene.rows("SELECT pg_notify('covey', 'work lane')")

    async def heard() -> bool:
        return scene.heard == ["work lane"]

    await until(heard)


async def test_a_killed_process_is_dead(scene: Scene, other: asyncio.subprocess.Process) -> None:
    other.kill()
    killed = time.monotonic()
    await declared(scene, "other")
    assert time.monotonic() - killed >= FREE
    assert await scene.is_dead("other")
    assert await scene.dead() == []


async def test_a_frozen_process_loses_its_session_and_is_dead(scene: Scene, other: asyncio.subprocess.Process) -> None:
    other.send_signal(signal.SIGSTOP)
    await scene.rows(
        "UPDATE workers SET beat_at = beat_at - %(micros)s WHERE id = 'other' RETURNING id", micros=31 * MICROS
    )
    assert await scene.dead() == []
    assert await scene.holder("other") is not None
    await declared(scene, "other")
    other.send_signal(signal.SIGCONT)
    await said(other, "given up")


async def test_a_process_that_was_frozen_for_a_moment_lives_on(scene: Scene, other: asyncio.subprocess.Process) -> None:
    other.send_signal(signal.SIGSTOP)
    await scene.cut("other")
    assert await scene.dead() == []
    other.send_signal(signal.SIGCONT)

    async def back() -> bool:
        return await scene.holder("other") is not None

    await until(back)
    assert await scene.dead() == []
    assert not await scene.is_dead("other")


async def test_an_observer_that_stood_still_itself_counts_anew(scene: Scene, other: asyncio.subprocess.Process) -> None:
    other.kill()
    await other.wait()

    async def free() -> bool:
        return await scene.holder("other") is None

    await until(free)
    assert await scene.dead() == []
    scene.seconds.skipped += 60
    assert not scene.me.fresh
    assert await scene.dead() == []

    async def fresh() -> bool:
        return scene.me.fresh

    await until(fresh)
    assert await scene.dead() == []
    assert not await scene.is_dead("other")
    await declared(scene, "other")


async def test_a_lock_in_another_database_of_the_server_is_nobodys_here(
    scene: Scene, other: asyncio.subprocess.Process
) -> None:
    ((key,),) = await scene.rows("SELECT lock_key FROM workers WHERE id = 'other'")
    elsewhere = session_server().create_database("elsewhere")
    async with await psycopg.AsyncConnection.connect(elsewhere, autocommit=True) as stranger:
        await stranger.execute("SELECT pg_advisory_lock(%s::integer, %s::integer)", [LOCK_CLASS, key])
        other.kill()
        await declared(scene, "other")
    session_server().drop("elsewhere")


@pytest.mark.parametrize("strength", ["SHARE", "KEY SHARE"])
async def test_death_waits_for_a_claim_on_its_way(
    scene: Scene, other: asyncio.subprocess.Process, strength: str
) -> None:
    other.kill()
    async with await psycopg.AsyncConnection.connect(scene.url) as claim:
        await claim.execute(f"SELECT 1 FROM workers WHERE id = 'other' FOR {strength}".encode())
        looking = asyncio.create_task(declared(scene, "other"))
        await scene.waited_for(claim)
        assert not await scene.is_dead("other")
        await claim.commit()
        await looking
    assert await scene.is_dead("other")


async def test_whoever_beat_or_came_back_after_the_look_is_not_declared_dead(
    scene: Scene, other: asyncio.subprocess.Process
) -> None:
    other.send_signal(signal.SIGSTOP)
    beat = await scene.beat("other")
    seen = {"class": LOCK_CLASS, "me": "me", "worker": "other", "beat_at": beat}
    stale = {**seen, "beat_at": beat - 1}
    write = scene.store._write
    assert await write(lambda db: db.rows("lives_hold", stale)) == []
    assert await write(lambda db: db.rows("lives_dead", stale)) == []
    assert await write(lambda db: db.rows("lives_end_session", stale)) == []
    assert await write(lambda db: db.rows("lives_dead", seen)) == [], "its lock is held"
    other.kill()
    await other.wait()

    async def free() -> bool:
        return await scene.holder("other") is None

    await until(free)
    assert await write(lambda db: db.rows("lives_dead", {**seen, "me": "nobody"})) == [], "one's own lock is free"
    assert await write(lambda db: db.rows("lives_dead", seen)) == [("other",)]
    assert await write(lambda db: db.rows("lives_dead", seen)) == [], "once"


async def test_the_list_of_workers(scene: Scene, other: asyncio.subprocess.Process) -> None:
    other.kill()
    await declared(scene, "other")
    me, dead = await scene.store._read(lambda db: db.named("lives_list", {"class": LOCK_CLASS}))
    assert (me.id, me.has_lock, me.dead_at, me.active) == ("me", True, None, 0)
    assert (dead.id, dead.has_lock, dead.dead_at is None, dead.active) == ("other", False, False, 0)
    assert dead.pid == other.pid
    assert 0 <= me.beat_age < PATIENCE * MICROS


async def test_old_lives_are_forgotten_by_the_next(scene: Scene) -> None:
    await scene.store.enlist("late")
    await scene.store.retire("late")
    await scene.rows(
        "UPDATE workers SET dead_at = dead_at - %(week)s WHERE id = 'late' RETURNING id", week=7 * 86400 * MICROS
    )
    await scene.store.enlist("next")
    assert await scene.rows("SELECT id FROM workers ORDER BY started_at") == [("me",), ("next",)]


@pytest.fixture
def own_server() -> Iterator[PostgresServer]:
    server = PostgresServer().start()
    yield server
    server.close()


async def test_after_a_restart_of_the_database_everybody_may_come_back(own_server: PostgresServer) -> None:
    async with opened(own_server) as scene:
        await scene.store.enlist("slow")
        since = scene.me.session_since
        assert await scene.dead() == []
        await asyncio.to_thread(own_server.restart, "immediate")
        await scene.behind.close()
        slow = scene.store.lives.life("slow")
        assert slow is not None
        await slow.end()

        async def back() -> bool:
            return scene.me.session_since not in (None, since)

        await until(back)
        async with await psycopg.AsyncConnection.connect(scene.url, autocommit=True) as scene.behind:
            for _ in range(5):
                assert await scene.dead() == []
                await asyncio.sleep(FREE / 3)
            scene.seconds.skipped += 30
            await declared(scene, "slow")


async def test_a_far_side_that_is_silent_is_cut_off(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "PATIENCE_SECONDS", 0.2)
    async with proxied(scene.url) as (proxy, url):
        life = await LockSession.begin(url, "far")
        try:
            since = life.session_since
            proxy.swallow = True

            async def lost() -> bool:
                return life.session_since is None

            await until(lost)
            assert await scene.holder("far") is not None, "the server has not noticed"
            proxy.swallow = False

            async def back() -> bool:
                return life.session_since not in (None, since)

            await until(back)
            assert not life.gone
        finally:
            await life.end()


async def test_a_pooler_is_refused(scene: Scene) -> None:
    async with proxied(scene.url, rename=True) as (_, url):
        with pytest.raises(StoreError, match=REFUSED):
            await LockSession.begin(url, "pooled")
    assert await scene.rows("SELECT 1 FROM workers WHERE id = 'pooled'") == []


@pytest.mark.skipif(shutil.which("pgbouncer") is None, reason="there is no PgBouncer here")
@pytest.mark.parametrize("mode", ["transaction", "session", "statement"])
async def test_pgbouncer_is_refused(scene: Scene, mode: str) -> None:
    async with pgbouncer(scene.url, mode) as url:
        with pytest.raises(StoreError, match=REFUSED):
            await LockSession.begin(url, "pooled")
    assert await scene.rows("SELECT 1 FROM workers WHERE id = 'pooled'") == []


@pytest.mark.skipif(shutil.which("pgbouncer") is None, reason="there is no PgBouncer here")
async def test_behind_pgbouncer_with_a_lock_url_of_its_own_all_is_well(scene: Scene) -> None:
    async with pgbouncer(scene.url, "transaction") as url:
        store = PostgresStore(url, lock_url=scene.url, connections=2)
        await store.open()
        try:
            await store.enlist("pooled")
            assert await store.dead_workers("pooled") == []
            assert await scene.holder("pooled") is not None
        finally:
            await store.close()
