-- A page of the deferred items. Primary key of live.
SELECT seq FROM live WHERE batch = %(batch)s::bytea AND state = 0 AND seq > %(after)s::integer
ORDER BY seq LIMIT %(limit)s::bigint OFFSET %(offset)s::bigint
