-- How many items are deferred. Index live_due.
SELECT count(*) FROM live WHERE batch = %(batch)s::bytea AND state = 0 AND seq > %(after)s::integer
