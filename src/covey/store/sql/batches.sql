-- name: batch_abort
-- The active runs of a stopped batch are to be dropped. Primary key of batches.
UPDATE batches SET aborted_at = %(now)s::bigint WHERE id = %(batch)s::bytea AND aborted_at IS NULL

-- name: batch_rename
-- A batch gets another name. Primary key of batches.
UPDATE batches SET name = %(name)s::text WHERE id = %(batch)s::bytea

-- name: batch_resume
-- A batch goes on. Primary key of batches.
UPDATE batches SET paused_at = NULL, pause_reason = NULL WHERE id = %(batch)s::bytea

-- name: batch_stop
-- A batch is stopped; the first reason stays. Primary key of batches.
UPDATE batches SET stopped_at = %(now)s::bigint, stop_reason = %(reason)s::text, stop_message = %(message)s::text,
    leftovers = %(leftovers)s::smallint
WHERE id = %(batch)s::bytea AND stopped_at IS NULL

-- name: batch_pause
-- A batch is paused. Primary key of batches.
UPDATE batches SET paused_at = %(now)s::bigint, pause_reason = %(reason)s::text WHERE id = %(batch)s::bytea

-- name: batch_erase
-- A batch is hidden until its rows are removed. Primary key of batches.
UPDATE batches SET erased_at = %(now)s::bigint WHERE id = %(batch)s::bytea AND erased_at IS NULL

-- name: counts_limits
-- A batch gets other limits of its own. Primary key of counts.
UPDATE counts SET cap = %(cap)s::integer, pace = %(pace)s::double precision WHERE batch = %(batch)s::bytea

-- name: counts_new
-- The hot row of a new batch.
INSERT INTO counts (batch, workspace, lane, total, cap, pace, max_cost, run_cost, next_at)
SELECT id, workspace, lane, %(total)s::integer, asked_cap, asked_pace, max_cost, run_cost, %(next_at)s::bigint
FROM batches WHERE id = %(batch)s::bytea

-- name: draft_accept
-- A draft becomes a batch. Primary key of batches.
UPDATE batches SET accepted_at = %(now)s::bigint, actor = %(actor)s::text WHERE id = %(batch)s::bytea

-- name: draft_new (postgres)
-- A draft begins.
INSERT INTO batches (id, workspace, kind, lane, origin, name, config, notes, owner, fingerprint, max_tries, repeatable,
    exclusive, self_pausing, hours, asked_cap, asked_pace, created_at, start_at, expires_at, prices, max_cost, run_cost, keep_for,
    deletes_at)
VALUES (%(id)s::bytea, %(workspace)s::text, %(kind)s::text, %(lane)s::text, %(origin)s::text, %(name)s::text,
    convert_from(%(config)s::bytea, 'UTF8')::json, %(notes)s::json, %(owner)s::text, %(fingerprint)s::text,
    %(max_tries)s::integer, %(repeatable)s::smallint, %(exclusive)s::smallint, %(self_pausing)s::smallint,
    %(hours)s::text, %(cap)s::integer,
    %(pace)s::double precision, %(created_at)s::bigint, %(start_at)s::bigint, %(expires_at)s::bigint,
    %(prices)s::json, %(max_cost)s::bigint, %(run_cost)s::bigint, %(keep_for)s::bigint, %(deletes_at)s::bigint)

-- name: draft_new (sqlite)
-- Differs: JSON is a type, not bytes.
INSERT INTO batches (id, workspace, kind, lane, origin, name, config, notes, owner, fingerprint, max_tries, repeatable,
    exclusive, self_pausing, hours, asked_cap, asked_pace, created_at, start_at, expires_at, prices, max_cost, run_cost, keep_for,
    deletes_at)
VALUES (:id, :workspace, :kind, :lane, :origin, :name, :config, :notes, :owner, :fingerprint, :max_tries, :repeatable,
    :exclusive, :self_pausing, :hours, :cap, :pace, :created_at, :start_at, :expires_at, :prices, :max_cost, :run_cost, :keep_for,
    :deletes_at)

-- name: draft_row
-- A draft, if it still is one. Primary key of batches.
SELECT id, workspace, kind, lane, origin, fingerprint, start_at FROM batches
WHERE id = %(batch)s::bytea AND accepted_at IS NULL AND erased_at IS NULL

-- name: items_new (sqlite)
-- Items of a draft.
INSERT INTO items (batch, seq, custom_id, ref, zone, input) VALUES (:batch, :seq, :custom_id, :ref, :zone, :input)

