-- name: now (postgres)
-- The time of this moment, whenever the transaction began.
SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint

-- name: begin_read (postgres)
-- Begin an operation that only reads: all its statements see one snapshot.
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY

-- name: begin_write (postgres)
-- Begin an operation that writes: every statement sees what was committed before it.
BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE

-- name: begin_timed (postgres)
-- Every further statement of this transaction ends after so long, with 57014.
SELECT set_config('statement_timeout', %(milliseconds)s::bigint::text, true)

-- name: commit (postgres)
-- What was written is on disk when this is answered.
COMMIT

-- name: alone (postgres)
-- Whether no other transaction holds this key; it is held until this transaction ends.
SELECT pg_try_advisory_xact_lock(%(key)s::bigint)

-- name: notify (postgres)
-- Tell every process that listens, once this transaction is committed.
SELECT pg_notify('covey', %(payload)s::text)

-- name: lock_first (postgres)
-- Of all that find a database empty, one at a time makes its first workspace.
SELECT pg_advisory_xact_lock(hashtextextended('covey first workspace', 0))

-- name: lock_asset (postgres)
-- Nobody else changes this asset until this transaction ends. Primary key of assets.
SELECT id FROM assets WHERE workspace = %(workspace)s::text AND id = %(id)s::text FOR NO KEY UPDATE

-- name: lock_batches (postgres)
-- Nobody else changes these batches until this transaction ends. In one order for all. Primary key of counts.
SELECT batch FROM counts WHERE batch = ANY(%(batches)s::bytea[]) ORDER BY batch FOR NO KEY UPDATE

-- name: lock_admission (postgres)
-- Queue before a lane: one at a time is behind its gate, until this transaction ends.
SELECT pg_advisory_xact_lock(hashtextextended(%(lane)s::text, 0))

-- name: lock_admissions_of (postgres)
-- Queue before the lanes of these batches, in one order for all; one at a time is behind a gate. Primary key of counts.
SELECT pg_advisory_xact_lock(gates.key)
FROM (
    SELECT DISTINCT hashtextextended(lane, 0) AS key FROM counts
    WHERE batch = ANY(%(batches)s::bytea[])
    ORDER BY key
) AS gates

-- name: lock_lanes_of (postgres)
-- Nobody else changes the lanes of these batches, or their shares, until this transaction ends. In one order for all.
-- Primary keys of counts and limits.
SELECT lane FROM limits
WHERE lane = ANY(ARRAY(SELECT counts.lane FROM counts WHERE counts.batch = ANY(%(batches)s::bytea[])))
ORDER BY lane FOR NO KEY UPDATE

-- name: lock_lanes (postgres)
-- Nobody else changes these lanes, or their shares, until this transaction ends. In one order for all. Primary key of
-- limits.
SELECT lane FROM limits WHERE lane = ANY(%(lanes)s::text[]) ORDER BY lane FOR NO KEY UPDATE

-- name: lock_workspace (postgres)
-- Nobody else accepts a batch, or makes an endpoint, of this workspace until this transaction ends. Primary key of workspaces.
SELECT id FROM workspaces WHERE id = %(workspace)s::text FOR NO KEY UPDATE

-- name: lock_draft (postgres)
-- Nobody else changes this draft, or makes it a batch, until this transaction ends. Primary key of batches.
SELECT id FROM batches WHERE id = %(batch)s::bytea FOR NO KEY UPDATE

-- name: lock_endpoints (postgres)
-- Nobody else changes these endpoints until this transaction ends. In one order for all. Primary key of endpoints.
SELECT id FROM endpoints WHERE id = ANY(%(endpoints)s::text[]) ORDER BY id FOR NO KEY UPDATE
