-- name: batch_facts
-- A batch as its readers see it, without its config. Primary keys of batches and counts.
SELECT * FROM batch_rows WHERE id = %(batch)s::bytea AND erased_at IS NULL

-- name: batch_read
-- A batch as its readers see it, with its config. Primary keys of batches and counts.
SELECT f.*, c.config FROM batch_rows f JOIN batches c ON c.id = f.id WHERE f.id = %(batch)s::bytea AND f.erased_at IS NULL

-- name: history
-- What happened to a batch. Index events_batch.
SELECT id, batch, at, type, actor, data FROM events WHERE batch = %(batch)s::bytea ORDER BY id

-- name: item_totals
-- How many items of a workspace's batches of a kind are where. Index batches_workspace, primary key of counts.
SELECT coalesce(sum(c.total - c.active - c.succeeded - c.failed - c.canceled), 0) AS waiting,
    coalesce(sum(c.active), 0) AS active,
    coalesce(sum(c.succeeded), 0) AS succeeded,
    coalesce(sum(c.failed), 0) AS failed,
    coalesce(sum(c.canceled), 0) AS canceled
FROM batches b JOIN counts c ON c.batch = b.id
WHERE b.workspace = %(workspace)s::text AND b.kind = %(kind)s::text AND b.accepted_at IS NOT NULL AND b.erased_at IS NULL

-- name: items_by_ref (postgres)
-- A workspace's items about one ref, newest batch first. Index items_ref.
SELECT i.batch, b.stopped_at, i.seq, i.custom_id, i.ref, CASE WHEN %(inputs)s::integer = 1 THEN i.input END AS input,
    l.state AS live_state, l.tries AS live_tries, l.due_at,
    l.reason, l.started_at AS live_started_at, l.done, l.whole, r.attempt AS run_attempt, r.state AS run_state, r.tries AS run_tries,
    r.code, r.message, r.started_at AS run_started_at, r.ended_at, r.seconds, r.result
FROM items i
JOIN batches b ON b.id = i.batch AND b.workspace = %(workspace)s::text AND b.accepted_at IS NOT NULL
    AND b.erased_at IS NULL
LEFT JOIN LATERAL (SELECT * FROM live WHERE live.batch = i.batch AND live.seq = i.seq LIMIT 1) l ON true
LEFT JOIN LATERAL (
    SELECT * FROM runs WHERE runs.batch = i.batch AND runs.seq = i.seq AND runs.last = 1 LIMIT 1
) r ON true
WHERE i.ref = %(ref)s::text AND (%(kind)s::text IS NULL OR b.kind = %(kind)s::text)
    AND (%(states)s::text[] IS NULL OR CASE WHEN l.state = 1 THEN 'active' WHEN r.state IS NOT NULL THEN r.state
        WHEN b.stopped_at IS NOT NULL THEN 'canceled' ELSE 'waiting' END = ANY(%(states)s::text[]))
ORDER BY i.batch DESC, i.seq
LIMIT %(limit)s::bigint OFFSET %(offset)s::bigint

-- name: items_by_ref (sqlite)
-- Differs: looked up by LATERAL … LIMIT 1, which can become no hash join.
SELECT i.batch, b.stopped_at, i.seq, i.custom_id, i.ref, CASE WHEN :inputs = 1 THEN i.input END AS input,
    l.state AS live_state, l.tries AS live_tries, l.due_at, l.reason,
    l.started_at AS live_started_at, l.done, l.whole, r.attempt AS run_attempt, r.state AS run_state, r.tries AS run_tries, r.code,
    r.message, r.started_at AS run_started_at, r.ended_at, r.seconds, r.result
FROM items i
JOIN batches b ON b.id = i.batch AND b.workspace = :workspace AND b.accepted_at IS NOT NULL AND b.erased_at IS NULL
LEFT JOIN live l ON l.batch = i.batch AND l.seq = i.seq
LEFT JOIN runs r ON r.batch = i.batch AND r.seq = i.seq AND r.last = 1
WHERE i.ref = :ref AND (:kind IS NULL OR b.kind = :kind)
    AND (:states IS NULL OR CASE WHEN l.state = 1 THEN 'active' WHEN r.state IS NOT NULL THEN r.state
        WHEN b.stopped_at IS NOT NULL THEN 'canceled' ELSE 'waiting' END IN (SELECT value FROM json_each(:states)))
ORDER BY i.batch DESC, i.seq
LIMIT :limit OFFSET :offset

