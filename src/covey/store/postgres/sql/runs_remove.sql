-- Remove a piece of a batch's runs. Primary key of runs.
DELETE FROM runs WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM runs WHERE batch = %(batch)s::bytea ORDER BY seq, attempt LIMIT %(limit)s::bigint
))
