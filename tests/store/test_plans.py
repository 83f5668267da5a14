"""Query plans: what is asked often costs the same however much there is."""

import re
from collections.abc import Callable
from datetime import timedelta

import pytest

from covey.domain.batch import NewItem
from covey.domain.run import Failed, Retry
from covey.store.operations.transaction import micros
from covey.store.sqlite import SqliteStore
from covey.store.sqlite.transaction import SqliteConnection
from covey.store.statements import statements

from ..conformance.conftest import Scene

SQL = statements("sqlite")
EVERY_PARAMETER = {name: 1 for sql in SQL.values() for name in re.findall(r":(\w+)", sql)}
HOT = (
    "answer_read", "batch_config", "batch_hot", "batch_read", "batch_start", "batches_page_one", "choose",
    "counts_move", "cursor_items", "due_items", "in_hand", "blocked_among", "busy_among", "key_by_digest", "lane_row",
    "limit_free", "limit_take", "next_deferred", "next_due", "open_in_workspace", "seqs_active", "seqs_deferred",
    "share_aside", "share_free", "share_take", "to_drop", "worker_alive", "delivery_new", "delivery_holding",
    "endpoints_due", "deliveries_take", "delivery_accepted", "deliveries_page_endpoint", "oldest_open",
    "refs_elsewhere",
)  # fmt: skip


def plan(database: SqliteConnection, name: str) -> list[str]:
    """What SQLite says of how it would execute a statement."""
    sql = "EXPLAIN QUERY PLAN " + SQL[name]
    return [str(row[3]) for row in database.connection.execute(sql, EVERY_PARAMETER)]


@pytest.mark.parametrize("name", HOT)
async def test_hot_statements_scan_no_table(sqlite: SqliteStore, name: str) -> None:
    steps = await sqlite.writer.run(lambda database: plan(database, name))
    tables = (
        "batches|counts|items|live|runs|limits|shares|held|events|keys|workers|blocked|busy_refs|idempotency|"
        "endpoints|deliveries"
    )
    assert [step for step in steps if re.match(rf"SCAN ({tables}|[a-z])\b", step)] == []


@pytest.mark.parametrize("name", sorted(SQL))
async def test_every_statement_is_one_that_sqlite_knows(sqlite: SqliteStore, name: str) -> None:
    sql = SQL[name]

    def prepare(database: SqliteConnection) -> None:
        bindings = (1,) * positions(sql) or EVERY_PARAMETER
        assert database.connection.execute("EXPLAIN " + sql, bindings).fetchall()

    await sqlite.writer.run(prepare)


def positions(sql: str) -> int:
    """How many parameters by position a statement takes."""
    numbered = [int(number) for number in re.findall(r"\?(\d+)", sql)]
    return max(numbered) if numbered else sql.count("?")


def steps_of(database: SqliteConnection, work: Callable[[], object]) -> int:
    """How many steps of SQLite's machine some work takes, to the nearest hundred."""
    count = 0

    def tick() -> bool:
        nonlocal count
        count += 1
        return False

    database.connection.set_progress_handler(tick, 100)
    work()
    database.connection.set_progress_handler(None)
    return count


@pytest.mark.parametrize("name", ["due_items", "next_deferred"])
async def test_what_is_deferred_costs_nothing_until_it_is_due(scene: Scene, sqlite: SqliteStore, name: str) -> None:
    costs = []
    for items in (10, 3000):
        batch = await scene.submit([NewItem(b"{}")] * items, max_tries=2, workspace=f"w{items}")
        while (portion := await scene.claim()) is not None:
            await scene.finish(portion, Retry(scene.now + timedelta(hours=1), Failed("busy", "")))
        asked = {"batch": bytes.fromhex(batch), "now": micros(scene.now), "limit": 100}

        def cost(database: SqliteConnection, asked: dict[str, object] = asked) -> int:
            return steps_of(database, lambda: database.rows(name, asked))

        costs.append(await sqlite.writer.run(cost))
    assert costs[1] <= costs[0] + 1


async def test_choosing_costs_little_among_many_that_are_not_due(scene: Scene, sqlite: SqliteStore) -> None:
    for n in range(300):
        start = None if n % 10 == 0 else scene.after(60)
        await scene.submit(1, workspace=f"w{n // 10}", start_at=start)
    asked = {"lane": "lane", "now": micros(scene.now), "aside": 0}
    cost = await sqlite.writer.run(lambda db: steps_of(db, lambda: db.rows("choose", asked)))
    assert cost <= 15


FILL = """
WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 999999)
INSERT INTO items SELECT batch, n, NULL, CASE WHEN n % 50 = 0 THEN 'ref ' || n END, NULL, x'7b7d' FROM items, n;
INSERT INTO live SELECT batch, seq, 1, 0, seq % 3, 0, seq % 50 = 0, CASE WHEN seq < 5000 THEN seq ELSE 1 << 60 END,
    CASE WHEN seq % 50 = 0 THEN 'worker ' || seq / 50 % 50 END, CASE WHEN seq % 50 = 0 THEN 0 END, NULL, NULL, 0,
    NULL, NULL
FROM items WHERE seq < 50000;
INSERT INTO runs SELECT batch, seq, 1, 1, CASE WHEN seq % 10000 THEN 'succeeded' ELSE 'failed' END, 'done', '', NULL, 1,
    NULL, seq, 1.0, 1.0, 0, 0, 0, x'7b7d' FROM items WHERE seq >= 50000 AND seq < 200000;
UPDATE counts SET total = 1000000, cursor = 200000, deferred = 49000, active = 1000, succeeded = 149985, failed = 15
WHERE total = 1;
UPDATE limits SET active = 1000, cap = 2000;
UPDATE shares SET active = 1000;
"""
STEPS = 30
"""So many hundreds of steps of SQLite's machine a hot statement may take about ten rows."""


async def test_a_hot_statement_costs_the_same_at_a_million_items(scene: Scene, sqlite: SqliteStore) -> None:
    batch = bytes.fromhex(await scene.submit(1))
    await sqlite.writer.run(lambda database: database.connection.execute(FILL).fetchall())
    for n in range(200):
        await scene.submit(1, workspace=f"w{n % 10}", start_at=scene.after(60))
    asked = {
        **EVERY_PARAMETER, "batch": batch, "lane": "lane", "workspace": "w", "worker": "worker 7", "seq": 700,
        "now": micros(scene.now), "limit": 10, "cursor": 200_000, "deferred": 49_000, "active": 1000, "after": 0,
        "succeeded": 149_985, "failed": 15, "canceled": 0, "stopped": 0, "spent": 0, "n": 0, "id": batch, "offset": 0,
        "refs": '["ref 700"]', "seqs": "[700]", "kind": None, "origin": "batch", "states": None, "before": None,
        "state": "failed", "oldest": b"",
    }  # fmt: skip

    def costs(database: SqliteConnection) -> dict[str, int]:
        names = (*HOT, "seqs_ended", "seqs_recent", "items_read", "live_row", "live_of_worker", "run_settled")
        return {name: steps_of(database, lambda name=name: database.rows(name, asked)) for name in names}  # type: ignore[misc]

    found = await sqlite.writer.run(costs)
    assert {name: cost for name, cost in found.items() if cost > STEPS} == {}