-- name: items_by_ref_count (postgres)
-- How many of a workspace's items are about one ref. Index items_ref.
SELECT count(*)
FROM items i
JOIN batches b ON b.id = i.batch AND b.workspace = %(workspace)s::text AND b.accepted_at IS NOT NULL
    AND b.erased_at IS NULL
LEFT JOIN LATERAL (SELECT * FROM live WHERE live.batch = i.batch AND live.seq = i.seq LIMIT 1) l ON true
LEFT JOIN LATERAL (
    SELECT * FROM runs WHERE runs.batch = i.batch AND runs.seq = i.seq AND runs.last = 1 LIMIT 1
) r ON true
WHERE i.ref = %(ref)s::text AND (%(kind)s::text IS NULL OR b.kind = %(kind)s::text)
    AND (%(states)s::text[] IS NULL OR CASE WHEN l.state = 1 THEN 'active' WHEN r.state IS NOT NULL THEN r.state
        WHEN b.stopped_at IS NOT NULL THEN 'canceled' ELSE 'waiting' END = ANY(%(states)s::text[]))

-- name: items_by_ref_count (sqlite)
-- Differs: looked up by LATERAL … LIMIT 1, which can become no hash join.
SELECT count(*)
FROM items i
JOIN batches b ON b.id = i.batch AND b.workspace = :workspace AND b.accepted_at IS NOT NULL AND b.erased_at IS NULL
LEFT JOIN live l ON l.batch = i.batch AND l.seq = i.seq
LEFT JOIN runs r ON r.batch = i.batch AND r.seq = i.seq AND r.last = 1
WHERE i.ref = :ref AND (:kind IS NULL OR b.kind = :kind)
    AND (:states IS NULL OR CASE WHEN l.state = 1 THEN 'active' WHEN r.state IS NOT NULL THEN r.state
        WHEN b.stopped_at IS NOT NULL THEN 'canceled' ELSE 'waiting' END IN (SELECT value FROM json_each(:states)))

-- name: items_read (postgres)
-- Some items with their live rows and last runs. Primary keys of items, live and runs.
SELECT i.seq, i.custom_id, i.ref, CASE WHEN %(inputs)s::integer = 1 THEN i.input END AS input,
    l.state AS live_state, l.tries AS live_tries, l.due_at,
    l.reason, l.started_at AS live_started_at, l.done, l.whole, r.attempt AS run_attempt, r.state AS run_state, r.tries AS run_tries,
    r.code, r.message, r.started_at AS run_started_at, r.ended_at, r.seconds, r.result
FROM unnest(%(seqs)s::integer[]) AS asked (seq)
CROSS JOIN LATERAL (SELECT * FROM items WHERE items.batch = %(batch)s::bytea AND items.seq = asked.seq LIMIT 1) i
LEFT JOIN LATERAL (SELECT * FROM live WHERE live.batch = i.batch AND live.seq = i.seq LIMIT 1) l ON true
LEFT JOIN LATERAL (
    SELECT * FROM runs WHERE runs.batch = i.batch AND runs.seq = i.seq AND runs.last = 1 LIMIT 1
) r ON true
ORDER BY i.seq

-- name: items_read (sqlite)
-- Differs: arrays are unnested; SQLite reads them from JSON.
SELECT i.seq, i.custom_id, i.ref, CASE WHEN :inputs = 1 THEN i.input END AS input,
    l.state AS live_state, l.tries AS live_tries, l.due_at, l.reason,
    l.started_at AS live_started_at, l.done, l.whole, r.attempt AS run_attempt, r.state AS run_state, r.tries AS run_tries, r.code,
    r.message, r.started_at AS run_started_at, r.ended_at, r.seconds, r.result
FROM items i
LEFT JOIN live l ON l.batch = i.batch AND l.seq = i.seq
LEFT JOIN runs r ON r.batch = i.batch AND r.seq = i.seq AND r.last = 1
WHERE i.batch = :batch AND i.seq IN (SELECT value FROM json_each(:seqs))
ORDER BY i.seq

-- name: outcomes
-- How many items of a batch ended with which code. Primary key of outcomes.
SELECT code, n FROM outcomes WHERE batch = %(batch)s::bytea AND n > 0 ORDER BY n DESC, code

