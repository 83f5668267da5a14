-- name: event_new (postgres)
-- Things happened to batches.
INSERT INTO events (workspace, batch, at, type, actor, data)
SELECT new.workspace, new.batch, new.at, new.type, new.actor, new.data::json
FROM unnest(
    %(workspace)s::text[], %(batch)s::bytea[], %(at)s::bigint[], %(type)s::text[], %(actor)s::text[], %(data)s::text[]
) WITH ORDINALITY AS new (workspace, batch, at, type, actor, data, n)
ORDER BY new.n

-- name: event_new (sqlite)
-- Something happened to a batch.
-- Differs: all rows at once as arrays; SQLite runs it once a row.
INSERT INTO events (workspace, batch, at, type, actor, data) VALUES (:workspace, :batch, :at, :type, :actor, :data)

-- name: delivery_new (postgres)
-- Things that happened are told to every endpoint that wants them: those of this batch, and those of its workspace (of
-- a batch of one only what is about items, unless they ask for more). Primary keys of batches and counts, index
-- endpoints_workspace.
INSERT INTO deliveries (id, endpoint, workspace, batch, seq, type, at, data, next_at)
SELECT decode(new.stem, 'hex') || substring(uuid_send(gen_random_uuid()) FROM 10), e.id, b.workspace, b.id, new.seq,
    new.type, new.at,
    json_build_object('name', b.name, 'kind', b.kind, 'lane', b.lane, 'origin', b.origin, 'createdAt', b.created_at,
        'expiresAt', b.expires_at, 'mode', b.notes ->> 'analysis_mode',
        'data', new.data::json, 'counts', json_build_object('total', c.total, 'active', c.active,
            'succeeded', c.succeeded, 'failed', c.failed, 'canceled', c.canceled,
            'waiting', c.total - c.active - c.succeeded - c.failed - c.canceled)), new.at
FROM unnest(
    %(stem)s::text[], %(seq)s::integer[], %(type)s::text[], %(at)s::bigint[], %(data)s::text[], %(batch)s::bytea[]
) AS new (stem, seq, type, at, data, batch)
CROSS JOIN LATERAL (SELECT * FROM batches WHERE batches.id = new.batch LIMIT 1) b
CROSS JOIN LATERAL (SELECT * FROM counts WHERE counts.batch = new.batch LIMIT 1) c
CROSS JOIN LATERAL (
    SELECT * FROM endpoints WHERE endpoints.workspace = b.workspace AND endpoints.batch = ANY(ARRAY[b.id, ''::bytea])
    OFFSET 0
) e
WHERE e.off_at IS NULL AND e.erased_at IS NULL AND strpos(e.events, ' ' || new.type || ' ') > 0
    AND (e.kind IS NULL OR e.kind = b.kind)
    AND (e.batch = b.id OR b.origin = 'batch' OR e.singles = 1 OR new.seq IS NOT NULL)

-- name: delivery_new (sqlite)
-- Something that happened is told to every endpoint that wants it: those of this batch, and those of its workspace (of
-- a batch of one only what is about items, unless they ask for more). Primary keys of batches and counts, index
-- endpoints_workspace.
-- Differs: all rows at once as arrays; SQLite runs it once a row; instr is strpos.
INSERT INTO deliveries (id, endpoint, workspace, batch, seq, type, at, data, next_at)
SELECT unhex(:stem || hex(randomblob(7))), e.id, b.workspace, b.id, :seq, :type, :at,
    json_object('name', b.name, 'kind', b.kind, 'lane', b.lane, 'origin', b.origin, 'createdAt', b.created_at,
        'expiresAt', b.expires_at, 'mode', b.notes ->> 'analysis_mode',
        'data', json(:data), 'counts', json_object('total', c.total, 'active', c.active,
            'succeeded', c.succeeded, 'failed', c.failed, 'canceled', c.canceled,
            'waiting', c.total - c.active - c.succeeded - c.failed - c.canceled)), :at
FROM batches b CROSS JOIN counts c ON c.batch = b.id
CROSS JOIN endpoints e ON e.workspace = b.workspace AND e.batch IN (b.id, x'')
WHERE b.id = :batch AND e.off_at IS NULL AND e.erased_at IS NULL AND instr(e.events, ' ' || :type || ' ') > 0
    AND (e.kind IS NULL OR e.kind = b.kind)
    AND (e.batch = b.id OR b.origin = 'batch' OR e.singles = 1 OR :seq IS NOT NULL)

