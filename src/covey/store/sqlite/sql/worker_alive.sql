-- Whether a worker may still claim. Primary key of workers.
SELECT 1 FROM workers WHERE id = :worker AND dead_at IS NULL