-- name: recount (postgres)
-- A batch's counts beside what its rows say: the proof that they add up. Reads every row of the batch.
SELECT c.total AS kept_total, c.deferred AS kept_deferred, c.active AS kept_active, c.succeeded AS kept_succeeded,
    c.failed AS kept_failed, c.canceled AS kept_canceled, c.spent AS kept_spent, u.items AS kept_used_items,
    u.micros AS kept_used_micros, u.tokens_in AS kept_used_tokens_in, u.tokens_out AS kept_used_tokens_out,
    u.cost AS kept_used_cost,
    (SELECT count(*) FROM items WHERE batch = c.batch) AS total,
    CASE WHEN c.stopped = 1 THEN 0 ELSE (SELECT count(*) FROM live WHERE batch = c.batch AND state = 0) END AS deferred,
    (SELECT count(*) FROM live WHERE batch = c.batch AND state = 1) AS active,
    (SELECT count(*) FROM runs WHERE batch = c.batch AND last = 1 AND state = 'succeeded') AS succeeded,
    (SELECT count(*) FROM runs WHERE batch = c.batch AND last = 1 AND state = 'failed') AS failed,
    CASE WHEN c.stopped = 1 THEN
        (SELECT count(*) FROM items i WHERE i.batch = c.batch
            AND NOT EXISTS (SELECT 1 FROM live l WHERE l.batch = i.batch AND l.seq = i.seq AND l.state = 1)
            AND NOT EXISTS (SELECT 1 FROM runs r WHERE r.batch = i.batch AND r.seq = i.seq
                AND r.last = 1 AND r.state IN ('succeeded', 'failed')))
    ELSE
        (SELECT count(*) FROM runs WHERE batch = c.batch AND last = 1 AND state = 'canceled')
    END AS canceled,
    r.cost AS spent, r.items AS used_items, r.micros AS used_micros, r.tokens_in AS used_tokens_in,
    r.tokens_out AS used_tokens_out, r.cost AS used_cost
FROM counts c, (
    SELECT coalesce(sum(items), 0)::bigint AS items, coalesce(sum(micros), 0)::bigint AS micros,
        coalesce(sum(tokens_in), 0)::bigint AS tokens_in, coalesce(sum(tokens_out), 0)::bigint AS tokens_out,
        coalesce(sum(cost), 0)::bigint AS cost
    FROM usage WHERE batch = %(batch)s::bytea
) u, (
    SELECT count(*) AS items, coalesce(sum((charged * 1000000)::bigint), 0)::bigint AS micros,
        coalesce(sum(tokens_in), 0)::bigint AS tokens_in, coalesce(sum(tokens_out), 0)::bigint AS tokens_out,
        coalesce(sum(cost), 0)::bigint AS cost
    FROM runs WHERE batch = %(batch)s::bytea AND last = 1 AND state = 'succeeded'
) r
WHERE c.batch = %(batch)s::bytea

-- name: recount (sqlite)
-- Differs: a cast to bigint rounds, and CAST to INTEGER cuts off.
SELECT c.total AS kept_total, c.deferred AS kept_deferred, c.active AS kept_active, c.succeeded AS kept_succeeded,
    c.failed AS kept_failed, c.canceled AS kept_canceled, c.spent AS kept_spent, u.items AS kept_used_items,
    u.micros AS kept_used_micros, u.tokens_in AS kept_used_tokens_in, u.tokens_out AS kept_used_tokens_out,
    u.cost AS kept_used_cost,
    (SELECT count(*) FROM items WHERE batch = c.batch) AS total,
    iif(c.stopped, 0, (SELECT count(*) FROM live WHERE batch = c.batch AND state = 0)) AS deferred,
    (SELECT count(*) FROM live WHERE batch = c.batch AND state = 1) AS active,
    (SELECT count(*) FROM runs WHERE batch = c.batch AND last = 1 AND state = 'succeeded') AS succeeded,
    (SELECT count(*) FROM runs WHERE batch = c.batch AND last = 1 AND state = 'failed') AS failed,
    iif(c.stopped,
        (SELECT count(*) FROM items i WHERE i.batch = c.batch
            AND NOT EXISTS (SELECT 1 FROM live l WHERE l.batch = i.batch AND l.seq = i.seq AND l.state = 1)
            AND NOT EXISTS (SELECT 1 FROM runs r WHERE r.batch = i.batch AND r.seq = i.seq
                AND r.last = 1 AND r.state IN ('succeeded', 'failed'))),
        (SELECT count(*) FROM runs WHERE batch = c.batch AND last = 1 AND state = 'canceled')) AS canceled,
    r.cost AS spent, r.items AS used_items, r.micros AS used_micros, r.tokens_in AS used_tokens_in,
    r.tokens_out AS used_tokens_out, r.cost AS used_cost
