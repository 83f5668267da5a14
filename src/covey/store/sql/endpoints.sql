-- name: endpoint_change
-- An endpoint was changed. Primary key of endpoints.
UPDATE endpoints SET url = %(url)s::text, description = %(description)s::text, events = %(events)s::text,
    items = %(items)s::smallint, singles = %(singles)s::smallint, secrets = %(secrets)s::json,
    failing_since = %(failing_since)s::bigint, off_at = %(off_at)s::bigint, off_reason = %(off_reason)s::text,
    sweep_at = %(sweep_at)s::bigint
WHERE id = %(endpoint)s::text

-- name: endpoint_new
-- An endpoint, unless there is one of this id. Primary key of endpoints.
INSERT INTO endpoints (id, workspace, url, style, description, events, items, kind, batch, singles, secrets, created_at,
    off_at, off_reason, sweep_at)
VALUES (%(endpoint)s::text, %(workspace)s::text, %(url)s::text, %(style)s::text, %(description)s::text,
    %(events)s::text, %(items)s::smallint, %(kind)s::text, %(batch)s::bytea, %(singles)s::smallint, %(secrets)s::json,
    %(created_at)s::bigint, %(off_at)s::bigint, %(off_reason)s::text, %(sweep_at)s::bigint)
ON CONFLICT (id) DO NOTHING

-- name: endpoint_read
-- An endpoint. Primary key of endpoints.
SELECT * FROM endpoints WHERE id = %(endpoint)s::text AND erased_at IS NULL

-- name: endpoints_count
-- How many endpoints a workspace has: those that have an address and are of no single batch. Index endpoints_workspace.
SELECT count(*) FROM endpoints WHERE workspace = %(workspace)s::text AND batch = ''::bytea AND url <> ''
    AND erased_at IS NULL

-- name: endpoint_erase
-- An endpoint is deleted: hidden at once, its deliveries go in pieces. Primary key of endpoints.
UPDATE endpoints SET erased_at = %(now)s::bigint, sweep_at = %(now)s::bigint
WHERE id = %(endpoint)s::text AND erased_at IS NULL

-- name: endpoints
-- The endpoints of a workspace that are of no single batch, oldest first. Index endpoints_workspace.
SELECT * FROM endpoints WHERE workspace = %(workspace)s::text AND batch = ''::bytea
    AND erased_at IS NULL ORDER BY created_at, id

-- name: endpoint_failed
-- An endpoint did not accept a delivery; since when that is so. Primary key of endpoints.
UPDATE endpoints SET failing_since = coalesce(failing_since, %(now)s::bigint) WHERE id = %(endpoint)s::text
RETURNING failing_since

-- name: endpoint_off
-- An endpoint is told nothing any more. Primary key of endpoints.
UPDATE endpoints SET off_at = %(now)s::bigint, off_reason = %(off_reason)s::text, sweep_at = %(now)s::bigint
WHERE id = %(endpoint)s::text

-- name: endpoint_remove
-- Remove a deleted endpoint, which has no deliveries left. Primary key of endpoints.
DELETE FROM endpoints WHERE id = %(endpoint)s::text AND erased_at IS NOT NULL

-- name: endpoint_row (postgres)
-- Endpoints that are on. Primary key of endpoints.
SELECT e.* FROM unnest(%(endpoint)s::text[]) AS asked (endpoint)
CROSS JOIN LATERAL (SELECT * FROM endpoints WHERE endpoints.id = asked.endpoint LIMIT 1) e
WHERE e.off_at IS NULL AND e.erased_at IS NULL

-- name: endpoint_row (sqlite)
-- An endpoint that is on. Primary key of endpoints.
-- Differs: all rows at once as arrays; SQLite runs it once a row.
SELECT * FROM endpoints WHERE id = :endpoint AND off_at IS NULL AND erased_at IS NULL

-- name: endpoint_swept
-- An endpoint was looked at: it is to be looked at again later, or never. Primary key of endpoints.
UPDATE endpoints SET sweep_at = %(sweep_at)s::bigint WHERE id = %(endpoint)s::text

-- name: endpoint_worked (postgres)
-- Endpoints accepted deliveries. Primary key of endpoints.
UPDATE endpoints SET failing_since = NULL, delivered_at = worked.now
FROM unnest(%(now)s::bigint[], %(endpoint)s::text[]) AS worked (now, endpoint)
WHERE endpoints.id = worked.endpoint

