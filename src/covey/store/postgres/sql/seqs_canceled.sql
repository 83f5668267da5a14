-- A page of the items behind a stopped batch's cursor that were canceled: ended so, or left deferred by the stop.
-- Index runs_last, primary key of live.
SELECT seq FROM (
    (SELECT seq FROM runs
    WHERE batch = %(batch)s::bytea AND last = 1 AND state = 'canceled' AND seq > %(after)s::integer
    ORDER BY seq LIMIT %(limit)s::bigint + %(offset)s::bigint)
    UNION ALL
    (SELECT seq FROM live WHERE batch = %(batch)s::bytea AND state = 0 AND seq > %(after)s::integer
    ORDER BY seq LIMIT %(limit)s::bigint + %(offset)s::bigint)
) canceled
ORDER BY seq LIMIT %(limit)s::bigint OFFSET %(offset)s::bigint