FROM counts c, (
    SELECT coalesce(sum(items), 0) AS items, coalesce(sum(micros), 0) AS micros,
        coalesce(sum(tokens_in), 0) AS tokens_in, coalesce(sum(tokens_out), 0) AS tokens_out,
        coalesce(sum(cost), 0) AS cost
    FROM usage WHERE batch = :batch
) u, (
    SELECT count(*) AS items, coalesce(sum(CAST(round(charged * 1000000) AS INTEGER)), 0) AS micros,
        coalesce(sum(tokens_in), 0) AS tokens_in, coalesce(sum(tokens_out), 0) AS tokens_out,
        coalesce(sum(cost), 0) AS cost
    FROM runs WHERE batch = :batch AND last = 1 AND state = 'succeeded'
) r
WHERE c.batch = :batch

-- name: runs_earlier
-- The runs of an item that were not its last. Primary key of runs.
SELECT attempt AS run_attempt, state AS run_state, code, message, started_at AS run_started_at, ended_at, seconds,
    result
FROM runs WHERE batch = %(batch)s::bytea AND seq = %(seq)s::integer AND last = 0 ORDER BY attempt

-- name: seqs_active
-- A page of the active items. Index live_active.
SELECT seq FROM live WHERE batch = %(batch)s::bytea AND state = 1 AND seq > %(after)s::integer
ORDER BY seq LIMIT %(limit)s::bigint OFFSET %(offset)s::bigint

-- name: seqs_canceled (postgres)
-- A page of the items behind a stopped batch's cursor that were canceled: ended so, or left deferred by the stop.
-- Index runs_last, primary key of live.
SELECT seq FROM (
    (SELECT seq FROM runs
    WHERE batch = %(batch)s::bytea AND last = 1 AND state = 'canceled' AND seq > %(after)s::integer
    ORDER BY seq LIMIT %(limit)s::bigint + %(offset)s::bigint)
    UNION ALL
    (SELECT seq FROM live WHERE batch = %(batch)s::bytea AND state = 0 AND seq > %(after)s::integer
    ORDER BY seq LIMIT %(limit)s::bigint + %(offset)s::bigint)
) canceled
ORDER BY seq LIMIT %(limit)s::bigint OFFSET %(offset)s::bigint

-- name: seqs_canceled (sqlite)
-- A page of the items behind a stopped batch's cursor that were canceled: ended so, or left deferred by the stop.
-- Indexes runs_last and primary key of live.
-- Differs: each half is ordered and cut before they are merged.
SELECT seq FROM (
    SELECT seq FROM runs WHERE batch = :batch AND last = 1 AND state = 'canceled' AND seq > :after
    UNION ALL
    SELECT seq FROM live WHERE batch = :batch AND state = 0 AND seq > :after
)
ORDER BY seq LIMIT :limit OFFSET :offset

-- name: seqs_canceled_count
-- How many items behind a stopped batch's cursor were canceled. Indexes runs_last and live_due.
SELECT (
    SELECT count(*) FROM runs
    WHERE batch = %(batch)s::bytea AND last = 1 AND state = 'canceled' AND seq > %(after)s::integer
) + (SELECT count(*) FROM live WHERE batch = %(batch)s::bytea AND state = 0 AND seq > %(after)s::integer)

-- name: seqs_deferred
-- A page of the deferred items. Primary key of live.
SELECT seq FROM live WHERE batch = %(batch)s::bytea AND state = 0 AND seq > %(after)s::integer
ORDER BY seq LIMIT %(limit)s::bigint OFFSET %(offset)s::bigint

-- name: seqs_deferred_count
-- How many items are deferred. Index live_due.
SELECT count(*) FROM live WHERE batch = %(batch)s::bytea AND state = 0 AND seq > %(after)s::integer

-- name: seqs_ended (postgres)
-- A page of the items that ended in a state. Index runs_last: compared as rows, as an order by seq alone could come from
-- the primary key too, which reads all the other states on its way.
SELECT seq FROM runs
WHERE last = 1 AND (batch, state, seq) > (%(batch)s::bytea, %(state)s::text, %(after)s::integer)
    AND (batch, state) <= (%(batch)s::bytea, %(state)s::text)
ORDER BY batch, state, seq LIMIT %(limit)s::bigint OFFSET %(offset)s::bigint

-- name: seqs_ended (sqlite)
-- A page of the items that ended in a state. Index runs_last.
-- Differs: compared as rows, so that no plan reads the other states.
SELECT seq FROM runs WHERE batch = :batch AND last = 1 AND state = :state AND seq > :after
ORDER BY seq LIMIT :limit OFFSET :offset

-- name: seqs_recent
-- The items that ended last. Index runs_recent.
SELECT seq FROM runs WHERE batch = %(batch)s::bytea AND last = 1 AND state <> 'canceled'
ORDER BY ended_at DESC LIMIT %(limit)s::bigint

