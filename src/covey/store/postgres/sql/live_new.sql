-- Items leave the cursor: active, or deferred.
INSERT INTO live (batch, seq, attempt, tries, returns, losses, state, due_at, worker, started_at, reason)
SELECT new.batch, new.seq, new.attempt, 0, 0, 0, new.state, new.due_at, new.worker, new.started_at, new.reason
FROM unnest(
    %(batch)s::bytea[], %(seq)s::integer[], %(state)s::smallint[], %(attempt)s::integer[], %(due_at)s::bigint[],
    %(worker)s::text[], %(started_at)s::bigint[], %(reason)s::text[]
) AS new (batch, seq, state, attempt, due_at, worker, started_at, reason)
