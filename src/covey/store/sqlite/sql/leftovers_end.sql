-- A piece of what a stopped batch left deferred is written down as canceled. Primary keys of live and runs.
INSERT INTO runs (batch, seq, attempt, last, state, code, message, worker, tries, started_at, ended_at, seconds, result)
SELECT l.batch, l.seq, l.attempt + 1, 1, 'canceled', 'canceled', '', NULL, l.tries, NULL, b.stopped_at, 0.0, x'7b7d'
FROM live l JOIN batches b ON b.id = l.batch
WHERE l.batch = :batch AND l.state = 0 ORDER BY l.seq LIMIT :limit
