-- A worker beats, if it is not given up; a beat need not be on disk. Primary key of workers.
UPDATE workers SET beat_at = (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
WHERE id = %(worker)s::text AND dead_at IS NULL
RETURNING pg_backend_pid(), set_config('synchronous_commit', 'off', true)
