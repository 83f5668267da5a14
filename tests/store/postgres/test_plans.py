"""Query plans at 1,000,000 items: which index a statement takes, and that what it touches does not grow with the data.

Plans are looked at twice, in the very sessions that the pool makes: those that were made while every table was empty,
which a long-lived session keeps, and those that are made of statistics of the full tables."""

import contextlib
import re
from collections.abc import Iterator
from typing import Any

import orjson
import psycopg
from psycopg import sql

from covey.domain.lane import Lane
from covey.domain.run import Succeeded
from covey.store.postgres.connection import Connection, lent, make_pool
from covey.store.postgres.store import PostgresStore
from covey.store.postgres.transaction import statements

from ...clock import ManualClock
from ...conformance.conftest import WORKER, Scene
from ...conformance.databases import DATABASES, template
from ...postgres_server import session_server

ITEMS = 1_000_000
BATCH = bytes(12)
NOW = 1_000_000_000

FILL = f"""
INSERT INTO workers (id, started_at, beat_at) SELECT 'worker ' || n, 0, 0 FROM generate_series(0, 50) n;
INSERT INTO batches (id, workspace, kind, lane, origin, config, notes, owner, fingerprint, max_tries, repeatable,
    exclusive, self_pausing, created_at, accepted_at, started_at, expires_at, completed_at, stopped_at, stop_reason)
SELECT decode(lpad(to_hex(n), 24, '0'), 'hex'), 'w' || n % 10, 'kind', 'lane ' || n % 4, 'batch', '{{}}', '{{}}', 'me',
    'print ' || n, 3, 0, 1, 1, n, n, n, {NOW} + n, CASE WHEN n % 2 = 1 THEN n END, NULL, NULL
FROM generate_series(0, 200) n;
INSERT INTO counts (batch, workspace, lane, open, total, cursor, deferred, active, succeeded, next_at)
SELECT id, workspace, lane, CASE WHEN completed_at IS NULL THEN 1 ELSE 0 END, 10, 10, 0, 0, 10,
    CASE WHEN completed_at IS NULL THEN {NOW} + created_at END
FROM batches WHERE created_at > 0;
INSERT INTO counts (batch, workspace, lane, total, cursor, deferred, active, succeeded, next_at)
VALUES ('\\x{BATCH.hex()}', 'w0', 'lane 0', {ITEMS}, 200000, 49000, 1000, 150000, 0);
INSERT INTO limits (lane, cap, active) SELECT 'lane ' || n, 2000, 250 FROM generate_series(0, 3) n;
INSERT INTO shares (lane, workspace) SELECT DISTINCT lane, workspace FROM counts;
INSERT INTO items (batch, seq, custom_id, ref, input)
SELECT '\\x{BATCH.hex()}', n, NULL, CASE WHEN n % 5 = 0 THEN 'ref ' || n END, '{{}}'
FROM generate_series(0, {ITEMS - 1}) n;
INSERT INTO live (batch, seq, attempt, tries, returns, losses, state, due_at, worker, started_at)
SELECT '\\x{BATCH.hex()}', n, 1, 0, n % 3, 0, (n % 50 = 0)::integer, CASE WHEN n < 5000 THEN n ELSE 2 * {NOW} END,
    CASE WHEN n % 50 = 0 THEN 'worker ' || n / 50 % 50 END, CASE WHEN n % 50 = 0 THEN 0 END
FROM generate_series(0, 49999) n;
INSERT INTO busy_refs SELECT 'w0', 'ref ' || seq, batch, seq FROM live WHERE state = 1;
INSERT INTO runs (batch, seq, attempt, last, state, code, message, tries, ended_at, seconds, result)
SELECT '\\x{BATCH.hex()}', n, 1, 1, 'succeeded', 'done', '', 1, n, 1.0, '{{}}' FROM generate_series(50000, 199999) n;
INSERT INTO runs (batch, seq, attempt, last, state, code, message, tries, ended_at, seconds, result)
SELECT '\\x{BATCH.hex()}', n, 1, 1, 'failed', 'no', '', 1, n, 1.0, '{{}}' FROM generate_series(200000, 200004) n;
INSERT INTO outcomes VALUES ('\\x{BATCH.hex()}', 'done', 150000);
INSERT INTO blocked SELECT 'w0', 'ref ' || n, '', 0 FROM generate_series(0, 20000) n;
INSERT INTO held SELECT '\\x{BATCH.hex()}', n, 1, 'lane 0', 'w0', NULL, {NOW} + n FROM generate_series(0, 2000) n;
INSERT INTO events (workspace, batch, at, type, data)
SELECT workspace, id, n, 'paused', '{{}}' FROM batches, generate_series(1, 20) n;
INSERT INTO endpoints (id, workspace, url, style, description, events, items, batch, singles, secrets, created_at)
SELECT 'hook ' || n, 'w0', '', '', '', ' batch.paused ', 0,
    CASE WHEN n < 2 THEN '' ELSE decode(lpad(to_hex(n + 1000), 24, '0'), 'hex') END, 0, '[]', 0
FROM generate_series(0, 5000) n;
INSERT INTO deliveries (id, endpoint, workspace, batch, type, at, data, state, next_at, ended_at)
SELECT decode(lpad(to_hex(n), 24, '0'), 'hex'), 'hook ' || (n % 1000 = 0)::integer, 'w0',
    decode(lpad(to_hex(n / 20), 24, '0'), 'hex'), 'batch.paused', 0, '{{}}',
    CASE n % 3 WHEN 0 THEN 'waiting' WHEN 1 THEN 'failed' ELSE 'delivered' END,
    CASE WHEN n % 3 = 0 THEN n END, CASE WHEN n % 3 > 0 THEN n END
FROM generate_series(0, 99999) n;
"""