-- name: delivery_holding (postgres)
-- A lane's breaker has opened: told of every batch that has begun on it and could start something now. Index
-- counts_open, primary key of batches, index endpoints_workspace.
INSERT INTO deliveries (id, endpoint, workspace, batch, type, at, data, next_at)
SELECT decode(%(stem)s::text, 'hex') || substring(uuid_send(gen_random_uuid()) FROM 10), e.id, b.workspace, b.id,
    'batch.holding', %(at)s::bigint,
    json_build_object('name', b.name, 'kind', b.kind, 'lane', b.lane, 'origin', b.origin, 'createdAt', b.created_at,
        'expiresAt', b.expires_at, 'mode', b.notes ->> 'analysis_mode',
        'data', %(data)s::json, 'counts', json_build_object('total', c.total, 'active', c.active,
            'succeeded', c.succeeded, 'failed', c.failed, 'canceled', c.canceled,
            'waiting', c.total - c.active - c.succeeded - c.failed - c.canceled)), %(at)s::bigint
FROM (SELECT * FROM counts WHERE lane = %(lane)s::text AND open = 1 AND next_at IS NOT NULL AND cursor > 0) c
CROSS JOIN LATERAL (SELECT * FROM batches WHERE batches.id = c.batch LIMIT 1) b
CROSS JOIN LATERAL (
    SELECT * FROM endpoints WHERE endpoints.workspace = b.workspace AND endpoints.batch = ANY(ARRAY[b.id, ''::bytea])
    OFFSET 0
) e
WHERE b.started_at IS NOT NULL AND b.paused_at IS NULL AND b.stopped_at IS NULL AND b.erased_at IS NULL
    AND e.off_at IS NULL AND e.erased_at IS NULL AND strpos(e.events, ' batch.holding ') > 0
    AND (e.kind IS NULL OR e.kind = b.kind) AND (e.batch = b.id OR b.origin = 'batch' OR e.singles = 1)

-- name: delivery_holding (sqlite)
-- A lane's breaker has opened: told of every batch that has begun on it and could start something now. Index
-- counts_due, primary key of batches, index endpoints_workspace.
-- Differs: instr is strpos.
INSERT INTO deliveries (id, endpoint, workspace, batch, type, at, data, next_at)
SELECT unhex(:stem || hex(randomblob(7))), e.id, b.workspace, b.id, 'batch.holding', :at,
    json_object('name', b.name, 'kind', b.kind, 'lane', b.lane, 'origin', b.origin, 'createdAt', b.created_at,
        'expiresAt', b.expires_at, 'mode', b.notes ->> 'analysis_mode',
        'data', json(:data), 'counts', json_object('total', c.total, 'active', c.active,
            'succeeded', c.succeeded, 'failed', c.failed, 'canceled', c.canceled,
            'waiting', c.total - c.active - c.succeeded - c.failed - c.canceled)), :at
FROM counts c CROSS JOIN batches b ON b.id = c.batch
CROSS JOIN endpoints e ON e.workspace = b.workspace AND e.batch IN (b.id, x'')
WHERE c.lane = :lane AND c.next_at IS NOT NULL AND c.cursor > 0
    AND b.started_at IS NOT NULL AND b.paused_at IS NULL AND b.stopped_at IS NULL AND b.erased_at IS NULL
    AND e.off_at IS NULL AND e.erased_at IS NULL AND instr(e.events, ' batch.holding ') > 0
    AND (e.kind IS NULL OR e.kind = b.kind) AND (e.batch = b.id OR b.origin = 'batch' OR e.singles = 1)

-- name: deliveries_again (postgres)
-- Some of the deliveries that an endpoint failed to take within a time are to be sent again. Index deliveries_failed.
UPDATE deliveries SET state = 'waiting', next_at = %(now)s::bigint, attempts = 0, ended_at = NULL, status = NULL,
    error = NULL
WHERE id = ANY(ARRAY(
    SELECT id FROM deliveries
    WHERE state = 'failed' AND (endpoint, ended_at) >= (%(endpoint)s::text, %(since)s::bigint)
        AND (endpoint, ended_at) <= (%(endpoint)s::text, %(until)s::bigint)
    ORDER BY endpoint, ended_at LIMIT %(limit)s::bigint
))

-- name: deliveries_again (sqlite)
-- Differs: the ids are found once, as an array.
UPDATE deliveries SET state = 'waiting', next_at = :now, attempts = 0, ended_at = NULL, status = NULL, error = NULL
WHERE id IN (
    SELECT id FROM deliveries
    WHERE state = 'failed' AND (endpoint, ended_at) >= (:endpoint, :since)
        AND (endpoint, ended_at) <= (:endpoint, :until)
    ORDER BY endpoint, ended_at LIMIT :limit
)

