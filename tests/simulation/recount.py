"""The proof that counts add up, after every operation.

Triggers count every row that changes, apart from what the operations count. That is the same as counting all rows
again, which is done too: every so often, and at the end.
"""

from typing import Any

from covey.store.sqlite.transaction import SqliteConnection

TRIGGERS = """
CREATE TEMP TABLE IF NOT EXISTS seen (
    batch BLOB PRIMARY KEY, deferred INTEGER DEFAULT 0, active INTEGER DEFAULT 0,
    succeeded INTEGER DEFAULT 0, failed INTEGER DEFAULT 0, canceled INTEGER DEFAULT 0
);
CREATE TEMP TRIGGER IF NOT EXISTS counts_there AFTER INSERT ON main.counts BEGIN
    INSERT INTO seen (batch) VALUES (new.batch);
END;
CREATE TEMP TRIGGER IF NOT EXISTS counts_gone AFTER DELETE ON main.counts BEGIN
    DELETE FROM seen WHERE batch = old.batch;
END;
CREATE TEMP TRIGGER IF NOT EXISTS live_there AFTER INSERT ON main.live BEGIN
    UPDATE seen SET deferred = deferred + (new.state = 0), active = active + (new.state = 1) WHERE batch = new.batch;
END;
CREATE TEMP TRIGGER IF NOT EXISTS live_gone AFTER DELETE ON main.live BEGIN
    UPDATE seen SET deferred = deferred - (old.state = 0), active = active - (old.state = 1) WHERE batch = old.batch;
END;
CREATE TEMP TRIGGER IF NOT EXISTS live_moved AFTER UPDATE OF state ON main.live WHEN new.state <> old.state BEGIN
    UPDATE seen SET deferred = deferred + old.state - new.state, active = active + new.state - old.state
    WHERE batch = new.batch;
END;
CREATE TEMP TRIGGER IF NOT EXISTS runs_there AFTER INSERT ON main.runs WHEN new.last = 1 BEGIN
    UPDATE seen SET succeeded = succeeded + (new.state = 'succeeded'), failed = failed + (new.state = 'failed'),
        canceled = canceled + (new.state = 'canceled')
    WHERE batch = new.batch;
END;
CREATE TEMP TRIGGER IF NOT EXISTS runs_gone AFTER DELETE ON main.runs WHEN old.last = 1 BEGIN
    UPDATE seen SET succeeded = succeeded - (old.state = 'succeeded'), failed = failed - (old.state = 'failed'),
        canceled = canceled - (old.state = 'canceled')
    WHERE batch = old.batch;
END;
CREATE TEMP TRIGGER IF NOT EXISTS runs_moved AFTER UPDATE OF state ON main.runs WHEN old.last = 1 BEGIN
    UPDATE seen SET succeeded = succeeded + (new.state = 'succeeded') - (old.state = 'succeeded'),
        failed = failed + (new.state = 'failed') - (old.state = 'failed'),
        canceled = canceled + (new.state = 'canceled') - (old.state = 'canceled')
    WHERE batch = new.batch;
END;
"""

BEGIN = """
DELETE FROM temp.seen;
INSERT INTO temp.seen (batch, deferred, active, succeeded, failed, canceled)
SELECT batch,
    (SELECT count(*) FROM live WHERE batch = c.batch AND state = 0),
    (SELECT count(*) FROM live WHERE batch = c.batch AND state = 1),
    (SELECT count(*) FROM runs WHERE batch = c.batch AND last = 1 AND state = 'succeeded'),
    (SELECT count(*) FROM runs WHERE batch = c.batch AND last = 1 AND state = 'failed'),
    (SELECT count(*) FROM runs WHERE batch = c.batch AND last = 1 AND state = 'canceled')
FROM counts c;
"""

