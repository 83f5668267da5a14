"""One worker's life: a session of its own that holds the worker's lock, beats, and hears the wakeups of others.

The lock stands and falls with the session, so the database itself says who is alive, even of a process that was
killed. Sessions are lost without a fault of the process too; it then takes its lock again, and as its row says whether
it was given up meanwhile, nobody is dead and alive at once.
"""

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import version
from typing import Any, Self

import psycopg
import structlog
from psycopg import AsyncConnection

from covey.domain.errors import Conflict, Unavailable
from covey.domain.liveness import FREE_SECONDS, Look, Observer, Verdict
from covey.store.migrate import StoreError
from covey.store.operations.transaction import Database
from covey.store.postgres.connection import Connection, adapters_context, conninfo, cut, statement
from covey.store.postgres.errors import unavailable

log = structlog.get_logger(__name__)

LOCK_CLASS = 0x436F7665
"""The first half of every life's advisory lock; the second is the worker's lock key."""

BEAT_SECONDS = 1.0

RETURN_SECONDS = 2.0
"""So long after a lost session came back its worker claims nothing. The database may have failed over and lost what it
had acknowledged: first everybody compares what is in their hands, and pauses what must not be handed out again."""

FRESH_SECONDS = 3.0
"""So long after the last beat that was answered a worker may claim."""

PATIENCE_SECONDS = 5.0
"""How long an answer is waited for. A far side that is silent for longer is cut off, whatever TCP believes."""

FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 0.2, 2.0
"""How long to wait before the session is begun again, at first and at most."""

POOLED = (
    "the lock connection goes through a pooler ({why}), where a lock outlives its owner or is lost at any moment: "
    "let database_lock_url lead to PostgreSQL itself"
)


class _Evicted(Exception):
    """Others declared this worker dead, or its row is gone."""


