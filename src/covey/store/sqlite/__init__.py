"""The store on SQLite: one file, one process that owns it, one thread that writes."""

from covey.store.sqlite.backup import copy_database, damage, restore
from covey.store.sqlite.store import SqliteStore

__all__ = ["SqliteStore", "copy_database", "damage", "restore"]