ASKED: dict[str, Any] = {
    "lane": "lane 0", "lanes": "lane 0", "workspace": "w0", "worker": "worker 7", "seq": 700, "seqs": 700, "limit": 10,
    "ref": "ref 700", "refs": "ref 700", "after": -1, "offset": 0, "kind": None, "origin": "batch", "states": None,
    "before": None, "fingerprint": "print 0", "since": 0, "cursor": 200_000, "deferred": 49_000, "active": 1000,
    "succeeded": 150_000, "failed": 0, "canceled": 0, "state": "succeeded", "hold": None,
    "stopped": 0, "spent": 0, "until": 1, "aside": 1,
}  # fmt: skip
"""What the statements are asked; parameters that are not here get ANY of their type."""

ANY: dict[str, Any] = {
    "bytea": BATCH, "text": "done", "integer": 1, "bigint": NOW, "smallint": 1, "double precision": 1.0, "json": "{}",
}  # fmt: skip
ASKED_ELSEWHERE: dict[str, dict[str, Any]] = {
    "batch_stop": {"reason": "cancel", "leftovers": 0},
    "event_new": {"data": "{}"},
    "limit_free": {"n": 1},
    "share_free": {"n": 0},
    "live_new": {"seq": 200_000, "state": 1},
    "run_new": {"result": b"{}"},
    "run_replace": {"seq": 60_000, "result": b"{}"},
    "run_settled": {"seq": 60_000},
    "seqs_ended": {"state": "failed"},
    "take_refs": {"refs": "ref 3"},
    "seqs_deferred": {"after": 40_000},
    "limit_take": {"n": 1},
    "delivery_new": {"type": "batch.paused", "data": "{}", "seq": None, "stem": "0000000000"},
    "deliveries_old": {"ended_before": 50},
    "endpoints_due": {"most": 4},
    "erased_next": {"after": BATCH},
    **{f"deliveries_page_{by}": {"state": None, "endpoint": "hook 0"} for by in ("workspace", "endpoint", "batch")},
    "deliveries_take": {"endpoint": "hook 0", "n": 4},
    **{
        name: {"endpoint": "hook 0"}
        for name in ("deliveries_again", "endpoint_row", "endpoint_read", "endpoint_change")
    },
    "usage_add": {"kind": "kind"},
}
_PARAMETER = re.compile(r"%\((\w+)\)s::(double precision|\w+)(\[\])?")


async def prepare(connection: Connection, name: str) -> None:
    """Prepare a statement as the pool's sessions do: with parameters, for whatever they will be."""
    text = statements()[name].sql.decode()
    numbers = {parameter: n for n, parameter in enumerate(statements()[name].names, 1)}
    body = _PARAMETER.sub(lambda found: f"${numbers[found[1]]}::{found[2]}{found[3] or ''}", text).replace("%%", "%")
    await connection.execute(f"PREPARE {name} AS {body}".encode())


def values(name: str) -> sql.Composable:
    """The parameters of a statement, in order."""
    types = {found[1]: (found[2], bool(found[3])) for found in _PARAMETER.finditer(statements()[name].sql.decode())}
    asked = {**ASKED, **ASKED_ELSEWHERE.get(name, {})}
    each = []
    for parameter in statements()[name].names:
        type_, many = types[parameter]
        value = asked.get(parameter, ANY[type_])
        cast = sql.SQL("::" + type_)
        literal = sql.SQL("NULL") if value is None else sql.Literal(value) + cast
        each.append(sql.SQL("ARRAY[{}]").format(literal) if many and value is not None else literal)
    return sql.SQL("({})").format(sql.SQL(", ").join(each)) if each else sql.SQL("")


