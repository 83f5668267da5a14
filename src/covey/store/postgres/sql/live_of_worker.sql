-- Runs in a worker's hands, with what they are about. Index live_worker, primary key of items.
SELECT l.batch, l.seq, l.attempt, l.tries, l.returns, l.losses, l.started_at, l.dropped, i.ref
FROM live l
CROSS JOIN LATERAL (SELECT ref FROM items WHERE items.batch = l.batch AND items.seq = l.seq LIMIT 1) i
WHERE l.worker = %(worker)s::text AND l.state = 1
LIMIT %(limit)s::bigint
