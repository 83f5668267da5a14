-- A batch starts with its first active item. Primary key of batches.
UPDATE batches SET started_at = %(now)s::bigint WHERE id = %(batch)s::bytea AND started_at IS NULL
