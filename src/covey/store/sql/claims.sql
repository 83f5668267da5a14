-- name: choose (postgres)
-- The batch that is next on a lane: of the share with the least active for its weight, longest unserved, the batch
-- likewise; with how many shares, and batches of that share, contend. A share that could start nothing just now comes
-- after all others. Index counts_open, primary key of shares.
WITH due AS MATERIALIZED (
    SELECT batch, workspace, active, served_at FROM counts
    WHERE lane = %(lane)s::text AND open = 1 AND next_at <= %(now)s::bigint
), share AS (
    SELECT shares.workspace FROM shares
    WHERE shares.lane = %(lane)s::text AND shares.workspace IN (SELECT due.workspace FROM due)
    ORDER BY shares.aside_at > %(aside)s::bigint AND shares.aside_at <= %(now)s::bigint,
        shares.active / shares.weight, shares.served_at, shares.workspace
    LIMIT 1
)
SELECT due.batch, (SELECT count(DISTINCT due.workspace) FROM due) AS shares, count(*) OVER () AS batches
FROM share JOIN due ON due.workspace = share.workspace
ORDER BY due.active, due.served_at, due.batch
LIMIT 1

-- name: choose (sqlite)
-- The batch that is next on a lane: of the share with the least active for its weight, longest unserved, the batch
-- likewise; with how many shares, and batches of that share, contend. A share that could start nothing just now comes
-- after all others. Indexes shares_next, counts_share, counts_due.
-- Differs: the batches that are due are gathered once; SQLite goes along two indexes and stops at the first share.
WITH share AS (
    SELECT * FROM (
        SELECT shares.workspace FROM shares
        WHERE shares.lane = :lane AND NOT (shares.aside_at > :aside AND shares.aside_at <= :now) AND EXISTS (
            SELECT 1 FROM counts
            WHERE counts.lane = :lane AND counts.workspace = shares.workspace AND counts.next_at <= :now
        )
        ORDER BY shares.active / shares.weight, shares.served_at
        LIMIT 1
    )
    UNION ALL
    SELECT * FROM (
        SELECT shares.workspace FROM shares
        WHERE shares.lane = :lane AND EXISTS (
            SELECT 1 FROM counts
            WHERE counts.lane = :lane AND counts.workspace = shares.workspace AND counts.next_at <= :now
        )
        ORDER BY shares.active / shares.weight, shares.served_at
        LIMIT 1
    )
    LIMIT 1
)
SELECT counts.batch,
    (SELECT count(DISTINCT due.workspace) FROM counts due WHERE due.lane = :lane AND due.next_at <= :now) AS shares,
    count(*) OVER () AS batches
FROM share JOIN counts ON counts.lane = :lane AND counts.workspace = share.workspace AND counts.next_at <= :now
ORDER BY counts.active, counts.served_at, counts.batch
LIMIT 1

-- name: cursor_items
-- The items from the cursor on. Primary key of items.
SELECT seq, NULL::integer AS attempt, 0 AS tries, 0 AS returns, 0 AS losses, custom_id, ref, zone, input FROM items
WHERE batch = %(batch)s::bytea AND seq >= %(cursor)s::integer AND seq < %(cursor)s::integer + %(limit)s::integer
ORDER BY seq

-- name: due_items (postgres)
-- Deferred items that are due, those never returned first; each number of returns (0 … 2) is a range of its own, so
-- that those not due yet cost nothing. Index live_due, primary key of items.
SELECT due.seq, due.attempt, due.tries, due.returns, due.losses, i.custom_id, i.ref, i.zone, i.input
FROM (
    SELECT * FROM (
        (SELECT * FROM live
        WHERE batch = %(batch)s::bytea AND state = 0 AND returns = 0 AND due_at <= %(now)s::bigint
        ORDER BY due_at LIMIT %(limit)s::bigint)
        UNION ALL
        (SELECT * FROM live
        WHERE batch = %(batch)s::bytea AND state = 0 AND returns = 1 AND due_at <= %(now)s::bigint
        ORDER BY due_at LIMIT %(limit)s::bigint)
        UNION ALL
        (SELECT * FROM live
        WHERE batch = %(batch)s::bytea AND state = 0 AND returns = 2 AND due_at <= %(now)s::bigint
        ORDER BY due_at LIMIT %(limit)s::bigint)
    ) every
    ORDER BY returns, due_at
    LIMIT %(limit)s::bigint
) due CROSS JOIN LATERAL (
    SELECT custom_id, ref, zone, input FROM items WHERE items.batch = due.batch AND items.seq = due.seq LIMIT 1
) i
ORDER BY due.returns, due.due_at

