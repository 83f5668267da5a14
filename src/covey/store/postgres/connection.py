"""Connections to PostgreSQL: what every session is set to, how values cross, and the pool.

A session sets its own time limits, so that no process, however it hangs, keeps locks that others wait for: a statement
ends after 10 s, the wait for a lock after 5 s, a transaction in which nothing happens after 3 s. Behind a pooler in
transaction mode (PgBouncer) sessions are shared, so nothing is set there: `ALTER ROLE … SET` does it, and `covey
doctor` looks.
"""

import asyncio
import contextlib
import select
import socket
from collections.abc import AsyncIterator, Mapping
from functools import cache
from typing import Any

import psycopg
from psycopg import AsyncConnection, AsyncCursor
from psycopg.abc import Buffer
from psycopg.adapt import AdaptersMap, Loader
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import Format
from psycopg.rows import AsyncRowFactory
from psycopg.types.numeric import Int8BinaryDumper, Int8Dumper
from psycopg_pool import AsyncConnectionPool

from covey.store.migrate import StoreError, migrations
from covey.store.postgres.errors import spoilt, unavailable
from covey.store.statements import statements

PACKAGE = "covey.store.postgres"

STATEMENT_SECONDS = 10
WAIT_SECONDS = 5.0
"""How long an operation waits for a connection of the pool."""

LOAN_SECONDS = 15.0
"""How long one transaction may have a connection. A far side that is silent altogether is cut off then: neither the
server's time limits nor TCP's see one whose network swallows everything."""

RECONNECT_SECONDS = 1.0
"""How long the pool tries for a connection that was asked for. Asking again tries again, so that a database that comes
back is found at once, not after the pool's growing delays."""

PREPARED_AFTER = 2
PREPARED_MOST = 500

SESSION = {
    "statement_timeout": f"{STATEMENT_SECONDS}s",
    "lock_timeout": "5s",
    "idle_in_transaction_session_timeout": "3s",
    "synchronous_commit": "on",
    "timezone": "UTC",
    # Every statement has an index for what it asks, and a plan is kept for as long as its session lives: one that was
    # made while a table was small (read it all, hash it) would stay when it has millions of rows.
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "plan_cache_mode": "force_generic_plan",
    "jit": "off",
}
"""What a session of the pool is set to; the `options` of the URL stand above it."""

DEFAULTS: Mapping[str, str | int] = {
    "client_encoding": "UTF8",
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
    "target_session_attrs": "read-write",
}
"""What the URL may say otherwise (libpq's parameter key words). Of several hosts the one that takes writes is used."""

Connection = AsyncConnection[Any]
Pool = AsyncConnectionPool[Connection]


class BinaryCursor(AsyncCursor[Any]):
    """A cursor whose results come in binary."""

    def __init__(self, connection: Connection, *, row_factory: AsyncRowFactory[Any] | None = None) -> None:
        super().__init__(connection, row_factory=row_factory or connection.row_factory)
        self.format = Format.BINARY


class _JsonText(Loader):
    """`json` as its raw bytes: the engine parses what it needs, and most of it never."""

    def load(self, data: Buffer) -> bytes:
        return bytes(data)


class _JsonBinary(_JsonText):
    format = Format.BINARY


@cache
def adapters() -> AdaptersMap:
    """How values cross: `json` comes as bytes; an int goes as bigint, whatever its size, so that one statement is
    prepared once and not for every mixture of sizes."""
    made = AdaptersMap(psycopg.adapters)
    made.register_loader("json", _JsonText)
    made.register_loader("json", _JsonBinary)
    made.register_dumper(int, Int8Dumper)
    made.register_dumper(int, Int8BinaryDumper)
    return made


def statement(name: str) -> str:
    """The text of one of PostgreSQL's statements."""
    return statements("postgres")[name]


def application_name(package: str = PACKAGE) -> str:
    """How the database's own views name a Covey: by the newest schema it knows."""
    return f"covey schema {len(migrations(package))}"


