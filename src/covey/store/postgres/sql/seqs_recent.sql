-- The items that ended last. Index runs_recent.
SELECT seq FROM runs WHERE batch = %(batch)s::bytea AND last = 1 AND state <> 'canceled'
ORDER BY ended_at DESC LIMIT %(limit)s::bigint
