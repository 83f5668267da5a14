"""Query plans: what is asked often costs the same however much there is."""

import re
from collections.abc import Callable
from datetime import timedelta

import pytest

from covey.domain.batch import NewItem
from covey.domain.run import Failed, Retry
from covey.store.operations.database import micros
from covey.store.sqlite import SqliteStore
from covey.store.sqlite.database import Database, statements

from ..conformance.conftest import Scene

EVERY_PARAMETER = {name: 1 for sql in statements().values() for name in re.findall(r":(\w+)", re.sub(r"--.*", "", sql))}
HOT = (
    "answer_read", "batch_config", "batch_hot", "batch_read", "batch_start", "batches_page_one", "choose",
    "counts_move", "cursor_items", "due_items", "in_hand", "blocked_among", "busy_among", "key_by_digest", "lane_row",
    "limit_free", "limit_take", "next_deferred", "next_due", "open_in_workspace", "seqs_active", "seqs_deferred",
    "share_free", "share_take", "to_drop", "worker_alive",
)  # fmt: skip


def plan(database: Database, name: str) -> list[str]:
    """What SQLite says of how it would execute a statement."""
    sql = "EXPLAIN QUERY PLAN " + statements()[name]
    return [str(row[3]) for row in database.connection.execute(sql, EVERY_PARAMETER)]


@pytest.mark.parametrize("name", HOT)
async def test_hot_statements_scan_no_table(sqlite: SqliteStore, name: str) -> None:
    steps = await sqlite.writer.run(lambda database: plan(database, name))
    tables = r"batches|counts|items|live|runs|limits|shares|held|events|keys|workers|blocked|busy_refs|idempotency"
    assert [step for step in steps if re.match(rf"SCAN ({tables}|[a-z])\b", step)] == []


@pytest.mark.parametrize("name", sorted(statements()))
async def test_every_statement_is_one_that_sqlite_knows(sqlite: SqliteStore, name: str) -> None:
    sql = statements()[name]

    def prepare(database: Database) -> None:
        bindings = (1,) * positions(sql) or EVERY_PARAMETER
        assert database.connection.execute("EXPLAIN " + sql, bindings).fetchall()

    await sqlite.writer.run(prepare)


def positions(sql: str) -> int:
    """How many parameters by position a statement takes."""
    bare = re.sub(r"--.*", "", sql)
    numbered = [int(number) for number in re.findall(r"\?(\d+)", bare)]
    return max(numbered) if numbered else bare.count("?")


def steps_of(database: Database, work: Callable[[], object]) -> int:
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
        while (bite := await scene.claim()) is not None:
            await scene.finish(bite, Retry(scene.now + timedelta(hours=1), Failed("busy", "")))
        asked = {"batch": bytes.fromhex(batch), "now": micros(scene.now), "limit": 100}

        def cost(database: Database, asked: dict[str, object] = asked) -> int:
            return steps_of(database, lambda: database.rows(name, asked))

        costs.append(await sqlite.writer.run(cost))
    assert costs[1] <= costs[0] + 1


async def test_choosing_costs_little_among_many_that_are_not_due(scene: Scene, sqlite: SqliteStore) -> None:
    for n in range(300):
        start = None if n % 10 == 0 else scene.after(60)
        await scene.submit(1, workspace=f"w{n // 10}", start_at=start)
    asked = {"lane": "lane", "now": micros(scene.now)}
    cost = await sqlite.writer.run(lambda db: steps_of(db, lambda: db.rows("choose", asked)))
    assert cost <= 15