def conninfo(url: str, session: Mapping[str, str] | None = None, *, package: str = PACKAGE) -> str:
    """libpq's connection string for a URL. `session` is what the session is set to (None: nothing).

    Raises StoreError, which does not repeat the URL, if it cannot be read.
    """
    try:
        given = conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        raise StoreError(
            "the database's URL cannot be read: it should be like postgresql://user:password@host:5432/name, with "
            "what is special in user or password percent-encoded"
        ) from None
    own = " ".join(f"-c {name}={value}" for name, value in (session or {}).items())
    options = f"{own} {given.pop('options', None) or ''}".strip()
    named = {"fallback_application_name": application_name(package)}
    return make_conninfo("", **{**DEFAULTS, **named, **given, **({"options": options} if options else {})})


def make_pool(url: str, *, most: int, pooled: bool = False) -> Pool:
    """A pool of at most `most` connections, not opened yet. `pooled`: the URL leads to a pooler in transaction mode,
    where neither settings nor prepared statements of a session can be relied on.

    Every connection is in autocommit: who needs a transaction begins one. Take connections by `lent`.
    """
    return AsyncConnectionPool(
        conninfo(url, None if pooled else SESSION),
        min_size=min(2, most),
        max_size=most,
        open=False,
        name="covey",
        timeout=WAIT_SECONDS,
        reconnect_timeout=RECONNECT_SECONDS,
        configure=_configure,
        kwargs={
            "autocommit": True,
            "context": adapters_context(),
            "cursor_factory": BinaryCursor,
            "prepare_threshold": None if pooled else PREPARED_AFTER,
        },
    )


class _Context:
    """What psycopg takes adapters from."""

    connection = None

    @property
    def adapters(self) -> AdaptersMap:
        return adapters()


def adapters_context() -> Any:
    """The `context` for connections that are made outside the pool."""
    return _Context()


async def _configure(connection: Connection) -> None:
    connection.prepared_max = PREPARED_MOST


async def _take(pool: Pool) -> Connection:
    """A connection that the server has not closed meanwhile. Raises PoolTimeout."""
    while _ended(connection := await pool.getconn()):
        await connection.close()
        await pool.putconn(connection)
    return connection


def _ended(connection: Connection) -> bool:
    """Whether an idle session is over. Nothing is sent, its socket is only looked at: it has nothing else to say."""
    poller = select.poll()
    poller.register(connection.fileno(), select.POLLIN)
    return bool(poller.poll(0))


@contextlib.asynccontextmanager
async def lent(pool: Pool, seconds: float = LOAN_SECONDS) -> AsyncIterator[Connection]:
    """A connection of the pool, for one transaction of at most `seconds`.

    Raises Unavailable for what `failures.unavailable` says is one, and psycopg's own error for everything else. A
    connection that failed so that nobody should have it is closed.
    """
    try:
        connection = await _take(pool)
    except psycopg.Error as error:
        raise unavailable(error) or error from error
    end = asyncio.get_running_loop().call_later(seconds, cut, connection)
    try:
        yield connection
    except psycopg.Error as error:
        if spoilt(error):
            await connection.close()
        why = unavailable(error)
        if why is None or error.sqlstate in ("40001", "40P01"):
            raise
        raise why from error
    finally:
        end.cancel()
        await pool.putconn(connection)


def cut(connection: Connection) -> None:
    """End a connection under whoever waits on it: they read its end at once."""
    with contextlib.suppress(OSError, psycopg.Error), socket.socket(fileno=socket.dup(connection.fileno())) as line:
        line.shutdown(socket.SHUT_RDWR)


@contextlib.asynccontextmanager
async def alone(
    url: str, session: Mapping[str, str] | None = SESSION, *, package: str = PACKAGE
) -> AsyncIterator[Connection]:
    """A connection of one's own, outside the pool, in autocommit, with results as text.

    Raises StoreError with libpq's reason (which may name host and user, never a password) if there is none to be had.
    """
    try:
        connection = await AsyncConnection.connect(
            conninfo(url, session, package=package), autocommit=True, context=adapters_context(), prepare_threshold=None
        )
    except psycopg.Error as error:
        raise StoreError(f"the database cannot be used: {' '.join(str(error).split())}") from error
    try:
        yield connection
    finally:
        await connection.close()
