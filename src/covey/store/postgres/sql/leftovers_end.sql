-- A piece of what a stopped batch left deferred is written down as canceled. Primary keys of live and runs.
INSERT INTO runs (batch, seq, attempt, last, state, code, message, worker, tries, started_at, ended_at, seconds, result)
SELECT l.batch, l.seq, l.attempt + 1, 1, 'canceled', 'canceled', '', NULL::text, l.tries, NULL::bigint, b.stopped_at,
    0.0, '{}'::json
FROM live l JOIN batches b ON b.id = l.batch
WHERE l.batch = %(batch)s::bytea AND l.state = 0 ORDER BY l.seq LIMIT %(limit)s::bigint
