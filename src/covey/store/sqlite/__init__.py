"""The store on SQLite: one file, one process that owns it, one thread that writes."""

from covey.store.sqlite.store import SqliteStore, copy_database

__all__ = ["SqliteStore", "copy_database"]
