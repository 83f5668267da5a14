-- Runs that were written down already. Primary key of runs.
SELECT r.batch, r.seq, r.attempt, r.code, r.worker
FROM unnest(%(batch)s::bytea[], %(seq)s::integer[], %(attempt)s::integer[]) AS asked (batch, seq, attempt)
CROSS JOIN LATERAL (
    SELECT * FROM runs
    WHERE runs.batch = asked.batch AND runs.seq = asked.seq AND runs.attempt = asked.attempt AND runs.last = 1
    LIMIT 1
) r
