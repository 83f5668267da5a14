"""A PostgreSQL whose disk is full, as its own error says it, and one that has room again."""

import psycopg
import pytest

from covey.domain.errors import DatabaseFull
from covey.domain.lane import Lane
from covey.store.postgres.store import PostgresStore
from tests.clock import ManualClock
from tests.conformance.databases import DATABASES

FULL = """
CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END $$;
CREATE TRIGGER full_disk BEFORE INSERT ON idempotency EXECUTE FUNCTION full_disk();
CREATE TRIGGER full_disk BEFORE INSERT ON limits EXECUTE FUNCTION full_disk();
"""
FREE = "DROP FUNCTION full_disk CASCADE"


async def test_who_found_no_room_looks_until_there_is_some() -> None:
    async with DATABASES["postgres"].open(ManualClock()) as store:
        assert isinstance(store, PostgresStore)
        assert not store.full

        async def execute(statement: str) -> None:
            async with await psycopg.AsyncConnection.connect(store._direct_url, autocommit=True) as connection:
                await connection.execute(statement.encode())

        await execute(FULL)
        with pytest.raises(DatabaseFull, match="disk is full"):
            await store.put_lane(Lane("lane", 1))
        assert store.full
        with pytest.raises(DatabaseFull):
            await store.check_room("w")
        await store.lanes()
        assert store.full, "to read takes no room"
        await execute(FREE)
        await store.check_room("w")
        assert not store.full
        await store.put_lane(Lane("lane", 1))
        async with await psycopg.AsyncConnection.connect(store._direct_url) as connection:
            row = await (await connection.execute("SELECT count(*) FROM idempotency")).fetchone()
        assert row == (0,)
