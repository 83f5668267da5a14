-- All workers that are known, the living first, with their active runs; ages in µs. All of workers, index live_worker.
SELECT
    w.id, w.host, w.pid, w.version, w.started_at,
    (extract(epoch FROM clock_timestamp()) * 1000000)::bigint - w.beat_at AS beat_age,
    l.pid IS NOT NULL AS held,
    w.dead_at,
    (SELECT count(*) FROM live WHERE worker = w.id AND state = 1) AS active
FROM workers w
LEFT JOIN pg_locks l ON l.locktype = 'advisory' AND l.granted
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND l.classid = %(class)s::integer::oid AND l.objid = w.lock_key::oid AND l.objsubid = 2
ORDER BY w.dead_at IS NOT NULL, w.started_at
