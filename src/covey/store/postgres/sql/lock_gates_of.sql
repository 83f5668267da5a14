-- Queue before the lanes of these batches, in one order for all; one at a time is behind a gate. Primary key of counts.
SELECT pg_advisory_xact_lock(gates.key)
FROM (
    SELECT DISTINCT hashtextextended(lane, 0) AS key FROM counts
    WHERE batch = ANY(%(batches)s::bytea[])
    ORDER BY key
) AS gates
