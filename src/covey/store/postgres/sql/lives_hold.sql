-- Hold the row of a worker that has not beaten since the look, against its beats and claims. Primary key of workers.
SELECT lock_key FROM workers
WHERE id = %(worker)s::text AND dead_at IS NULL AND beat_at = %(beat_at)s::bigint
FOR UPDATE
