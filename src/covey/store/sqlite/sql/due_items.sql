-- Deferred items that are due, those never returned first. Index live_due, primary key of items.
SELECT l.seq, l.attempt, l.tries, l.returns, l.losses, i.custom_id, i.ref, i.zone, i.input
FROM live l JOIN items i ON i.batch = l.batch AND i.seq = l.seq
WHERE l.batch = :batch AND l.state = 0 AND l.due_at <= :now
ORDER BY l.returns, l.due_at
LIMIT :limit
