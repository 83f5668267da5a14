"""One real SQLite database, shared by all simulated processes, with the operations that every store has.

An operation runs as PostgreSQL would let it: what it reads before its first lock it may read long before the rest,
and what others commit meanwhile it sees only when it reads again. All else of it is one moment.
"""

from collections import Counter
from collections.abc import Callable, Coroutine, Generator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from types import coroutine
from typing import Any

import apsw

from covey.store.operations.transaction import Params, Values
from covey.store.sqlite.transaction import SqliteConnection, SqliteTransaction, connect, migrate
from covey.store.statements import statements

from .loop import Loop, ProcessClock
from .recount import Recount

Operation = Callable[[SqliteTransaction], Coroutine[Any, Any, Any]]
Done = Callable[[Any, BaseException | None], None]

LOCK_WAITS = 0.15
"""How often an operation waits for its first lock, as if somebody else held it."""

_connection: list[SqliteConnection] = []


def _database() -> SqliteConnection:
    """The one connection of this process, its tables empty."""
    if not _connection:
        database = connect(Path(":memory:"), statements("sqlite"))
        database.connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)  # or statements are planned at every binding
        migrate(database)
        database.connection.pragma("synchronous", "off")
        _connection.append(database)
    connection = _connection[0].connection
    tables = connection.execute("SELECT name FROM main.sqlite_schema WHERE type = 'table'").fetchall()
    for (table,) in tables:
        connection.execute(f'DELETE FROM main."{table}"')
    return _connection[0]


@coroutine
def _wait() -> Generator[None, None, None]:
    yield


class Locking(SqliteTransaction):
    """A transaction whose first lock may have to be waited for, as long as nothing was written."""

    def __init__(self, database: SqliteConnection, clock: ProcessClock, waits: bool) -> None:
        super().__init__(database, clock)
        self._waits = waits
        self.claims_for: str | None = None
        self.told: list[str] = []

    async def tell(self, what: str) -> None:
        self.told.append(what)

    async def lock(self, name: str, params: Params) -> None:
        waits, self._waits = self._waits, False
        if waits:
            await _wait()

    async def value(self, name: str, params: Params) -> Any:
        found = await super().value(name, params)
        if name == "worker_alive" and found:
            self.claims_for = params["worker"]
        return found

    async def run(self, name: str, params: Params) -> int:
        self._waits = False
        return await super().run(name, params)

    async def write(self, name: str, params: Params) -> None:
        self._waits = False
        await super().write(name, params)

    async def many(self, name: str, values: Values) -> None:
        if values:
            self._waits = False
            await super().many(name, values)


@dataclass(slots=True)
class Underway:
    """An operation that waits for a lock."""

    steps: Coroutine[Any, Any, Any]
    transaction: Locking
    done: Done
    life: int


class SimulatedDatabase:
    """Executes operations, restarts, and falls back to an earlier moment."""

    def __init__(self, loop: Loop, dice: Random) -> None:
        self._loop = loop
        self._dice = dice
        self.clock = ProcessClock(loop)
        self.database = _database()
        self.connection: apsw.Connection = self.database.connection
        self.recount = Recount(self.database)
        self.up = True
        self.notify: Callable[[str], None] = lambda hint: None
        """Is given every hint in the moment of the commit that it comes with."""
        self.life = 0
        self.operations = 0
        self._claiming: Counter[str] = Counter()
        self._snapshot: apsw.Connection | None = None

    def execute(self, operation: Operation, done: Done) -> None:
        """Run an operation; `done` is told of its result or error in the moment in which it is committed."""
        transaction = Locking(self.database, self.clock, self._dice.random() < LOCK_WAITS)
        self._go_on(Underway(operation(transaction), transaction, done, self.life))

    def claims(self, worker: str) -> bool:
        """Whether a claim of this worker waits for a lock: it holds the worker's row."""
        return self._claiming[worker] > 0

    def _go_on(self, one: Underway) -> None:
        if one.life != self.life:
            one.steps.close()
            return
        self._claiming[one.transaction.claims_for or ""] -= one.transaction.claims_for is not None
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            one.steps.send(None)
        except StopIteration as end:
            self.connection.execute("COMMIT")
            self._ended(one, end.value, None)
            for hint in dict.fromkeys(one.transaction.told):
                self.notify(hint)
        except BaseException as error:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            self._ended(one, None, error)
        else:
            self.connection.execute("COMMIT")
            self._claiming[one.transaction.claims_for or ""] += one.transaction.claims_for is not None
            self._loop.at(self._loop.time() + self._dice.random() ** 4 * 0.2, self._go_on, one)

    def _ended(self, one: Underway, result: Any, error: BaseException | None) -> None:
        self.operations += 1
        try:
            one.done(result, error)
        except BaseException as failure:
            self._loop.fail(failure)

    def stop(self) -> None:
        """The server is gone, and with it whatever it was doing."""
        self.up = False
        self.life += 1
        self._claiming.clear()

    def start(self) -> None:
        """The server is back."""
        self.up = True

    def keep(self) -> None:
        """Keep this moment, for a fail-over to a standby that has no later one."""
        self._snapshot = apsw.Connection(":memory:")
        self._copy(self.connection, self._snapshot)

    def fall_back(self) -> bool:
        """The kept moment is the present, if there is one: what was acknowledged since is lost."""
        if self._snapshot is None:
            return False
        self._copy(self._snapshot, self.connection)
        self._snapshot.close()
        self._snapshot = None
        self.recount.begin()
        return True

    @staticmethod
    def _copy(source: apsw.Connection, target: apsw.Connection) -> None:
        with target.backup("main", source, "main") as backup:
            while not backup.done:
                backup.step(1000)