-- name: deliveries_fail (postgres)
-- Give up some of the deliveries that wait for an endpoint that is switched off, and has not been switched on since
-- that was read. Index deliveries_due, primary key of endpoints.
UPDATE deliveries SET state = 'failed', next_at = NULL, ended_at = %(now)s::bigint, error = coalesce(error,
    %(error)s::text)
WHERE id = ANY(ARRAY(
    SELECT id FROM deliveries WHERE endpoint = %(endpoint)s::text AND state = 'waiting'
        AND EXISTS (SELECT 1 FROM endpoints WHERE endpoints.id = %(endpoint)s::text AND endpoints.off_at IS NOT NULL)
    ORDER BY next_at LIMIT %(limit)s::bigint FOR UPDATE SKIP LOCKED
))

-- name: deliveries_fail (sqlite)
-- Give up some of the deliveries that wait for an endpoint that is switched off. Index deliveries_due.
-- Differs: the ids are found once, as an array; rows are locked; SQLite has one writer.
UPDATE deliveries SET state = 'failed', next_at = NULL, ended_at = :now, error = coalesce(error, :error)
WHERE id IN (SELECT id FROM deliveries WHERE endpoint = :endpoint AND state = 'waiting' LIMIT :limit)

-- name: deliveries_old (postgres)
-- Remove a piece of the deliveries that ended long ago. Index deliveries_ended.
DELETE FROM deliveries WHERE id = ANY(ARRAY(
    SELECT id FROM deliveries WHERE ended_at < %(ended_before)s::bigint ORDER BY ended_at LIMIT %(limit)s::bigint
))

-- name: deliveries_old (sqlite)
-- Differs: the ids are found once, as an array.
DELETE FROM deliveries WHERE id IN (
    SELECT id FROM deliveries WHERE ended_at < :ended_before ORDER BY ended_at LIMIT :limit
)

-- name: deliveries_page_batch (postgres)
-- A page of the deliveries of a batch, newest first. Index deliveries_batch, primary key of endpoints.
SELECT d.id, d.endpoint, d.workspace, d.batch, d.seq, d.type, d.at, d.data, d.state, d.attempts, d.next_at, d.status,
    d.error, d.ended_at
FROM deliveries d
CROSS JOIN LATERAL (SELECT * FROM endpoints WHERE endpoints.id = d.endpoint LIMIT 1) e
WHERE d.batch = %(batch)s::bytea AND e.workspace = %(workspace)s::text
    AND (%(endpoint)s::text IS NULL OR d.endpoint = %(endpoint)s::text)
    AND (%(state)s::text IS NULL OR d.state = %(state)s::text)
    AND (%(before)s::bytea IS NULL OR d.id < %(before)s::bytea) AND e.erased_at IS NULL
ORDER BY d.id DESC NULLS LAST
LIMIT %(limit)s::bigint

-- name: deliveries_page_batch (sqlite)
-- Differs: looked up by LATERAL … LIMIT 1, which can become no hash join.
SELECT d.id, d.endpoint, d.workspace, d.batch, d.seq, d.type, d.at, d.data, d.state, d.attempts, d.next_at, d.status,
    d.error, d.ended_at
FROM deliveries d CROSS JOIN endpoints e
WHERE d.batch = :batch AND e.workspace = :workspace AND (:endpoint IS NULL OR d.endpoint = :endpoint)
    AND (:state IS NULL OR d.state = :state)
    AND (:before IS NULL OR d.id < :before) AND e.id = d.endpoint AND e.erased_at IS NULL
ORDER BY d.id DESC
LIMIT :limit

-- name: deliveries_page_endpoint (postgres)
-- A page of an endpoint's deliveries, newest first. Index deliveries_endpoint, primary key of endpoints.
SELECT d.id, d.endpoint, d.workspace, d.batch, d.seq, d.type, d.at, d.data, d.state, d.attempts, d.next_at, d.status,
    d.error, d.ended_at
FROM deliveries d
CROSS JOIN LATERAL (SELECT * FROM endpoints WHERE endpoints.id = d.endpoint LIMIT 1) e
WHERE d.endpoint = %(endpoint)s::text AND e.workspace = %(workspace)s::text
    AND (%(state)s::text IS NULL OR d.state = %(state)s::text)
    AND (%(before)s::bytea IS NULL OR d.id < %(before)s::bytea) AND e.erased_at IS NULL
ORDER BY d.id DESC NULLS LAST
LIMIT %(limit)s::bigint

