-- A page of the items that ended in a state. Index runs_last.
SELECT seq FROM runs
WHERE batch = %(batch)s::bytea AND last = 1 AND state = %(state)s::text AND seq > %(after)s::integer
ORDER BY seq LIMIT %(limit)s::bigint OFFSET %(offset)s::bigint
