"""What PostgreSQL's errors mean: the database cannot answer, or somebody was in the way, or there is a bug.

The words of Unavailable reach the log and `covey doctor`; they name no host, no user and no statement.
"""

import psycopg
from psycopg.errors import (
    DeadlockDetected,
    DiskFull,
    IdleInTransactionSessionTimeout,
    PipelineAborted,
    SerializationFailure,
    TransactionTimeout,
)
from psycopg_pool import PoolTimeout, TooManyRequests

from covey.domain.errors import DatabaseFull, Unavailable

LOST = "the connection to the database was lost, or there is none"

_BY_CODE = {
    "25006": "the database takes no writes: it is a standby, or read-only",
    "25P03": "this process stood still within a transaction: the database rolled it back",
    "25P04": "a transaction took longer than it may: the database rolled it back",
    "40001": "too many transactions were in each other's way",
    "40003": LOST,
    "40P01": "too many transactions were in each other's way",
    "53100": "the database's disk is full: free some space there, nothing acknowledged was lost",
    "53200": "the database is out of memory",
    "53300": "the database has no connection left: raise its max_connections, or lower database_connections",
    "55P03": "a lock was not to be had in time",
    "57014": "a statement took longer than it may",
    "57P03": "the database is starting, or in recovery",
    "57P04": "the database was dropped",
    "XX001": "the database is damaged: restore a backup",
    "XX002": "an index of the database is damaged: REINDEX it",
}
_BY_CLASS = {
    "08": LOST,
    "28": "the database does not let Covey in: check user and password",
    "3D": "there is no database of this name",
    "53": "the database lacks what it needs to answer",
    "57": "the database is being stopped, or ended this connection",
    "58": "the database cannot read or write its files",
}
"""By the first two characters of the SQLSTATE (PostgreSQL's appendix A)."""

_STILL_GOOD = frozenset({"40001", "40P01", "53100", "55P03", "57014"})
"""After these the session goes on; after all others it may be a wrong or a broken one."""


def unavailable(error: BaseException) -> Unavailable | None:
    """The Unavailable that a database error is to everybody else; None for what must not be taken for one (a bug).

    `PipelineAborted` is None too: it only says that an earlier statement failed, whose own error decides.
    """
    if isinstance(error, Unavailable):
        return error
    if not isinstance(error, psycopg.Error) or isinstance(error, PipelineAborted):
        return None
    if isinstance(error, PoolTimeout | TooManyRequests):
        return Unavailable("all connections to the database are busy, or none can be made")
    code = error.sqlstate
    if code is None:
        lost = isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
        return Unavailable(LOST) if lost else None
    why = _BY_CODE.get(code) or _BY_CLASS.get(code[:2])
    if why is None:
        return None
    return DatabaseFull(why) if isinstance(error, DiskFull) else Unavailable(why)


def retried(error: BaseException) -> bool:
    """Whether the same transaction may be tried again at once: nothing of it was done, and nothing is wrong."""
    return isinstance(error, DeadlockDetected | SerializationFailure)


def spoilt(error: BaseException) -> bool:
    """Whether the connection must go to nobody else. A session that cannot write (25006) is one with a database that
    became a standby: it would fail for ever."""
    if not isinstance(error, psycopg.Error) or isinstance(error, PoolTimeout | TooManyRequests):
        return False
    if isinstance(error, IdleInTransactionSessionTimeout | TransactionTimeout):
        return True
    return unavailable(error) is not None and error.sqlstate not in _STILL_GOOD
