-- Runs in a worker's hands, with what they are about. Index live_worker, primary key of items.
SELECT l.batch, l.seq, l.attempt, l.tries, l.returns, l.losses, l.started_at, l.dropped, i.ref
FROM live l JOIN items i ON i.batch = l.batch AND i.seq = l.seq
WHERE l.worker = :worker AND l.state = 1
LIMIT :limit
