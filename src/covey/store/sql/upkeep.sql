-- name: batch_remove
-- Remove a batch's own row. Primary key of batches.
DELETE FROM batches WHERE id = %(batch)s::bytea

-- name: batch_swept
-- A stopped batch has no deferred rows any more. Primary key of batches.
UPDATE batches SET leftovers = 0 WHERE id = %(batch)s::bytea

-- name: counts_remove
-- Remove what is left of a batch without items. Primary keys.
DELETE FROM counts WHERE batch = %(batch)s::bytea

-- name: erased_batches
-- Batches that are hidden and wait to be removed: those that were erased first, or one of them. Index batches_erased.
SELECT id FROM batches WHERE erased_at IS NOT NULL AND (%(batch)s::bytea IS NULL OR id = %(batch)s::bytea) ORDER BY erased_at LIMIT 10

-- name: erased_next
-- The batch that was erased first, or next after another, of those that wait to be removed. Index batches_erased,
-- primary key of batches.
SELECT id FROM batches
WHERE erased_at IS NOT NULL
    AND (%(after)s::bytea IS NULL OR (erased_at, id) > (SELECT erased_at, id FROM batches WHERE id = %(after)s::bytea))
ORDER BY erased_at, id
LIMIT 1

-- name: events_remove
-- Remove a batch's history. Index events_batch.
DELETE FROM events WHERE batch = %(batch)s::bytea

-- name: expired_batches
-- Batches whose time is over, and whose runs harm nobody when they are dropped or that are still open. Index
-- batches_expiring.
SELECT id FROM batches WHERE expires_at <= %(now)s::bigint AND aborted_at IS NULL AND completed_at IS NULL
    AND (stopped_at IS NULL OR repeatable = 1) AND accepted_at IS NOT NULL LIMIT %(limit)s::bigint

-- name: held_past
-- Slots kept past their time. Index held_until.
SELECT * FROM held WHERE until <= %(now)s::bigint LIMIT %(limit)s::bigint

-- name: items_remove
-- Remove a piece of a batch's items, the last ones first. Primary key of items.
DELETE FROM items WHERE batch = %(batch)s::bytea AND seq >= (
    SELECT coalesce(max(seq), 0) - %(limit)s::integer + 1 FROM items WHERE batch = %(batch)s::bytea
)

-- name: leftover_batches
-- Stopped batches whose deferred rows wait to be removed. Index batches_leftovers.
SELECT id FROM batches WHERE leftovers = 1 LIMIT 10

-- name: leftovers_end
-- A piece of what a stopped batch left deferred is written down as canceled. Primary keys of live and runs.
INSERT INTO runs (batch, seq, attempt, last, state, code, message, worker, tries, started_at, ended_at, seconds, result)
SELECT l.batch, l.seq, l.attempt + 1, 1, 'canceled', 'canceled', '', NULL::text, l.tries, NULL::bigint, b.stopped_at,
    0.0, '{}'::json
FROM live l JOIN batches b ON b.id = l.batch
WHERE l.batch = %(batch)s::bytea AND l.state = 0 ORDER BY l.seq LIMIT %(limit)s::bigint

-- name: live_remove (postgres)
-- Remove a piece of a batch's deferred rows. Primary key of live.
DELETE FROM live WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM live WHERE batch = %(batch)s::bytea AND state = 0 ORDER BY seq LIMIT %(limit)s::bigint
))

-- name: live_remove (sqlite)
-- Differs: the ids are found once, as an array; ctid is the rowid.
DELETE FROM live WHERE rowid IN (SELECT rowid FROM live WHERE batch = :batch AND state = 0 ORDER BY seq LIMIT :limit)

-- name: old_batches
-- Batches that have ended and whose time to be deleted has come. Index batches_retiring.
SELECT id FROM batches WHERE deletes_at <= %(now)s::bigint AND completed_at IS NOT NULL AND erased_at IS NULL
LIMIT %(limit)s::bigint

-- name: orphaned_drafts
-- Drafts whose owner is dead. Index batches_drafts.
SELECT b.id FROM batches b LEFT JOIN workers w ON w.id = b.owner
WHERE b.accepted_at IS NULL AND b.erased_at IS NULL AND b.owner <> %(me)s::text
    AND (w.id IS NULL OR w.dead_at IS NOT NULL)
LIMIT 100

-- name: outcomes_remove
-- Remove a batch's counts by code. Primary key of outcomes.
DELETE FROM outcomes WHERE batch = %(batch)s::bytea

-- name: runs_remove (postgres)
-- Remove a piece of a batch's runs. Primary key of runs.
DELETE FROM runs WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM runs WHERE batch = %(batch)s::bytea ORDER BY seq, attempt LIMIT %(limit)s::bigint
))

-- name: runs_remove (sqlite)
-- Differs: the ids are found once, as an array; ctid is the rowid.
DELETE FROM runs WHERE rowid IN (SELECT rowid FROM runs WHERE batch = :batch LIMIT :limit)

-- name: stranded_batches (postgres)
-- Open batches that are due on a lane that is none of these. Index batches_open.
SELECT id FROM batches
WHERE completed_at IS NULL AND accepted_at IS NOT NULL AND stopped_at IS NULL AND erased_at IS NULL
    AND greatest(accepted_at, coalesce(start_at, 0)) < %(before)s::bigint AND lane <> ALL(%(lanes)s::text[])
LIMIT %(limit)s::bigint

-- name: stranded_batches (sqlite)
-- Differs: max of two is greatest, <> ALL is NOT IN.
SELECT id FROM batches
WHERE completed_at IS NULL AND accepted_at IS NOT NULL AND stopped_at IS NULL AND erased_at IS NULL
    AND max(accepted_at, coalesce(start_at, 0)) < :before AND lane NOT IN (SELECT value FROM json_each(:lanes))
LIMIT :limit