-- name: items_copy (postgres)
-- Items of a draft, as many as there are.
COPY items (batch, seq, custom_id, ref, zone, input) FROM STDIN

-- name: open_in_workspace
-- How many batches of a kind, given as a list, a workspace has open, and how many items wait in all. Index batches_open,
-- primary key of counts.
SELECT count(*) FILTER (WHERE b.origin = 'batch' AND b.kind = %(kind)s::text) AS batches,
    coalesce(sum(c.total - c.active - c.succeeded - c.failed - c.canceled), 0) AS waiting
FROM batches b JOIN counts c ON c.batch = b.id
WHERE b.workspace = %(workspace)s::text AND b.completed_at IS NULL AND b.accepted_at IS NOT NULL

-- name: share_new
-- A workspace's share of a lane, with the workspace's weight.
INSERT INTO shares (lane, workspace, weight)
SELECT %(lane)s::text, %(workspace)s::text,
    coalesce((SELECT weight FROM workspaces WHERE id = %(workspace)s::text), 1.0) WHERE true
ON CONFLICT (lane, workspace) DO UPDATE SET weight = excluded.weight

-- name: find_fingerprint
-- The newest batch made of the same list for the same purpose on the same lane that is open or young. Index
-- batches_fingerprint: few batches share a fingerprint, so the lane needs none.
SELECT id FROM batches
WHERE workspace = %(workspace)s::text AND fingerprint = %(fingerprint)s::text AND lane = %(lane)s::text
    AND accepted_at IS NOT NULL AND (completed_at IS NULL OR accepted_at > %(since)s::bigint) AND erased_at IS NULL
ORDER BY id DESC LIMIT 1

-- name: oldest_open (postgres)
-- The oldest batch of a workspace on a lane that has not ended. Index batches_open; without the OFFSET a plan might go
-- through all batches by their id, in the hope that one of the first is it.
SELECT id FROM (
    SELECT id FROM batches
    WHERE workspace = %(workspace)s::text AND lane = %(lane)s::text AND completed_at IS NULL AND accepted_at IS NOT NULL
    OFFSET 0
) AS unended
ORDER BY id LIMIT 1

-- name: oldest_open (sqlite)
-- The oldest batch of a workspace on a lane that has not ended. Index batches_open.
-- Differs: kept to its index by OFFSET 0, which SQLite does not need.
SELECT min(id) FROM batches
WHERE workspace = :workspace AND lane = :lane AND completed_at IS NULL AND accepted_at IS NOT NULL

-- name: refs_elsewhere (postgres)
-- Which of these refs are also in a batch of the workspace on a lane that has not ended or was accepted lately, each with
-- one such batch. No batch before `oldest` is one. Index items_ref, primary key of batches: what a batch must be is asked
-- outside of its LIMIT, or a plan might look for it, or for the items, by the workspace or by the age.
SELECT asked.ref, e.batch FROM unnest(%(refs)s::text[]) AS asked (ref)
CROSS JOIN LATERAL (
    SELECT i.batch FROM items i
    CROSS JOIN LATERAL (SELECT * FROM batches WHERE batches.id = i.batch LIMIT 1) b
    WHERE i.ref = asked.ref AND b.id >= %(oldest)s::bytea AND b.workspace = %(workspace)s::text
        AND b.lane = %(lane)s::text AND b.accepted_at IS NOT NULL AND b.erased_at IS NULL
        AND (b.completed_at IS NULL OR b.accepted_at > %(since)s::bigint)
    LIMIT 1
) e

-- name: refs_elsewhere (sqlite)
-- Which of these refs are also in a batch of the workspace on a lane that has not ended or was accepted lately, each with
-- one such batch. No batch before `oldest` is one. Index items_ref, primary key of batches.
-- Differs: arrays are unnested; SQLite reads them from JSON.
SELECT ref, batch FROM (
    SELECT asked.value AS ref, (
        SELECT i.batch FROM items i CROSS JOIN batches b ON b.id = i.batch
        WHERE i.ref = asked.value AND i.batch >= :oldest AND b.workspace = :workspace
            AND b.lane = :lane AND b.accepted_at IS NOT NULL AND b.erased_at IS NULL
            AND (b.completed_at IS NULL OR b.accepted_at > :since)
        LIMIT 1
    ) AS batch
    FROM json_each(:refs) AS asked
) WHERE batch IS NOT NULL
