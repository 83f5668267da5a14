-- name: lives_backend (postgres)
-- The server process behind this connection.
SELECT pg_backend_pid()

-- name: lives_beat (postgres)
-- A worker beats, if it is not given up; a beat need not be on disk. Primary key of workers.
UPDATE workers SET beat_at = (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
WHERE id = %(worker)s::text AND dead_at IS NULL
RETURNING pg_backend_pid(), set_config('synchronous_commit', 'off', true)

-- name: lives_forget (postgres)
-- Forget workers that have been dead for a week and have nothing left to settle. All of workers, index live_worker.
DELETE FROM workers w
WHERE dead_at < (extract(epoch FROM clock_timestamp() - interval '7 days') * 1000000)::bigint
    AND NOT EXISTS (SELECT 1 FROM live WHERE worker = w.id AND state = 1)

-- name: lives_key (postgres)
-- A lock key that no other life has or had.
SELECT nextval('worker_keys')::integer

-- name: lives_listen (postgres)
-- Hear the wakeups of other processes on this connection.
LISTEN covey

-- name: lives_mine (postgres)
-- Whether the server process behind this connection holds a life's lock.
SELECT pg_backend_pid(), EXISTS (
    SELECT 1 FROM pg_locks
    WHERE locktype = 'advisory' AND pid = pg_backend_pid() AND granted
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND classid = %(class)s::integer::oid AND objid = %(key)s::integer::oid AND objsubid = 2
)

-- name: lives_release (postgres)
-- Give a life's lock back.
SELECT pg_advisory_unlock(%(class)s::integer, %(key)s::integer)

-- name: lives_session (postgres)
-- The settings of a lock session: a lost client is noticed within 11 s, and no statement hangs.
SELECT
    set_config('synchronous_commit', 'on', false),
    set_config('statement_timeout', '5s', false),
    set_config('idle_session_timeout', '0', false),
    set_config('tcp_keepalives_idle', '5', false),
    set_config('tcp_keepalives_interval', '2', false),
    set_config('tcp_keepalives_count', '3', false),
    set_config('tcp_user_timeout', '11000', false)

-- name: lives_take (postgres)
-- Take a life's lock and keep it for as long as this session lives.
SELECT pg_advisory_lock(%(class)s::integer, %(key)s::integer)

-- name: lives_end_session (postgres)
-- End the session that holds a worker's lock, if it has not beaten since the look (any, if none is given). pg_locks.
SELECT pg_terminate_backend(l.pid)
FROM workers w
JOIN pg_locks l ON l.locktype = 'advisory' AND l.granted AND l.pid <> pg_backend_pid()
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND l.classid = %(class)s::integer::oid AND l.objid = w.lock_key::oid AND l.objsubid = 2
WHERE w.id = %(worker)s::text AND (%(beat_at)s::bigint IS NULL OR w.beat_at = %(beat_at)s::bigint)

-- name: worker_new (postgres)
-- A worker's life begins; its lock is held already.
INSERT INTO workers (id, lock_key, host, pid, version, started_at, beat_at)
SELECT %(worker)s::text, %(key)s::integer, %(host)s::text, %(pid)s::integer, %(version)s::text, now, now
FROM (SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now) AS clock

-- name: worker_new (sqlite)
-- A worker's life begins.
-- Differs: processes share the database: the lock, and where the process runs.
INSERT INTO workers (id, started_at) VALUES (:worker, :now)

-- name: lives_dead (postgres)
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

-- name: lives_hold (postgres)
-- Hold the row of a worker that has not beaten since the look, against its beats and claims. Primary key of workers.
SELECT lock_key FROM workers
WHERE id = %(worker)s::text AND dead_at IS NULL AND beat_at = %(beat_at)s::bigint
FOR UPDATE

-- name: lives_look (postgres)
-- Every worker that is not given up: is its lock held, and how old is its beat (µs)? All of workers.
SELECT
    w.id,
    l.pid IS NOT NULL AS has_lock,
    w.beat_at,
    (extract(epoch FROM clock_timestamp()) * 1000000)::bigint - w.beat_at AS beat_age
FROM workers w
LEFT JOIN pg_locks l ON l.locktype = 'advisory' AND l.granted
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND l.classid = %(class)s::integer::oid AND l.objid = w.lock_key::oid AND l.objsubid = 2
WHERE w.dead_at IS NULL

-- name: lives_to_settle (postgres)
-- The dead workers, other than oneself, that have runs in their hands. Primary key of workers, index live_worker.
SELECT id FROM workers w
WHERE dead_at IS NOT NULL AND id <> %(me)s::text
    AND EXISTS (SELECT 1 FROM live WHERE worker = w.id AND state = 1)
ORDER BY dead_at

-- name: lives_list (postgres)
-- All workers that are known, the living first, with their active runs; ages in µs. All of workers, index live_worker.
SELECT
    w.id, w.host, w.pid, w.version, w.started_at,
    (extract(epoch FROM clock_timestamp()) * 1000000)::bigint - w.beat_at AS beat_age,
    l.pid IS NOT NULL AS has_lock,
    w.dead_at,
    (SELECT count(*) FROM live WHERE worker = w.id AND state = 1) AS active
FROM workers w
LEFT JOIN pg_locks l ON l.locktype = 'advisory' AND l.granted
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND l.classid = %(class)s::integer::oid AND l.objid = w.lock_key::oid AND l.objsubid = 2
ORDER BY w.dead_at IS NOT NULL, w.started_at

-- name: lives_list (sqlite)
-- All workers that are known, the living first, with their active runs: the newest is the owner. All of workers, live_worker.
-- Differs: who holds its lock is alive; on SQLite the newest is the owner of the file.
SELECT w.id, NULL AS host, NULL AS pid, NULL AS version, w.started_at, NULL AS beat_age,
    w.dead_at IS NULL AND w.id = (SELECT id FROM workers ORDER BY started_at DESC, rowid DESC LIMIT 1) AS has_lock,
    w.dead_at,
    (SELECT count(*) FROM live WHERE worker = w.id AND state = 1) AS active
FROM workers w
ORDER BY has_lock DESC, w.started_at

-- name: worker_dead (postgres)
-- A worker's life ends, once. The strong lock waits for its claims. Primary key of workers.
WITH alive AS (SELECT id FROM workers WHERE id = %(worker)s::text AND dead_at IS NULL FOR UPDATE)
UPDATE workers w SET dead_at = (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
FROM alive WHERE w.id = alive.id AND w.dead_at IS NULL

-- name: worker_dead (sqlite)
-- A worker's life ends, once. Primary key of workers.
-- Differs: rows are locked; SQLite has one writer.
UPDATE workers SET dead_at = :now WHERE id = :worker AND dead_at IS NULL

-- name: workers_to_settle (sqlite)
-- Workers other than one's own that are not dead yet, or dead with runs in their hands. Index live_worker.
SELECT id FROM workers w WHERE id <> :me
    AND (dead_at IS NULL OR EXISTS (SELECT 1 FROM live WHERE worker = w.id AND state = 1))

-- name: unended_unrepeatable
-- Open batches whose runs may not be repeated. Index batches_open.
SELECT id FROM batches WHERE completed_at IS NULL AND accepted_at IS NOT NULL AND stopped_at IS NULL
    AND erased_at IS NULL AND repeatable = 0
