"""The one thread that writes. A whole operation crosses to it once; what waits is committed as one group.

Nobody is answered before COMMIT returned. Each operation runs in a savepoint, so one that fails takes nothing with
it. SQLite may roll the whole group back by itself (a full disk does): then nobody in it was answered, and all are
told that the database was not available.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import apsw
import structlog

from covey.disk import NO_ROOM
from covey.domain.errors import CoveyError, DatabaseFull, Unavailable
from covey.store.sqlite.transaction import SqliteConnection

log = structlog.get_logger(__name__)

T = TypeVar("T")
Operation = Callable[[SqliteConnection], T]

GROUP_SECONDS = 0.010
GROUP_ROWS = 1000


@dataclass(slots=True)
class _Job:
    operation: Operation[Any]
    future: asyncio.Future[Any]
    rows: int
    result: Any = None
    error: BaseException | None = None
    wakeups: Sequence[str] = ()


class Writer:
    """Runs operations on one connection, in one thread, in groups."""

    def __init__(
        self, connect: Callable[[], SqliteConnection], heard: Callable[[str], None] = lambda wakeup: None
    ) -> None:
        """`connect` is called once, in the writer's thread; `heard` on the loop, with every wakeup of an operation that
        is on disk, and before whoever asked for the operation goes on."""
        self._connect = connect
        self._heard = heard
        self._urgent: deque[_Job] = deque()
        self._jobs: deque[_Job] = deque()
        self._wake = threading.Condition()
        self._closing = False
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def start(self) -> None:
        """Open the connection; raises what `connect` raises."""
        self._loop = asyncio.get_running_loop()
        ready: asyncio.Future[None] = self._loop.create_future()
        self._thread = threading.Thread(target=self._main, args=(ready,), name="covey-writer", daemon=True)
        self._thread.start()
        await ready

    async def stop(self) -> None:
        """Finish what waits, close the connection, end the thread."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join)

    @property
    def waiting(self) -> int:
        """How many operations wait."""
        return len(self._urgent) + len(self._jobs)

    async def run(self, operation: Operation[T], *, urgent: bool = False, rows: int = 1) -> T:
        """Run `operation` and return what it returned, once it is on disk.

        `urgent` ones (stops, finishes) go first; `rows` is about how many rows it writes. Raises what the operation
        raises, and Unavailable when the database fails: then nothing of it was written.
        """
        assert self._loop is not None, "the writer was not started"
        job = _Job(operation, self._loop.create_future(), rows)
        with self._wake:
            if self._closing:
                raise Unavailable("the database is closing")
            (self._urgent if urgent else self._jobs).append(job)
            self._wake.notify()
        return await job.future  # type: ignore[no-any-return]

    def _main(self, ready: asyncio.Future[None]) -> None:
        assert self._loop is not None
        try:
            database = self._connect()
        except BaseException as error:
            self._loop.call_soon_threadsafe(ready.set_exception, error)
            return
        self._loop.call_soon_threadsafe(ready.set_result, None)
        while self._await_work():
            self._answer(self._group(database))
        database.connection.close()

    def _await_work(self) -> bool:
        with self._wake:
            while not (self._urgent or self._jobs or self._closing):
                self._wake.wait()
            return bool(self._urgent or self._jobs)

    def _next(self) -> _Job | None:
        for queue in (self._urgent, self._jobs):
            while queue:
                job = queue.popleft()
                if not job.future.done():
                    return job
        return None

    def _group(self, database: SqliteConnection) -> list[_Job]:
        """Run one group of what waits; every job in it has its result or error, and it is on disk."""
        connection = database.connection
        done: list[_Job] = []
        try:
            connection.execute("BEGIN IMMEDIATE")
            rows, until = 0, time.monotonic() + GROUP_SECONDS
            while rows < GROUP_ROWS and (not done or time.monotonic() < until):
                job = self._next()
                if job is None:
                    break
                done.append(job)
                rows += job.rows
                if not _run_one(database, job):
                    raise Unavailable("the database rolled everything back")
            connection.execute("COMMIT")
        except (apsw.Error, Unavailable) as error:
            _roll_back(connection)
            lost = unavailable(error, connection.system_errno)
            if not done and (job := self._next()):
                done.append(job)
            for job in done:
                job.error = job.error if isinstance(job.error, Unavailable) else lost
        return done

    def _answer(self, done: list[_Job]) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._deliver, done)

    def _deliver(self, done: list[_Job]) -> None:
        for job in done:
            _tell(job)
            for wakeup in job.wakeups if job.error is None else ():
                self._hear(wakeup)

    def _hear(self, wakeup: str) -> None:
        try:
            self._heard(wakeup)
        except Exception:
            log.exception("wakeup_not_understood")


def unavailable(error: BaseException, errno: int = 0) -> Unavailable:
    """What a database error is to everybody else; `errno` is the system's, of a write that failed."""
    if isinstance(error, Unavailable):
        return error
    if isinstance(error, apsw.FullError) or (isinstance(error, apsw.IOError) and errno in NO_ROOM):
        return DatabaseFull("the disk is full: free some space, nothing acknowledged was lost")
    match error:
        case apsw.ReadOnlyError() | apsw.PermissionsError():
            why = "the database file cannot be written: check its permissions"
        case apsw.CorruptError() | apsw.NotADBError():
            why = "the database file is damaged: restore a backup"
        case apsw.InterruptError():
            why = "a statement took longer than it may"
        case _:
            why = f"the database failed ({type(error).__name__})"
    return Unavailable(why)


def _run_one(database: SqliteConnection, job: _Job) -> bool:
    """Run one job in a savepoint; False if the whole transaction is gone."""
    connection = database.connection
    connection.execute("SAVEPOINT operation")
    database.wakeups = []
    try:
        job.result = job.operation(database)
        job.wakeups = database.wakeups
    except BaseException as error:
        if connection.in_transaction:
            connection.execute("ROLLBACK TO operation")
        if isinstance(error, apsw.Error) and not isinstance(error, apsw.ConstraintError):
            job.error = unavailable(error, connection.system_errno)
        else:
            job.error = error
    if not connection.in_transaction:
        return False
    connection.execute("RELEASE operation")
    return True


def _roll_back(connection: apsw.Connection) -> None:
    if connection.in_transaction:
        connection.execute("ROLLBACK")


def _tell(job: _Job) -> None:
    """Answer whoever asked, if they still wait."""
    if job.future.done():
        return
    if job.error is None:
        job.future.set_result(job.result)
    elif isinstance(job.error, Exception):
        job.future.set_exception(job.error)
    else:
        job.future.set_exception(CoveyError(f"an operation ended with {type(job.error).__name__}"))
