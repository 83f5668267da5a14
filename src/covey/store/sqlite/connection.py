"""Opening a database file: the settings that every connection has, and the schema brought up to date."""

from collections.abc import Mapping
from pathlib import Path

import apsw

from covey import private
from covey.store.migrate import pending
from covey.store.sqlite.database import Database

PACKAGE = "covey.store.sqlite"


def connect(path: Path, sql: Mapping[str, str], *, readonly: bool = False) -> Database:
    """A connection with the settings that every connection of Covey has."""
    if not readonly:
        private.new_file(path)
    flags = apsw.SQLITE_OPEN_READONLY if readonly else apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
    connection = apsw.Connection(str(path), flags=flags, statementcachesize=256)
    connection.set_busy_timeout(10_000)
    if not readonly:
        connection.pragma("journal_mode", "wal")
        connection.pragma("synchronous", "full")
        connection.pragma("wal_autocheckpoint", 0)
    # A statement is planned once, not anew for every value it is given.
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
    connection.pragma("foreign_keys", False)
    connection.pragma("cache_size", -32_000)
    return Database(connection, sql)


def migrate(database: Database) -> None:
    """Bring the schema up to date. Raises StoreError if the database is newer than this code."""
    connection = database.connection
    for step in pending(PACKAGE, int(connection.pragma("user_version"))):
        with connection:
            connection.execute(step.sql)
            connection.pragma("user_version", step.number)
