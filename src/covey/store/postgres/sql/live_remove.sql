-- Remove a piece of a batch's deferred rows. Primary key of live.
DELETE FROM live WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM live WHERE batch = %(batch)s::bytea AND state = 0 ORDER BY seq LIMIT %(limit)s::bigint
))
