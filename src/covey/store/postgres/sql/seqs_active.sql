-- A page of the active items. Index live_active.
SELECT seq FROM live WHERE batch = %(batch)s::bytea AND state = 1 AND seq > %(after)s::integer
ORDER BY seq LIMIT %(limit)s::bigint OFFSET %(offset)s::bigint