-- name: due_items (sqlite)
-- Deferred items that are due, those never returned first; each number of returns (0 … 2) is a range of its own, so that
-- those not due yet cost nothing. Index live_due, primary key of items.
-- Differs: looked up by LATERAL … LIMIT 1, which can become no hash join; each range is cut before they are merged.
SELECT due.seq, due.attempt, due.tries, due.returns, due.losses, i.custom_id, i.ref, i.zone, i.input
FROM (
    SELECT * FROM (
        SELECT * FROM live WHERE batch = :batch AND state = 0 AND returns = 0 AND due_at <= :now
        ORDER BY due_at LIMIT :limit
    )
    UNION ALL
    SELECT * FROM (
        SELECT * FROM live WHERE batch = :batch AND state = 0 AND returns = 1 AND due_at <= :now
        ORDER BY due_at LIMIT :limit
    )
    UNION ALL
    SELECT * FROM (
        SELECT * FROM live WHERE batch = :batch AND state = 0 AND returns = 2 AND due_at <= :now
        ORDER BY due_at LIMIT :limit
    )
) due JOIN items i ON i.batch = due.batch AND i.seq = due.seq
ORDER BY due.returns, due.due_at
LIMIT :limit

-- name: next_due (postgres)
-- When the next batch of a lane may start something. Index counts_open.
SELECT min(next_at) FROM counts WHERE lane = %(lane)s::text AND open = 1 AND next_at IS NOT NULL

-- name: next_due (sqlite)
-- When the next batch of a lane may start something. Index counts_due.
-- Differs: open batches have an index of their own, by the column open.
SELECT min(next_at) FROM counts WHERE lane = :lane AND next_at IS NOT NULL

-- name: next_deferred (postgres)
-- When the next deferred item of a batch is due: the earliest of each number of returns (0 … 2), so that it costs the
-- same for a million of them. Index live_due.
SELECT asked.batch, least(
    (SELECT min(due_at) FROM live WHERE live.batch = asked.batch AND state = 0 AND returns = 0),
    (SELECT min(due_at) FROM live WHERE live.batch = asked.batch AND state = 0 AND returns = 1),
    (SELECT min(due_at) FROM live WHERE live.batch = asked.batch AND state = 0 AND returns = 2)
) AS due_at
FROM unnest(%(batch)s::bytea[]) AS asked (batch)

-- name: next_deferred (sqlite)
-- Differs: all rows at once as arrays; SQLite runs it once a row.
SELECT :batch, min(due_at) FROM (
    SELECT min(due_at) AS due_at FROM live WHERE batch = :batch AND state = 0 AND returns = 0
    UNION ALL
    SELECT min(due_at) FROM live WHERE batch = :batch AND state = 0 AND returns = 1
    UNION ALL
    SELECT min(due_at) FROM live WHERE batch = :batch AND state = 0 AND returns = 2
)

-- name: batch_config
-- A batch's frozen configuration. Primary key of batches.
SELECT config FROM batches WHERE id = %(batch)s::bytea

-- name: batch_start
-- A batch starts with its first active item. Primary key of batches.
UPDATE batches SET started_at = %(now)s::bigint WHERE id = %(batch)s::bytea AND started_at IS NULL

-- name: blocked_among (postgres)
-- Which of these refs a workspace keeps from being touched. Primary key of blocked.
SELECT b.ref FROM unnest(%(refs)s::text[]) AS asked (ref)
CROSS JOIN LATERAL (
    SELECT ref FROM blocked WHERE blocked.workspace = %(workspace)s::text AND blocked.ref = asked.ref LIMIT 1
) b

-- name: blocked_among (sqlite)
-- Differs: arrays are unnested; SQLite reads them from JSON.
SELECT ref FROM blocked WHERE workspace = :workspace AND ref IN (SELECT value FROM json_each(:refs))

-- name: busy_among (postgres)
-- Which of these refs have an active item in the workspace. Primary key of busy_refs.
SELECT b.ref FROM unnest(%(refs)s::text[]) AS asked (ref)
CROSS JOIN LATERAL (
    SELECT ref FROM busy_refs WHERE busy_refs.workspace = %(workspace)s::text AND busy_refs.ref = asked.ref LIMIT 1
) b

-- name: busy_among (sqlite)
-- Differs: arrays are unnested; SQLite reads them from JSON.
SELECT ref FROM busy_refs WHERE workspace = :workspace AND ref IN (SELECT value FROM json_each(:refs))

