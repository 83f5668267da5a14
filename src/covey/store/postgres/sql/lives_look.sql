-- Every worker that is not given up: is its lock held, and how old is its beat (µs)? All of workers.
SELECT
    w.id,
    l.pid IS NOT NULL AS held,
    w.beat_at,
    (extract(epoch FROM clock_timestamp()) * 1000000)::bigint - w.beat_at AS beat_age
FROM workers w
LEFT JOIN pg_locks l ON l.locktype = 'advisory' AND l.granted
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND l.classid = %(class)s::integer::oid AND l.objid = w.lock_key::oid AND l.objsubid = 2
WHERE w.dead_at IS NULL
