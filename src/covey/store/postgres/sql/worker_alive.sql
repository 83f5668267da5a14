-- Whether a worker may still claim; it stays so until this transaction ends. Primary key of workers.
SELECT 1 FROM workers WHERE id = %(worker)s::text AND dead_at IS NULL FOR KEY SHARE
