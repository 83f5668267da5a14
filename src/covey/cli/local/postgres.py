"""What doctor looks at where the database is PostgreSQL."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import psycopg
from psycopg.rows import namedtuple_row

from covey.cli.local.folder import Finding
from covey.settings import DatabaseUrl, Settings
from covey.store.migrate import StoreError
from covey.store.postgres.connection import Connection, alone, statement
from covey.store.postgres.schema import examine

SKEW_SECONDS = 1.0
"""Clocks that differ by more than this are worth a word."""


def findings(settings: Settings) -> list[Finding]:
    """What there is to say about the settings' PostgreSQL."""
    return asyncio.run(_all(settings))


async def _all(settings: Settings) -> list[Finding]:
    assert settings.database is not None
    direct = settings.database_lock_url or settings.database
    found = await _gathered(_direct(direct), direct)
    if settings.database_lock_url is not None:
        found += await _gathered(_pooled(settings.database), settings.database)
    return found


async def _gathered(looks: AsyncIterator[Finding], url: DatabaseUrl) -> list[Finding]:
    """What was found until the database could not answer any more; that is a finding, too."""
    found = []
    try:
        async for one in looks:
            found.append(one)
    except (StoreError, psycopg.Error) as error:
        why = " ".join(str(error).split())
        remedy = f"Look whether PostgreSQL runs at {url.shown}, and lets this user in."
        found.append(Finding("database", False, why, remedy))
    return found


async def _direct(url: DatabaseUrl) -> AsyncIterator[Finding]:
    async with alone(url.get_secret_value(), None) as connection:
        server, took = await _server(connection)
        yield Finding("database", True, f"PostgreSQL {server.version} at {url.shown}")
        yield await _schema(connection)
        yield await _session(connection)
        yield clocks(server.now / 1e6 - (time.time() - took / 2))
        yield await _standbys(connection)


async def _pooled(url: DatabaseUrl) -> AsyncIterator[Finding]:
    """Through a pooler no session can be set up, so the user's own settings have to do."""
    async with alone(url.get_secret_value(), None) as connection:
        server, _ = await _server(connection)
        endless = [
            name for name in ("statement_timeout", "lock_timeout", "idle_timeout") if getattr(server, name) == "0"
        ]
        remedy = (
            "A process that stands still would keep its locks: ALTER ROLE … SET statement_timeout = '10s', likewise "
            "lock_timeout and idle_in_transaction_session_timeout = '5s'."
        )
        seen = f"no {', '.join(endless)}" if endless else "every statement and every wait ends"
        yield Finding("pooled sessions", True, seen, remedy, warning=bool(endless))
        durable = server.synchronous_commit != "off"
        yield Finding(
            "durable commits",
            durable,
            f"synchronous_commit is {server.synchronous_commit}",
            "What was acknowledged would be lost in a crash: ALTER ROLE … SET synchronous_commit = on.",
        )


async def _row(connection: Connection, name: str) -> Any:
    async with connection.cursor(row_factory=namedtuple_row) as cursor:
        return await (await cursor.execute(statement(name))).fetchone()


async def _server(connection: Connection) -> tuple[Any, float]:
    began = time.monotonic()
    row = await _row(connection, "doctor_server")
    return row, time.monotonic() - began


async def _schema(connection: Connection) -> Finding:
    try:
        schema = await examine(connection)
    except StoreError as error:
        return Finding("schema", False, str(error), "Run the Covey that fits it.")
    if schema.fresh:
        return Finding("schema", True, "none yet, made at the first start")
    due = schema.due(post=False)
    if due:
        remedy = "The next start applies it, or `covey migrate`."
        return Finding("schema", True, f"to be applied: {', '.join(map(str, due))}", remedy, warning=True)
    if schema.pending:
        remedy = "When no older Covey runs any more: `covey migrate --post`."
        return Finding("schema", True, f"waits: {', '.join(map(str, schema.pending))}", remedy, warning=True)
    return Finding("schema", True, f"up to date ({max(schema.applied):04})")


async def _session(connection: Connection) -> Finding:
    """Whether the session that is to hold a worker's lock is a session of its own."""
    row = await (await connection.execute(statement("lives_backend"))).fetchone()
    own = row is not None and row[0] == connection.info.backend_pid
    seen = (
        "this worker would hold its own" if own else "the connection goes through a pooler, whose sessions are shared"
    )
    return Finding("lock session", own, seen, "Let `database_lock_url` lead to PostgreSQL itself, past the pooler.")


def clocks(ahead: float) -> Finding:
    """How far the database's clock is ahead of this machine's, in seconds; behind if negative."""
    direction = "ahead of" if ahead > 0 else "behind"
    remedy = "Let both machines keep their time (NTP): times on pages and in logs would contradict each other."
    off = abs(ahead) > SKEW_SECONDS
    seen = (
        f"the database is {abs(ahead):.1f} s {direction} this machine" if off else "the database's and this one agree"
    )
    return Finding("clocks", True, seen, remedy, warning=off)


async def _standbys(connection: Connection) -> Finding:
    row = await _row(connection, "doctor_standbys")
    return standbys(row.attached, row.waited_for, row.named)


def standbys(attached: int, waited_for: int, named: str) -> Finding:
    """What a failover would lose. `named` is `synchronous_standby_names`; `waited_for` is 0 without pg_monitor, too."""
    if not attached:
        return Finding("standbys", True, "none is attached")
    if waited_for or named:
        return Finding("standbys", True, f"{attached} attached, and a commit waits for {named or 'them'}")
    remedy = (
        "A failover would lose what was acknowledged last, and calls could be made again: set "
        "synchronous_standby_names, as 'ANY 1 (*)'."
    )
    return Finding("standbys", True, f"{attached} attached, replication is asynchronous", remedy, warning=True)