-- name: deliveries_page_endpoint (sqlite)
-- Differs: looked up by LATERAL … LIMIT 1, which can become no hash join.
SELECT d.id, d.endpoint, d.workspace, d.batch, d.seq, d.type, d.at, d.data, d.state, d.attempts, d.next_at, d.status,
    d.error, d.ended_at
FROM deliveries d CROSS JOIN endpoints e
WHERE d.endpoint = :endpoint AND e.workspace = :workspace AND (:state IS NULL OR d.state = :state)
    AND (:before IS NULL OR d.id < :before) AND e.id = d.endpoint AND e.erased_at IS NULL
ORDER BY d.id DESC
LIMIT :limit

-- name: deliveries_page_workspace (postgres)
-- A page of a workspace's deliveries, newest first. Index deliveries_workspace, primary key of endpoints.
SELECT d.id, d.endpoint, d.workspace, d.batch, d.seq, d.type, d.at, d.data, d.state, d.attempts, d.next_at, d.status,
    d.error, d.ended_at
FROM deliveries d
CROSS JOIN LATERAL (SELECT * FROM endpoints WHERE endpoints.id = d.endpoint LIMIT 1) e
WHERE d.workspace = %(workspace)s::text AND (%(state)s::text IS NULL OR d.state = %(state)s::text)
    AND (%(before)s::bytea IS NULL OR d.id < %(before)s::bytea) AND e.erased_at IS NULL
ORDER BY d.id DESC NULLS LAST
LIMIT %(limit)s::bigint

-- name: deliveries_page_workspace (sqlite)
-- Differs: looked up by LATERAL … LIMIT 1, which can become no hash join.
SELECT d.id, d.endpoint, d.workspace, d.batch, d.seq, d.type, d.at, d.data, d.state, d.attempts, d.next_at, d.status,
    d.error, d.ended_at
FROM deliveries d CROSS JOIN endpoints e
WHERE d.workspace = :workspace AND (:state IS NULL OR d.state = :state)
    AND (:before IS NULL OR d.id < :before) AND e.id = d.endpoint AND e.erased_at IS NULL
ORDER BY d.id DESC
LIMIT :limit

-- name: deliveries_remove (postgres)
-- Remove a piece of the ended deliveries about a batch. Index deliveries_batch.
DELETE FROM deliveries WHERE id = ANY(ARRAY(
    SELECT id FROM deliveries WHERE batch = %(batch)s::bytea AND state <> 'waiting'
    ORDER BY batch, id DESC NULLS LAST LIMIT %(limit)s::bigint
))

-- name: deliveries_remove (sqlite)
-- Differs: the ids are found once, as an array.
DELETE FROM deliveries WHERE id IN (
    SELECT id FROM deliveries WHERE batch = :batch AND state <> 'waiting' LIMIT :limit
)

-- name: deliveries_remove_endpoint (postgres)
-- Remove a piece of the deliveries for a deleted endpoint. Index deliveries_endpoint.
DELETE FROM deliveries WHERE id = ANY(ARRAY(
    SELECT id FROM deliveries WHERE endpoint = %(endpoint)s::text ORDER BY id LIMIT %(limit)s::bigint
))

-- name: deliveries_remove_endpoint (sqlite)
-- Differs: the ids are found once, as an array.
DELETE FROM deliveries WHERE id IN (SELECT id FROM deliveries WHERE endpoint = :endpoint LIMIT :limit)

-- name: deliveries_take (postgres)
-- Take some deliveries of endpoints that are due. Those that somebody else takes at this moment are left to him: they
-- are a plain queue, in which no row has to be seen by all. Index deliveries_due, primary key of deliveries.
WITH taken AS MATERIALIZED (
    SELECT d.id, asked.until
    FROM unnest(%(until)s::bigint[], %(endpoint)s::text[], %(now)s::bigint[], %(n)s::integer[])
        AS asked (until, endpoint, now, n)
    CROSS JOIN LATERAL (
        SELECT id FROM deliveries WHERE endpoint = asked.endpoint AND state = 'waiting' AND next_at <= asked.now
        ORDER BY next_at LIMIT asked.n FOR UPDATE SKIP LOCKED
    ) d
)
UPDATE deliveries SET next_at = taken.until, attempts = attempts + 1
FROM taken WHERE deliveries.id = taken.id
RETURNING deliveries.id, deliveries.endpoint, deliveries.workspace, deliveries.batch, deliveries.seq, deliveries.type,
    deliveries.at, deliveries.data, deliveries.state, deliveries.attempts, deliveries.next_at, deliveries.status,
    deliveries.error, deliveries.ended_at

