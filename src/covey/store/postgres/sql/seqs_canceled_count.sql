-- How many items behind a stopped batch's cursor were canceled. Indexes runs_last and live_due.
SELECT (
    SELECT count(*) FROM runs
    WHERE batch = %(batch)s::bytea AND last = 1 AND state = 'canceled' AND seq > %(after)s::integer
) + (SELECT count(*) FROM live WHERE batch = %(batch)s::bytea AND state = 0 AND seq > %(after)s::integer)
