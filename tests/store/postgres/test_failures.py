"""What PostgreSQL's errors mean to everybody else; no server is asked."""

import psycopg
import pytest
from psycopg import errors
from psycopg_pool import PoolClosed, PoolTimeout

from covey.domain.errors import Unavailable
from covey.store.migrate import StoreError
from covey.store.postgres.connection import PACKAGE, SESSION, application_name, conninfo
from covey.store.postgres.errors import retried, spoilt, unavailable

CANNOT_ANSWER = (
    (errors.DiskFull, "disk is full", False),
    (errors.TooManyConnections, "max_connections", True),
    (errors.OutOfMemory, "out of memory", True),
    (errors.ReadOnlySqlTransaction, "standby", True),
    (errors.QueryCanceled, "longer than it may", False),
    (errors.LockNotAvailable, "lock", False),
    (errors.AdminShutdown, "stopped", True),
    (errors.CrashShutdown, "stopped", True),
    (errors.CannotConnectNow, "starting", True),
    (errors.DatabaseDropped, "dropped", True),
    (errors.IdleInTransactionSessionTimeout, "stood still", True),
    (errors.TransactionTimeout, "longer than it may", True),
    (errors.ConnectionFailure, "lost", True),
    (errors.InvalidPassword, "user and password", True),
    (errors.InvalidCatalogName, "no database", True),
    (errors.IoError, "read or write its files", True),
    (errors.DataCorrupted, "damaged", True),
    (errors.DeadlockDetected, "each other's way", False),
    (errors.SerializationFailure, "each other's way", False),
    (psycopg.OperationalError, "lost", True),
    (psycopg.InterfaceError, "lost", True),
    (PoolTimeout, "busy", False),
    (PoolClosed, "lost", True),
)


@pytest.mark.parametrize(("error", "words", "dropped"), CANNOT_ANSWER)
def test_a_database_that_cannot_answer(error: type[psycopg.Error], words: str, dropped: bool) -> None:
    raised = error('connection to server at "db.example.org" failed for user "covey" password=hush')
    found = unavailable(raised)
    assert isinstance(found, Unavailable)
    assert words in found.message
    assert "example" not in found.message
    assert "hush" not in found.message
    assert spoilt(raised) is dropped
    assert retried(raised) is (error in (errors.DeadlockDetected, errors.SerializationFailure))


@pytest.mark.parametrize(
    "error",
    [
        errors.UniqueViolation(),
        errors.CheckViolation(),
        errors.SyntaxError(),
        errors.UndefinedColumn(),
        errors.UntranslatableCharacter(),
        errors.NumericValueOutOfRange(),
        errors.TooManyArguments(),
        errors.InFailedSqlTransaction(),
        errors.PipelineAborted(),
        psycopg.ProgrammingError(),
        ValueError(),
    ],
)
def test_a_bug_is_not_taken_for_a_failure(error: Exception) -> None:
    assert unavailable(error) is None
    assert not retried(error)
    assert not spoilt(error)


def test_what_was_said_already_is_passed_on() -> None:
    said = Unavailable("so it is")
    assert unavailable(said) is said


def test_what_the_url_says_stands_above_what_we_would_say() -> None:
    url = "postgresql://me:pw@one,two/covey?options=-c%20synchronous_commit%3Doff&connect_timeout=9&application_name=me"
    found = psycopg.conninfo.conninfo_to_dict(conninfo(url, SESSION))
    options = str(found["options"])
    assert options.startswith("-c statement_timeout=10s -c lock_timeout=5s -c idle_in_transaction_session_timeout=3s")
    assert " -c synchronous_commit=on " in options
    assert options.endswith(" -c synchronous_commit=off")
    assert (found["connect_timeout"], found["application_name"], found["host"]) == ("9", "me", "one,two")
    assert found["target_session_attrs"] == "read-write"
    assert "options" not in psycopg.conninfo.conninfo_to_dict(conninfo("postgresql://host/covey"))
    assert application_name(PACKAGE).startswith("covey schema ")


def test_a_url_that_cannot_be_read_is_not_repeated() -> None:
    with pytest.raises(StoreError, match="percent-encoded") as raised:
        conninfo("postgresql://me:hu%sh@host/covey")
    assert "hu%sh" not in str(raised.value)
    assert raised.value.__cause__ is None