async def plan(connection: Connection, name: str) -> dict[str, Any]:
    """Execute a statement, take it back, and say how it was done."""
    execute = sql.SQL("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE {}").format(sql.Identifier(name)) + values(name)
    async with connection.transaction(force_rollback=True):
        row = await (await connection.execute(execute)).fetchone()
    assert row is not None
    found = row[0] if isinstance(row[0], list) else orjson.loads(row[0])
    top: dict[str, Any] = found[0]["Plan"]
    return top


def nodes(top: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A plan's steps."""
    yield top
    for below in top.get("Plans", ()):
        yield from nodes(below)


def touched(top: dict[str, Any]) -> int:
    """How many pages of 8 kB were read or changed."""
    return int(top["Shared Hit Blocks"] + top["Shared Read Blocks"] + top["Shared Dirtied Blocks"])


def how(top: dict[str, Any]) -> tuple[set[str], set[str]]:
    """The indexes that were used, and the tables that were read from end to end."""
    indexes = {node["Index Name"] for node in nodes(top) if "Index Name" in node}
    return indexes, {node["Relation Name"] for node in nodes(top) if node["Node Type"] == "Seq Scan"}


HOT = {
    "answer_read": "idempotency_pkey workers_pkey",
    "batch_complete": "batches_pkey",
    "batch_config": "batches_pkey",
    "batch_facts": "batches_pkey counts_pkey",
    "batch_hot": "batches_pkey counts_pkey endpoints_workspace",
    "batch_pause": "batches_pkey",
    "batch_read": "batches_pkey counts_pkey",
    "batch_start": "batches_pkey",
    "batch_stop": "batches_pkey",
    "asset_annotate": "assets_pkey",
    "asset_read": "assets_pkey",
    "assets_among": "assets_pkey",
    "assets_take_over": "assets_pkey assets_processing workers_pkey",
    "batches_page_all": "batches_pkey counts_pkey",
    "batches_page_one": "batches_workspace counts_pkey",
    "batches_page_open": "batches_open counts_pkey",
    "blocked_among": "blocked_pkey",
    "busy_among": "busy_refs_pkey",
    "choose": "counts_open shares_pkey",
    "counts_end": "counts_pkey",
    "counts_limits": "counts_pkey",
    "counts_move": "counts_pkey",
    "cursor_items": "items_pkey",
    "deliveries_again": "deliveries_failed deliveries_pkey",
    "deliveries_old": "deliveries_ended deliveries_pkey",
    "deliveries_page_batch": "deliveries_batch endpoints_pkey",
    "deliveries_page_endpoint": "deliveries_endpoint endpoints_pkey",
    "deliveries_page_workspace": "deliveries_workspace endpoints_pkey",
    "deliveries_take": "deliveries_due deliveries_pkey",
    "delivery_accepted": "deliveries_pkey",
    "delivery_new": "batches_pkey counts_pkey endpoints_workspace",
    "delivery_read": "deliveries_pkey endpoints_pkey",
    "delivery_skipped": "deliveries_pkey",
    "draft_accept": "batches_pkey",
    "draft_row": "batches_drafts",
    "due_items": "items_pkey live_due",
    "endpoint_change": "endpoints_pkey",
    "endpoint_new": "",
    "endpoint_read": "endpoints_pkey",
    "endpoint_row": "endpoints_pkey",
    "endpoints_count": "endpoints_workspace",
    "endpoints_due": "deliveries_due endpoints_pkey",
    "endpoints_leftovers": "batches_pkey deliveries_due endpoints_leftovers",
    "erased_batches": "batches_erased",
    "erased_next": "batches_erased batches_pkey",
    "event_new": "",
    "expired_batches": "batches_expiring",
    "find_fingerprint": "batches_fingerprint",
    "free_refs_of": "batches_pkey busy_refs_pkey items_pkey",
    "held_end": "held_pkey",
    "held_of": "held_pkey",
    "held_past": "held_until",
    "history": "events_batch",
    "in_hand": "live_worker",
    "items_read": "items_pkey live_pkey runs_last runs_pkey",
    "items_remove": "items_pkey",
    "key_by_digest": "keys_digest_key",
    "lane_row": "limits_pkey",
    "leftover_batches": "batches_leftovers",
    "limit_breaker": "limits_pkey",
    "limit_free": "limits_pkey",
    "limit_probe": "limits_pkey",
    "limit_take": "limits_pkey",
    "live_activate": "live_pkey",
    "live_advance": "live_active live_pkey",
    "live_count_of_worker": "live_worker",
    "live_defer": "live_pkey",
    "live_drop": "live_active",
    "live_end": "live_pkey",
    "live_new": "",
    "live_of_worker": "items_pkey live_worker",
    "live_row": "live_pkey",
    "lock_asset": "assets_pkey",
    "lock_batches": "counts_pkey",
    "lock_draft": "batches_pkey",
    "lock_endpoints": "endpoints_pkey",
    "lock_lanes_of": "counts_pkey limits_pkey",
    "lock_workspace": "workspaces_pkey",
    "next_deferred": "live_due",
    "next_due": "counts_open",
    "old_batches": "batches_retiring",
    "open_in_workspace": "batches_open counts_pkey",
    "oldest_open": "batches_open",
    "outcome_add": "",
    "outcome_take": "outcomes_pkey",
    "outcomes": "outcomes_pkey",
    "refs_elsewhere": "batches_pkey items_ref",
    "run_new": "",
    "run_replace": "runs_pkey",
    "run_settled": "runs_last runs_pkey",
    "runs_remove": "runs_pkey",
    "seqs_active": "live_active",
    "seqs_deferred": "live_pkey",
    "seqs_ended": "runs_last",
    "seqs_recent": "runs_recent",
    "share_aside": "shares_pkey",
    "share_free": "shares_pkey",
    "share_new": "workspaces_pkey",
    "share_take": "shares_pkey",
    "stranded_batches": "batches_open",
    "take_refs": "",
    "to_drop": "batches_pkey live_dropped live_worker",
    "usage_add": "",
    "usage_sum": "usage_pkey",
    "worker_alive": "workers_pkey",
}
"""What claims, finishes, people and pages ask, and by which indexes that is answered: all of them, or as good ones that
take their place. What has none is an insert."""

PAGES = 100
"""So many pages a hot statement may touch: a few for each of the rows that it is about, ten at most."""


async def refused(connection: Connection, when: str) -> list[str]:
    """The hot statements that are not answered as they should be."""
    wrong = []
    for name, expected in HOT.items():
        top = await plan(connection, name)
        indexes, scanned = how(top)
        if scanned or touched(top) > PAGES or not indexes <= set(expected.split()) or bool(indexes) != bool(expected):
            wrong.append(f"{name}, {when}: {touched(top)} pages by {sorted(indexes)}, all of {sorted(scanned)}")
    return wrong


async def test_a_hot_statement_costs_the_same_however_much_there_is() -> None:
    pool = make_pool(session_server().create_database("plans", await template()), most=1)
    await pool.open()
    async with lent(pool, 120) as connection:
        await connection.execute("SET statement_timeout = '60s'")
        for name in HOT:
            await prepare(connection, name)
            with contextlib.suppress(psycopg.errors.CheckViolation, psycopg.errors.NotNullViolation):
                await plan(connection, name)
        for part in FILL.split(";\n"):
            await connection.execute(part.encode())
        wrong = await refused(connection, "planned when there was nothing")
        await connection.execute("ANALYZE")
        wrong += await refused(connection, "planned with statistics")
    await pool.close()
    session_server().drop("plans")
    assert wrong == []


async def test_claims_and_finishes_touch_no_index_of_the_hot_rows() -> None:
    """PostgreSQL writes the new version of a row beside the old one (HOT), all but once for each batch that ends."""
    url = session_server().create_database("hot", await template())
    store = PostgresStore(url, clock := ManualClock())
    await store.open()
    await store.enlist(WORKER)
    await store.put_lane(Lane("lane", 100))
    scene = Scene(store, clock, DATABASES["postgres"])
    for workspace in ("w", "v"):
        await scene.submit(60, workspace=workspace)
    for _ in range(120):
        await scene.one(Succeeded("done"))
    await store.close()
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as behind:
        asked = "SELECT relname, n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE n_tup_upd > 200"
        found = {table: (updates, hot) for table, updates, hot in await (await behind.execute(asked)).fetchall()}
    session_server().drop("hot")
    assert {"counts", "limits", "shares"} <= found.keys()
    assert [table for table in ("counts", "limits", "shares") if found[table][1] < 0.95 * found[table][0]] == [], found
