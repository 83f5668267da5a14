-- Deferred items become active. Primary key of live.
UPDATE live SET state = 1, attempt = new.attempt, worker = new.worker, started_at = new.at, reason = NULL, dropped = 0, done = NULL, whole = NULL
FROM unnest(%(attempt)s::integer[], %(worker)s::text[], %(at)s::bigint[], %(batch)s::bytea[], %(seq)s::integer[])
    AS new (attempt, worker, at, batch, seq)
WHERE live.batch = new.batch AND live.seq = new.seq