class LockSession:
    """The life of one worker. `LockSession.begin` is the only way to make one."""

    def __init__(self, url: str, worker: str, heard: Callable[[str], None], monotonic: Callable[[], float]) -> None:
        self.worker = worker
        self.gone = False
        """Whether others declared this worker dead: its runs are theirs, and it never comes back."""
        self.session_since: float | None = None
        """Since when the lock has been held without a break, in monotonic seconds; None while it is not."""
        self._url = url
        self._heard = heard
        self._monotonic = monotonic
        self._connection: Connection | None = None
        self._backend = 0
        self._key = 0
        self._answered = 0.0
        self._returned: float | None = None
        self._task: asyncio.Task[None] | None = None

    @classmethod
    async def begin(
        cls,
        url: str,
        worker: str,
        *,
        heard: Callable[[str], None] = lambda wakeup: None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> Self:
        """Take a new lock, write the worker's row, and beat from now on in a task of the running loop.

        `url` leads to PostgreSQL itself. `heard` gets the wakeups of other processes; "" means that some may have been
        missed. Raises StoreError if the connection is a pooler's, Unavailable if the database does not answer.
        """
        life = cls(url, worker, heard, monotonic)
        try:
            await life._open(life._first)
        except psycopg.Error as error:
            raise unavailable(error) or error from error
        life._task = asyncio.create_task(life._go_on(), name=f"life {worker}")
        return life

    @property
    def fresh(self) -> bool:
        """Whether a beat was answered lately: without that a worker claims nothing."""
        return not self.gone and self._monotonic() - self._answered < FRESH_SECONDS

    @property
    def settling(self) -> bool:
        """Whether the session came back so lately that nothing is to be claimed yet."""
        return self._returned is not None and self._monotonic() - self._returned < RETURN_SECONDS

    async def end(self) -> None:
        """Give the lock back and close the session. What the worker's row says is left as it is."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        connection = self._connection
        if connection is not None and not connection.closed:
            with contextlib.suppress(psycopg.Error), _patience(connection):
                await self._value(connection, "lives_release", self._lock)
        await self._close()

    @property
    def _lock(self) -> Mapping[str, int]:
        return {"class": LOCK_CLASS, "key": self._key}

    @staticmethod
    async def _row(connection: Connection, name: str, params: Mapping[str, Any]) -> Any:
        cursor = await connection.execute(statement(name).encode(), params)
        return await cursor.fetchone()

    async def _value(self, connection: Connection, name: str, params: Mapping[str, Any]) -> Any:
        return (await self._row(connection, name, params))[0]

    async def _go_on(self) -> None:
        wait = FIRST_WAIT_SECONDS
        while True:
            try:
                if self._connection is None:
                    await self._open(self._again)
                    self._returned = self._monotonic()
                    log.info("lock_session_restored", worker=self.worker)
                    self._tell("")
                wait = FIRST_WAIT_SECONDS
                await self._beat_and_hear()
            except _Evicted:
                self.gone = True
                await self._close()
                log.critical("worker_evicted", worker=self.worker)
                return
            except Exception as error:
                await self._close()
                why = unavailable(error) or error
                expected = isinstance(why, Unavailable | StoreError)
                log.warning("lock_session_lost", worker=self.worker, why=str(why), exc_info=not expected)
            await asyncio.sleep(wait)
            wait = min(2 * wait, LONGEST_WAIT_SECONDS)

    async def _open(self, take: Callable[[Connection], Any]) -> None:
        """Connect, let `take` have the lock, and listen; from then on the lock is held."""
        connection: Connection = await AsyncConnection.connect(
            conninfo(self._url),
            autocommit=True,
            application_name=f"covey lock {self.worker}",
            context=adapters_context(),
        )
        try:
            with _patience(connection, times=2):
                self._backend = await self._direct(connection)
                await connection.execute(statement("lives_session").encode())
                await take(connection)
                await connection.execute(statement("lives_listen").encode())
        except BaseException:
            await connection.close()
            raise
        self._connection = connection
        self.session_since = self._monotonic()

    async def _direct(self, connection: Connection) -> int:
        """The server process behind the connection. Raises StoreError if it is not the one that was connected to."""
        backend = int(await self._value(connection, "lives_backend", {}))
        if backend != connection.info.backend_pid:
            raise StoreError(POOLED.format(why="another server process answers than the one that was connected to"))
        return backend

    async def _first(self, connection: Connection) -> None:
        """A new lock, then the row that names it: whoever sees the row can see the lock."""
        self._key = await self._value(connection, "lives_key", {})
        await self._take(connection)
        me = {"host": socket.gethostname(), "pid": os.getpid(), "version": version("covey")}
        self._answered = self._monotonic()
        await connection.execute(statement("worker_new").encode(), {"worker": self.worker, "key": self._key, **me})
        await connection.execute(statement("lives_forget").encode())

    async def _again(self, connection: Connection) -> None:
        """The same lock again. A session of the past may still hold it, as the server has not noticed its loss."""
        past = {"class": LOCK_CLASS, "worker": self.worker, "beat_at": None}
        await connection.execute(statement("lives_end_session").encode(), past)
        await self._take(connection)
        await self._beat(connection)

    async def _take(self, connection: Connection) -> None:
        await connection.execute(statement("lives_take").encode(), self._lock)
        backend, held = await self._row(connection, "lives_mine", self._lock)
        if backend != self._backend or not held:
            raise StoreError(POOLED.format(why="a lock is not held any more in the next transaction"))

    async def _beat(self, connection: Connection) -> None:
        """Beat once. The row's lock decides between this and being declared dead."""
        asked = self._monotonic()
        row = await self._row(connection, "lives_beat", {"worker": self.worker})
        if row is None:
            raise _Evicted
        if row[0] != self._backend:
            raise StoreError(POOLED.format(why="the server process behind it changes"))
        self._answered = asked

    async def _beat_and_hear(self) -> None:
        """Beat once a second, and pass on what is heard between. Ends by an error only: the session is lost then."""
        connection = self._connection
        assert connection is not None
        due = self._monotonic()
        while True:
            try:
                with _patience(connection):
                    await self._beat(connection)
            except psycopg.Error as error:
                if connection.closed:
                    raise
                log.warning("heartbeat_failed", worker=self.worker, why=str(unavailable(error) or error))
            due = max(due + BEAT_SECONDS, self._monotonic())
            while (left := due - self._monotonic()) > 0:
                async for notify in connection.notifies(timeout=left):
                    self._tell(notify.payload)

    def _tell(self, wakeup: str) -> None:
        try:
            self._heard(wakeup)
        except Exception:
            log.exception("wakeup_not_understood")

    async def _close(self) -> None:
        """Leave the session, and with it the lock."""
        connection, self._connection, self.session_since = self._connection, None, None
        if connection is not None:
            await connection.close()


@contextlib.contextmanager
def _patience(connection: Connection, times: float = 1) -> Iterator[None]:
    """Cut the connection off under what waits on it for too long, which then fails at once."""
    end = asyncio.get_running_loop().call_later(times * PATIENCE_SECONDS, cut, connection)
    try:
        yield
    finally:
        end.cancel()


log = structlog.get_logger(__name__)


class LockSessions:
    """What a store knows of who is alive. It is only as good as how often `dead_workers` is asked."""

    def __init__(
        self,
        url: str,
        heard: Callable[[str], None] = lambda wakeup: None,
        *,
        free_seconds: float = FREE_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`url` leads to PostgreSQL itself; `heard` as for `LockSession.begin`; `free_seconds` as for `Observer`."""
        self._url = url
        self._heard = heard
        self._free_seconds = free_seconds
        self._monotonic = monotonic
        self._lives: dict[str, tuple[LockSession, Observer]] = {}

    async def begin(self, worker: str) -> LockSession:
        """Begin a worker's life. Raises StoreError behind a pooler, Unavailable without a database."""
        life = await LockSession.begin(self._url, worker, heard=self._heard, monotonic=self._monotonic)
        self._lives[worker] = life, Observer(worker, self._free_seconds)
        return life

    async def end(self, worker: str) -> None:
        """End a worker's session, if it has one here. Unless its row says that it is dead, others will soon."""
        life, _ = self._lives.pop(worker, (None, None))
        if life is not None:
            await life.end()

    async def close(self) -> None:
        """End all lives."""
        for worker in list(self._lives):
            await self.end(worker)

    def life(self, worker: str) -> LockSession | None:
        """The life of a worker of this process."""
        return self._lives.get(worker, (None, None))[0]

    def check(self, worker: str) -> None:
        """Whether a worker may claim as far as is known here; the database itself looks at its row.

        Raises Conflict `worker_gone` for one that was given up, Unavailable for one whose beats are not answered.
        """
        life = self.life(worker)
        if life is not None and life.gone:
            raise Conflict("This worker was given up", code="worker_gone")
        if life is not None and not life.fresh:
            raise Unavailable("the database has not answered this worker's beats lately")
        if life is not None and life.session_since is None:
            raise Unavailable("this worker's lock session is lost")
        if life is not None and life.settling:
            raise Unavailable("the database is back: everybody compares what is in their hands first")

    async def dead_workers(self, me: str, database: Database) -> list[str]:
        """See `Liveness.dead_workers`. `database` is one READ COMMITTED transaction."""
        declared = await self._declare(me, database) if me in self._lives else []
        to_settle = [row[0] for row in await database.rows("lives_to_settle", {"me": me})]
        return list(dict.fromkeys([*declared, *to_settle]))

    async def _declare(self, me: str, database: Database) -> list[str]:
        """Look at all workers once; those that are now declared dead."""
        verdict, beats = await self._look(me, database)
        for worker in verdict.frozen:
            if await database.rows("lives_end_session", _of(worker, beats)):
                log.warning("frozen_worker_terminated", worker=worker)
        declared = []
        for worker in verdict.dead:
            seen = {**_of(worker, beats), "me": me}
            if await database.rows("lives_hold", seen) and await database.rows("lives_dead", seen):
                log.warning("worker_dead", worker=worker)
                declared.append(worker)
        return declared

    async def _look(self, me: str, database: Database) -> tuple[Verdict, dict[str, int]]:
        """The verdict of one look, and the beats it saw. Who cannot beat himself judges nobody: what is wrong with the
        others may be wrong with the database."""
        life, observer = self._lives[me]
        asked = self._monotonic()
        rows = await database.named("lives_look", {"class": LOCK_CLASS})
        at = self._monotonic()
        looks = [Look(row.id, bool(row.has_lock), row.beat_age / 1e6) for row in rows]
        verdict = observer.look(looks, at, life.session_since if life.fresh else None, at - asked)
        return verdict, {row.id: row.beat_at for row in rows}


def _of(worker: str, beats: dict[str, int]) -> dict[str, Any]:
    return {"class": LOCK_CLASS, "worker": worker, "beat_at": beats[worker]}
