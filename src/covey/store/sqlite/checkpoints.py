"""Checkpoints: moving what was committed from the log into the database file, beside the writer, never in its way."""

import threading
from collections.abc import Callable

import apsw

from covey.store.sqlite.transaction import SqliteConnection

PAGES = 1000
"""A checkpoint is made when the log has grown by so many pages."""


class Checkpoints:
    """A thread with a connection of its own."""

    def __init__(self, connect: Callable[[], SqliteConnection]) -> None:
        self._connect = connect
        self._due = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._main, name="covey-checkpoints", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Make a last checkpoint that empties the log, and end."""
        self._closing.set()
        self._due.set()
        if self._thread.is_alive():
            self._thread.join()

    def grown(self, _connection: apsw.Connection, _schema: str, pages: int) -> int:
        """SQLite's hook after each commit: the log is `pages` long."""
        if pages >= PAGES:
            self._due.set()
        return 0

    def _main(self) -> None:
        connection = self._connect().connection
        while not self._closing.is_set():
            self._due.wait()
            self._due.clear()
            last = self._closing.is_set()
            mode = apsw.SQLITE_CHECKPOINT_TRUNCATE if last else apsw.SQLITE_CHECKPOINT_PASSIVE
            try:
                connection.wal_checkpoint(mode=mode)
            except apsw.Error:
                self._due.wait(1.0)
        connection.close()