-- name: batches_count_all
-- How many there are of all batches, of all workspaces or of one. Primary key of batches.
SELECT count(*) FROM batch_rows
WHERE accepted_at IS NOT NULL AND erased_at IS NULL
    AND (%(workspace)s::text IS NULL OR workspace = %(workspace)s::text)
    AND (%(kind)s::text IS NULL OR kind = %(kind)s::text)
    AND (%(origin)s::text IS NULL OR origin = %(origin)s::text)
    AND (%(states)s::text[] IS NULL
        OR CASE WHEN state = 'queued' AND start_at > %(now)s::bigint THEN 'scheduled' ELSE state END
            = ANY(%(states)s::text[]))

-- name: batches_count_one
-- How many there are of a workspace's batches of one origin. Index batches_workspace.
SELECT count(*) FROM batch_rows
WHERE workspace = %(workspace)s::text AND origin = %(origin)s::text AND accepted_at IS NOT NULL AND erased_at IS NULL
    AND (%(kind)s::text IS NULL OR kind = %(kind)s::text)
    AND (%(states)s::text[] IS NULL
        OR CASE WHEN state = 'queued' AND start_at > %(now)s::bigint THEN 'scheduled' ELSE state END
            = ANY(%(states)s::text[]))

-- name: batches_count_open
-- How many there are of batches that have not ended. Index batches_open.
SELECT count(*) FROM batch_rows
WHERE completed_at IS NULL AND accepted_at IS NOT NULL AND erased_at IS NULL
    AND (%(workspace)s::text IS NULL OR workspace = %(workspace)s::text)
    AND (%(kind)s::text IS NULL OR kind = %(kind)s::text)
    AND (%(origin)s::text IS NULL OR origin = %(origin)s::text)
    AND (%(states)s::text[] IS NULL
        OR CASE WHEN state = 'queued' AND start_at > %(now)s::bigint THEN 'scheduled' ELSE state END
            = ANY(%(states)s::text[]))

-- name: batches_page_all
-- A page of all batches, of all workspaces or of one. Primary key of batches; newest first.
SELECT * FROM batch_rows
WHERE accepted_at IS NOT NULL AND erased_at IS NULL
    AND (%(workspace)s::text IS NULL OR workspace = %(workspace)s::text)
    AND (%(kind)s::text IS NULL OR kind = %(kind)s::text)
    AND (%(origin)s::text IS NULL OR origin = %(origin)s::text)
    AND (%(states)s::text[] IS NULL
        OR CASE WHEN state = 'queued' AND start_at > %(now)s::bigint THEN 'scheduled' ELSE state END
            = ANY(%(states)s::text[]))
    AND (%(before)s::bytea IS NULL OR id < %(before)s::bytea)
ORDER BY id DESC
LIMIT %(limit)s::bigint OFFSET %(offset)s::bigint

-- name: batches_page_one
-- A page of a workspace's batches of one origin. Index batches_workspace; newest first.
SELECT * FROM batch_rows
WHERE workspace = %(workspace)s::text AND origin = %(origin)s::text AND accepted_at IS NOT NULL AND erased_at IS NULL
    AND (%(kind)s::text IS NULL OR kind = %(kind)s::text)
    AND (%(states)s::text[] IS NULL
        OR CASE WHEN state = 'queued' AND start_at > %(now)s::bigint THEN 'scheduled' ELSE state END
            = ANY(%(states)s::text[]))
    AND (%(before)s::bytea IS NULL OR id < %(before)s::bytea)
ORDER BY id DESC
LIMIT %(limit)s::bigint OFFSET %(offset)s::bigint

-- name: batches_page_open
-- A page of batches that have not ended. Index batches_open; newest first.
SELECT * FROM batch_rows
WHERE completed_at IS NULL AND accepted_at IS NOT NULL AND erased_at IS NULL
    AND (%(workspace)s::text IS NULL OR workspace = %(workspace)s::text)
    AND (%(kind)s::text IS NULL OR kind = %(kind)s::text)
    AND (%(origin)s::text IS NULL OR origin = %(origin)s::text)
    AND (%(states)s::text[] IS NULL
        OR CASE WHEN state = 'queued' AND start_at > %(now)s::bigint THEN 'scheduled' ELSE state END
            = ANY(%(states)s::text[]))
    AND (%(before)s::bytea IS NULL OR id < %(before)s::bytea)
ORDER BY id DESC
LIMIT %(limit)s::bigint OFFSET %(offset)s::bigint