-- name: live_activate (postgres)
-- Deferred items become active. Primary key of live.
UPDATE live SET state = 1, attempt = new.attempt, worker = new.worker, started_at = new.at, reason = NULL, dropped = 0, done = NULL, whole = NULL
FROM unnest(%(attempt)s::integer[], %(worker)s::text[], %(at)s::bigint[], %(batch)s::bytea[], %(seq)s::integer[])
    AS new (attempt, worker, at, batch, seq)
WHERE live.batch = new.batch AND live.seq = new.seq

-- name: live_activate (sqlite)
-- A deferred item becomes active. Primary key of live.
-- Differs: all rows at once as arrays; SQLite runs it once a row.
UPDATE live SET state = 1, attempt = :attempt, worker = :worker, started_at = :at, reason = NULL, dropped = 0, done = NULL, whole = NULL
WHERE batch = :batch AND seq = :seq

-- name: live_new (postgres)
-- Items leave the cursor: active, or deferred.
INSERT INTO live (batch, seq, attempt, tries, returns, losses, state, due_at, worker, started_at, reason)
SELECT new.batch, new.seq, new.attempt, 0, 0, 0, new.state, new.due_at, new.worker, new.started_at, new.reason
FROM unnest(
    %(batch)s::bytea[], %(seq)s::integer[], %(state)s::smallint[], %(attempt)s::integer[], %(due_at)s::bigint[],
    %(worker)s::text[], %(started_at)s::bigint[], %(reason)s::text[]
) AS new (batch, seq, state, attempt, due_at, worker, started_at, reason)

-- name: live_new (sqlite)
-- An item leaves the cursor: active, or deferred.
-- Differs: all rows at once as arrays; SQLite runs it once a row.
INSERT INTO live (batch, seq, state, attempt, due_at, worker, started_at, reason, tries, returns, losses)
VALUES (:batch, :seq, :state, :attempt, :due_at, :worker, :started_at, :reason, 0, 0, 0)

-- name: take_refs (postgres)
-- Mark refs as active; their primary key refuses a second one: those that were marked. In the order of the refs, so
-- that two claims never wait for each other.
INSERT INTO busy_refs (workspace, ref, batch, seq)
SELECT %(workspace)s::text, new.ref, %(batch)s::bytea, new.seq
FROM unnest(%(refs)s::text[], %(seqs)s::integer[]) AS new (ref, seq)
ORDER BY new.ref COLLATE "C"
ON CONFLICT (workspace, ref) DO NOTHING
RETURNING ref

-- name: take_refs (sqlite)
-- Mark refs as active, those that are not; which were marked. Primary key of busy_refs.
-- Differs: arrays are unnested; SQLite reads them from JSON.
INSERT INTO busy_refs (workspace, ref, batch, seq)
SELECT :workspace, ref.value, :batch, seq.value FROM json_each(:refs) ref JOIN json_each(:seqs) seq ON seq.key = ref.key
WHERE true
ON CONFLICT (workspace, ref) DO NOTHING
RETURNING ref

-- name: limit_probe
-- A lane whose breaker was open lets one item try. Primary key of limits.
UPDATE limits SET open_until = %(until)s::bigint, probe = %(probe)s::text WHERE lane = %(lane)s::text

-- name: limit_take
-- Slots of a lane are taken, and its next start time and turn move. Primary key of limits.
UPDATE limits SET active = active + %(n)s::integer, next_start = %(next_start)s::bigint,
    served_at = %(served_at)s::bigint
WHERE lane = %(lane)s::text

-- name: share_aside
-- A share could start nothing. Primary key of shares.
UPDATE shares SET aside_at = %(now)s::bigint WHERE lane = %(lane)s::text AND workspace = %(workspace)s::text

-- name: share_take
-- Slots of a share are taken. Primary key of shares.
UPDATE shares SET active = active + %(n)s::integer, served_at = %(served_at)s::bigint
WHERE lane = %(lane)s::text AND workspace = %(workspace)s::text

-- name: worker_alive (postgres)
-- Whether a worker may still claim; it stays so until this transaction ends. Primary key of workers.
SELECT 1 FROM workers WHERE id = %(worker)s::text AND dead_at IS NULL FOR KEY SHARE

-- name: worker_alive (sqlite)
-- Whether a worker may still claim. Primary key of workers.
-- Differs: rows are locked; SQLite has one writer.
SELECT 1 FROM workers WHERE id = :worker AND dead_at IS NULL
