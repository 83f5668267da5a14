-- Declare a worker dead whose row is held, if its lock is still free and one's own is held. Primary key of workers.
UPDATE workers w SET dead_at = (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
WHERE w.id = %(worker)s::text AND w.dead_at IS NULL AND w.beat_at = %(beat_at)s::bigint
    AND (
        SELECT bool_or(o.id = %(me)s::text) AND NOT bool_or(o.id = %(worker)s::text)
        FROM workers o
        JOIN pg_locks l ON l.locktype = 'advisory' AND l.granted
            AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
            AND l.classid = %(class)s::integer::oid AND l.objid = o.lock_key::oid AND l.objsubid = 2
        WHERE o.id IN (%(worker)s::text, %(me)s::text)
    )
RETURNING w.id
