-- A worker's life begins; its lock is held already.
INSERT INTO workers (id, lock_key, host, pid, version, started_at, beat_at)
SELECT %(worker)s::text, %(key)s::integer, %(host)s::text, %(pid)s::integer, %(version)s::text, now, now
FROM (SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now) AS clock
