"""Reading: a few threads, each with a connection of its own; every read sees one snapshot."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import apsw

from covey.domain.errors import Unavailable
from covey.store.sqlite.transaction import SqliteConnection
from covey.store.sqlite.writer import unavailable

T = TypeVar("T")


class Reader:
    """Runs functions that only look."""

    def __init__(self, connect: Callable[[], SqliteConnection], threads: int = 2) -> None:
        """`connect` is called once in each thread."""
        self._connect = connect
        self._local = threading.local()
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="covey-reader")
        self._opened: list[SqliteConnection] = []

    async def run(self, look: Callable[[SqliteConnection], T]) -> T:
        """Run `look` in one snapshot. Raises what it raises, and Unavailable when the database fails."""
        try:
            looking = asyncio.get_running_loop().run_in_executor(self._pool, self._look, look)
        except RuntimeError as error:
            raise Unavailable("the database is closing") from error
        return await looking

    def _look(self, look: Callable[[SqliteConnection], T]) -> T:
        try:
            database = self._database()
            database.connection.execute("BEGIN")
            try:
                return look(database)
            finally:
                database.end_at(None)
                database.connection.execute("ROLLBACK")
        except apsw.Error as error:
            raise unavailable(error) from error

    def _database(self) -> SqliteConnection:
        database: SqliteConnection | None = getattr(self._local, "database", None)
        if database is None:
            database = self._local.database = self._connect()
            self._opened.append(database)
        return database

    def close(self) -> None:
        """End the threads and their connections."""
        self._pool.shutdown(wait=True)
        for database in self._opened:
            database.connection.close()