-- name: endpoint_worked (sqlite)
-- An endpoint accepted a delivery. Primary key of endpoints.
-- Differs: all rows at once as arrays; SQLite runs it once a row.
UPDATE endpoints SET failing_since = NULL, delivered_at = :now WHERE id = :endpoint

-- name: endpoints_due (postgres)
-- The endpoints that have deliveries due, those first that do not fail, then by how long they are due; with how many
-- deliveries are due, `most` at most. From endpoint to endpoint along the index, so that it costs the same however many
-- wait for one. Index deliveries_due, primary key of endpoints.
WITH RECURSIVE waiting (endpoint) AS (
    SELECT (SELECT endpoint FROM deliveries WHERE state = 'waiting' ORDER BY endpoint LIMIT 1)
    UNION ALL
    SELECT (
        SELECT d.endpoint FROM deliveries d WHERE d.state = 'waiting' AND d.endpoint > waiting.endpoint
        ORDER BY d.endpoint LIMIT 1
    )
    FROM waiting WHERE waiting.endpoint IS NOT NULL
), due AS (
    SELECT waiting.endpoint, (
        SELECT next_at FROM deliveries WHERE state = 'waiting' AND deliveries.endpoint = waiting.endpoint
        ORDER BY next_at LIMIT 1
    ) AS due_at
    FROM waiting
)
SELECT due.endpoint, e.failing_since IS NOT NULL AS failing, (
    SELECT count(*) FROM (
        SELECT 1 FROM deliveries
        WHERE state = 'waiting' AND deliveries.endpoint = due.endpoint AND next_at <= %(now)s::bigint
        LIMIT %(most)s::bigint
    ) few
) AS n
FROM due CROSS JOIN LATERAL (SELECT * FROM endpoints WHERE endpoints.id = due.endpoint LIMIT 1) e
WHERE due.due_at <= %(now)s::bigint AND e.off_at IS NULL AND e.erased_at IS NULL
ORDER BY failing, due.due_at
LIMIT %(limit)s::bigint

-- name: endpoints_due (sqlite)
-- Differs: looked up by LATERAL … LIMIT 1, which can become no hash join; min() of a range is ORDER BY … LIMIT 1.
WITH RECURSIVE waiting (endpoint) AS (
    SELECT min(endpoint) FROM deliveries WHERE state = 'waiting'
    UNION ALL
    SELECT (SELECT min(d.endpoint) FROM deliveries d WHERE d.state = 'waiting' AND d.endpoint > waiting.endpoint)
    FROM waiting WHERE waiting.endpoint IS NOT NULL
), due AS (
    SELECT waiting.endpoint, (
        SELECT min(next_at) FROM deliveries WHERE state = 'waiting' AND deliveries.endpoint = waiting.endpoint
    ) AS due_at
    FROM waiting
)
SELECT due.endpoint, e.failing_since IS NOT NULL AS failing, (
    SELECT count(*) FROM (
        SELECT 1 FROM deliveries
        WHERE state = 'waiting' AND deliveries.endpoint = due.endpoint AND next_at <= :now LIMIT :most
    )
) AS n
FROM due CROSS JOIN endpoints e ON e.id = due.endpoint
WHERE due.due_at <= :now AND e.off_at IS NULL AND e.erased_at IS NULL
ORDER BY failing, due.due_at
LIMIT :limit

-- name: endpoints_leftovers
-- Endpoints that are to be looked at: switched off or deleted, with deliveries left perhaps, or of a batch that never
-- came or is gone (`orphaned`). Indexes endpoints_leftovers and deliveries_due, primary key of batches.
SELECT e.id, coalesce(e.erased_at, e.off_at) AS since, e.erased_at IS NOT NULL AS erased,
    e.batch <> ''::bytea AND (SELECT 1 FROM batches WHERE batches.id = e.batch LIMIT 1) IS NULL AS orphaned,
    (SELECT 1 FROM deliveries WHERE deliveries.endpoint = e.id AND state = 'waiting' LIMIT 1) IS NOT NULL AS waits
FROM endpoints e WHERE e.sweep_at <= %(now)s::bigint ORDER BY e.sweep_at LIMIT 100

-- name: endpoints_orphan
-- The endpoints of a batch that goes are to be looked at. Primary key of batches, index endpoints_workspace.
UPDATE endpoints SET sweep_at = %(now)s::bigint
WHERE workspace = (SELECT workspace FROM batches WHERE id = %(batch)s::bytea) AND batch = %(batch)s::bytea
