-- The fence: what the store knows of items that may be in a worker's hands. Primary key of live.
SELECT l.batch, l.seq, l.attempt, l.tries, l.returns, l.losses, l.state, l.worker, l.started_at, l.returned_at,
    l.dropped
FROM unnest(%(batch)s::bytea[], %(seq)s::integer[]) AS asked (batch, seq)
CROSS JOIN LATERAL (SELECT * FROM live WHERE live.batch = asked.batch AND live.seq = asked.seq LIMIT 1) l