-- name: deliveries_take (sqlite)
-- Take some of an endpoint's deliveries that are due. Index deliveries_due.
-- Differs: all rows at once as arrays; SQLite runs it once a row; rows are locked; SQLite has one writer.
UPDATE deliveries SET next_at = :until, attempts = attempts + 1
WHERE id IN (
    SELECT id FROM deliveries WHERE endpoint = :endpoint AND state = 'waiting' AND next_at <= :now
    ORDER BY next_at LIMIT :n
)
RETURNING id, endpoint, workspace, batch, seq, type, at, data, state, attempts, next_at, status, error, ended_at

-- name: deliveries_to (postgres)
-- Which endpoints deliveries are for. Primary keys of deliveries and endpoints.
SELECT d.id, d.endpoint FROM unnest(%(id)s::bytea[]) AS asked (id)
CROSS JOIN LATERAL (SELECT deliveries.id, endpoint FROM deliveries WHERE deliveries.id = asked.id LIMIT 1) d
CROSS JOIN LATERAL (SELECT erased_at FROM endpoints WHERE endpoints.id = d.endpoint LIMIT 1) e
WHERE e.erased_at IS NULL

-- name: deliveries_to (sqlite)
-- Which endpoint a delivery is for. Primary keys of deliveries and endpoints.
-- Differs: all rows at once as arrays; SQLite runs it once a row.
SELECT d.id, d.endpoint FROM deliveries d CROSS JOIN endpoints e ON e.id = d.endpoint
WHERE d.id = :id AND e.erased_at IS NULL

-- name: delivery_accepted (postgres)
-- Deliveries were accepted; by which endpoints. Primary key of deliveries.
UPDATE deliveries SET state = 'delivered', next_at = NULL, ended_at = accepted.now, status = accepted.status,
    error = NULL
FROM unnest(%(now)s::bigint[], %(status)s::integer[], %(id)s::bytea[]) AS accepted (now, status, id)
WHERE deliveries.id = accepted.id AND next_at IS NOT NULL
RETURNING deliveries.endpoint

-- name: delivery_accepted (sqlite)
-- A delivery was accepted; by which endpoint. Primary key of deliveries.
-- Differs: all rows at once as arrays; SQLite runs it once a row.
UPDATE deliveries SET state = 'delivered', next_at = NULL, ended_at = :now, status = :status, error = NULL
WHERE id = :id AND next_at IS NOT NULL
RETURNING endpoint

-- name: delivery_again
-- A delivery that has ended is to be sent again. Primary key of deliveries.
UPDATE deliveries SET state = 'waiting', next_at = %(now)s::bigint, attempts = 0, ended_at = NULL, status = NULL,
    error = NULL
WHERE id = %(id)s::bytea AND state <> 'waiting'

-- name: delivery_read
-- A delivery. Primary keys of deliveries and endpoints.
SELECT d.id, d.endpoint, d.workspace, d.batch, d.seq, d.type, d.at, d.data, d.state, d.attempts, d.next_at, d.status,
    d.error, d.ended_at
FROM deliveries d JOIN endpoints e ON e.id = d.endpoint
WHERE d.id = %(id)s::bytea AND e.erased_at IS NULL

-- name: delivery_refused
-- A delivery was not accepted: it is tried again, or given up. Primary key of deliveries.
UPDATE deliveries SET state = CASE WHEN %(next_at)s::bigint IS NULL THEN 'failed' ELSE 'waiting' END,
    next_at = %(next_at)s::bigint,
    ended_at = %(ended_at)s::bigint, status = %(status)s::integer, error = %(error)s::text
WHERE id = %(id)s::bytea AND next_at IS NOT NULL

-- name: delivery_skipped (postgres)
-- Nothing was sent, as the endpoints had not asked for it: that ends, and is no try. Primary key of deliveries.
UPDATE deliveries SET state = 'delivered', attempts = attempts - 1, next_at = NULL, ended_at = skipped.now,
    status = NULL, error = NULL
FROM unnest(%(now)s::bigint[], %(id)s::bytea[]) AS skipped (now, id)
WHERE deliveries.id = skipped.id AND next_at IS NOT NULL

-- name: delivery_skipped (sqlite)
-- Nothing was sent, as the endpoint had not asked for it: that ends, and is no try. Primary key of deliveries.
-- Differs: all rows at once as arrays; SQLite runs it once a row.
UPDATE deliveries SET state = 'delivered', attempts = attempts - 1, next_at = NULL, ended_at = :now, status = NULL,
    error = NULL
WHERE id = :id AND next_at IS NOT NULL
