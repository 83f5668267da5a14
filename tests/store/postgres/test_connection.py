"""Connections, sessions and the pool on a real server."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator

import psycopg
import pytest

from covey.domain.errors import Unavailable
from covey.store.migrate import StoreError
from covey.store.postgres import connection as connections
from covey.store.postgres.connection import Connection, Pool, alone, lent, make_pool

from ...postgres_server import PostgresServer, session_server


@pytest.fixture
def url() -> Iterator[str]:
    server = session_server()
    yield server.create_database("connections")
    server.drop("connections")


@pytest.fixture
async def pool(url: str) -> AsyncIterator[Pool]:
    async with make_pool(url, most=2) as pool:
        yield pool


async def values(connection: Connection, query: str) -> tuple[object, ...]:
    row = await (await connection.execute(query.encode())).fetchone()
    assert row is not None
    return tuple(row)


async def test_a_session_keeps_no_lock_for_long_and_its_commits_are_durable(pool: Pool) -> None:
    settings = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "synchronous_commit")
    async with lent(pool) as connection:
        found = await values(connection, "SELECT " + ", ".join(f"current_setting('{name}')" for name in settings))
        assert found == ("10s", "5s", "3s", "on")
        assert await values(connection, "SELECT current_setting('TimeZone'), current_setting('application_name')") == (
            "UTC",
            connections.application_name(),
        )


async def test_behind_a_pooler_nothing_is_set_and_nothing_prepared(url: str) -> None:
    async with make_pool(url, most=1, pooled=True) as pool, lent(pool) as connection:
        assert await values(connection, "SELECT current_setting('statement_timeout')") == ("0",)
        for _ in range(10):
            await connection.execute("SELECT %(n)s::bigint", {"n": 1})
        assert await values(connection, "SELECT count(*) FROM pg_prepared_statements") == (0,)


async def test_values_cross_as_they_are(pool: Pool) -> None:
    query = "SELECT %(j)s::json, %(b)s::bytea, %(n)s::bigint, %(f)s::double precision, pg_typeof(%(n)s)::text"
    async with lent(pool) as connection:
        for number in (1, 1 << 20, 1 << 40):
            given = {"j": '{"a":  1}', "b": b"\x00\xff", "n": number, "f": 0.1}
            row = await (await connection.execute(query, given)).fetchone()
            assert row is not None
            assert row == (b'{"a":  1}', b"\x00\xff", number, 0.1, "bigint")
        prepared = await values(connection, "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%json%'")
        assert prepared == (1,)
        lists = await connection.execute("SELECT %(l)s::integer[], %(b)s::bytea[]", {"l": [1, None, 3], "b": [b"a"]})
        assert await lists.fetchone() == ([1, None, 3], [b"a"])


async def test_json_as_text_comes_as_bytes_too(url: str) -> None:
    async with alone(url) as connection:
        assert await values(connection, """SELECT '{"a":1}'::json""") == (b'{"a":1}',)


async def test_what_the_database_cannot_do_now_is_unavailable_and_bugs_are_not(pool: Pool) -> None:
    with pytest.raises(psycopg.errors.UndefinedTable):
        async with lent(pool) as connection:
            await connection.execute("SELECT * FROM nowhere")

    async def dawdle() -> None:
        async with lent(pool) as connection:
            await connection.execute("SET statement_timeout = '20ms'")
            await connection.execute("SELECT pg_sleep(10)")

    with pytest.raises(Unavailable, match="longer than it may"):
        await dawdle()


async def test_a_session_that_was_ended_is_replaced(pool: Pool) -> None:
    with pytest.raises(Unavailable, match="stopped"):
        async with lent(pool) as connection:
            await connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    assert connection.closed
    async with lent(pool) as one, lent(pool) as other:
        pids = {await values(each, "SELECT pg_backend_pid()") for each in (one, other)}
    assert len(pids) == 2


async def test_a_session_that_was_ended_while_idle_is_never_handed_out(pool: Pool, url: str) -> None:
    await pool.wait()
    async with alone(url) as other:
        query = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
        await values(other, query + " AND datname = current_database()")
        left = "SELECT count(*) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()"
        while await values(other, left) != (0,):
            await asyncio.sleep(0.01)
    async with lent(pool) as connection:
        assert await values(connection, "SELECT 1") == (1,)


async def test_a_standby_is_left(url: str) -> None:
    """Its sessions answer, but would refuse every write for ever."""

    async def write(pool: Pool) -> None:
        async with lent(pool) as connection:
            await connection.execute("CREATE TABLE nothing ()")

    async with make_pool(url, most=2) as pool:
        async with lent(pool) as one, lent(pool) as other:
            for each in (one, other):
                await each.execute("SET default_transaction_read_only = on")
        for _ in range(2):
            with pytest.raises(Unavailable, match="standby"):
                await write(pool)
        assert one.closed
        assert other.closed
        await write(pool)


async def test_who_says_nothing_at_all_is_cut_off(pool: Pool) -> None:
    began = time.monotonic()
    with pytest.raises(Unavailable, match="lost"):
        async with lent(pool, seconds=0.1) as connection:
            await connection.execute("SELECT pg_sleep(9)")
    assert time.monotonic() - began < 9
    async with lent(pool) as connection:
        assert await values(connection, "SELECT 1") == (1,)


async def test_a_pool_without_a_connection_left_says_so(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "timeout", 0.05)
    async with lent(pool), lent(pool):
        with pytest.raises(Unavailable, match="busy"):
            async with lent(pool):
                pass


async def test_a_database_that_comes_back_is_found_at_once() -> None:
    server = PostgresServer().start()
    try:
        async with make_pool(server.create_database("back"), most=2) as pool:
            await pool.wait()
            server.stop()
            pool.timeout = 0.1
            for _ in range(5):
                with pytest.raises(Unavailable):
                    async with lent(pool):
                        pass
            server.start()
            pool.timeout = 5
            async with lent(pool) as connection:
                assert await values(connection, "SELECT 1") == (1,)
    finally:
        server.close()


async def test_no_database_is_a_sentence_without_the_password() -> None:
    with pytest.raises(StoreError, match="cannot be used") as raised:
        async with alone("postgresql://me:hush@127.0.0.1:1/covey"):
            pass
    assert "hush" not in str(raised.value)
    assert "\n" not in str(raised.value)
