-- End the session that holds a worker's lock, if it has not beaten since the look (any, if none is given). pg_locks.
SELECT pg_terminate_backend(l.pid)
FROM workers w
JOIN pg_locks l ON l.locktype = 'advisory' AND l.granted AND l.pid <> pg_backend_pid()
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND l.classid = %(class)s::integer::oid AND l.objid = w.lock_key::oid AND l.objsubid = 2
WHERE w.id = %(worker)s::text AND (%(beat_at)s::bigint IS NULL OR w.beat_at = %(beat_at)s::bigint)
