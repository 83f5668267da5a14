-- Queue before the lanes of these batches, in one order for all: of those who hold rows for longer only one at a time
-- waits for a row, so that a stop, which comes past this queue, waits for one of them and not for all. Primary key of
-- counts.
SELECT pg_advisory_xact_lock(gates.key)
FROM (
    SELECT DISTINCT hashtextextended(lane, 0) AS key FROM counts
    WHERE batch = ANY(%(batches)s::bytea[])
    ORDER BY key
) AS gates