WRONG_COUNTS = """
SELECT hex(c.batch), c.stopped, c.total, c.cursor, c.deferred, c.active, c.succeeded, c.failed, c.canceled,
    'rows:', s.deferred, s.active, s.succeeded, s.failed, s.canceled
FROM counts c LEFT JOIN temp.seen s ON s.batch = c.batch JOIN batches b ON b.id = c.batch
WHERE b.erased_at IS NULL AND (s.batch IS NULL OR c.active <> s.active OR c.succeeded <> s.succeeded
    OR c.failed <> s.failed OR (c.cap IS NOT NULL AND c.active > c.cap)
    OR iif(c.stopped, c.deferred <> 0 OR c.canceled <> c.total - c.active - c.succeeded - c.failed,
        c.deferred <> s.deferred OR c.canceled <> s.canceled))
"""

WRONG_LIMITS = """
SELECT l.lane, l.cap, l.active, 'rows:', l.counted, l.held FROM (
    SELECT lane, cap, active,
        (SELECT coalesce(sum(s.active), 0) FROM counts c JOIN temp.seen s USING (batch) WHERE c.lane = limits.lane)
            AS counted,
        (SELECT count(*) FROM held WHERE held.lane = limits.lane) AS held
    FROM limits
) l WHERE l.active <> l.counted + l.held OR l.active > l.cap
"""

WRONG_SHARES = """
SELECT lane, workspace, active FROM shares s WHERE active <>
    (SELECT coalesce(sum(c.active), 0) FROM counts c WHERE c.lane = s.lane AND c.workspace = s.workspace)
    + (SELECT count(*) FROM held h WHERE h.lane = s.lane AND h.workspace = s.workspace)
"""

WRONG_REFS = """
SELECT workspace, ref, hex(batch), seq FROM busy_refs EXCEPT SELECT * FROM (
    SELECT b.workspace, i.ref, hex(l.batch), l.seq
    FROM live l JOIN batches b ON b.id = l.batch JOIN items i ON i.batch = l.batch AND i.seq = l.seq
    WHERE l.state = 1 AND b.exclusive AND i.ref IS NOT NULL
    UNION ALL SELECT workspace, ref, hex(batch), seq FROM held WHERE ref IS NOT NULL)
UNION ALL SELECT * FROM (
    SELECT b.workspace, i.ref, hex(l.batch), l.seq
    FROM live l JOIN batches b ON b.id = l.batch JOIN items i ON i.batch = l.batch AND i.seq = l.seq
    WHERE l.state = 1 AND b.exclusive AND i.ref IS NOT NULL
    UNION ALL SELECT workspace, ref, hex(batch), seq FROM held WHERE ref IS NOT NULL
    EXCEPT SELECT workspace, ref, hex(batch), seq FROM busy_refs)
"""

TWO_ENDS = "SELECT hex(batch), seq, count(*) FROM runs WHERE last = 1 GROUP BY batch, seq HAVING count(*) > 1"


class Recount:
    """Looks for counts that are not what the rows say."""

    def __init__(self, database: SqliteConnection) -> None:
        self._database = database
        self._connection = database.connection
        self._connection.execute(TRIGGERS)
        self.begin()

    def begin(self) -> None:
        """Count all rows anew."""
        self._connection.execute(BEGIN)

    def quick(self) -> list[Any]:
        """What is wrong by the rows that were counted as they changed."""
        execute = self._connection.execute
        return [*execute(WRONG_COUNTS), *execute(WRONG_LIMITS)]

    def full(self) -> list[Any]:
        """What is wrong by counting all rows."""
        execute = self._connection.execute
        wrong = [*self.quick(), *execute(WRONG_SHARES), *execute(WRONG_REFS), *execute(TWO_ENDS)]
        for (batch,) in execute(
            "SELECT c.batch FROM counts c JOIN batches b ON b.id = c.batch WHERE erased_at IS NULL"
        ):
            found = self._database.row("recount", {"batch": batch})
            facts = vars(found)
            wrong += [
                (batch.hex(), name, facts[f"kept_{name}"], counted)
                for name, counted in facts.items()
                if not name.startswith("kept_") and facts[f"kept_{name}"] != counted
            ]
        return wrong
