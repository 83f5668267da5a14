-- A batch is hidden until its rows are removed. Primary key of batches.
UPDATE batches SET erased_at = %(now)s::bigint WHERE id = %(batch)s::bytea AND erased_at IS NULL
