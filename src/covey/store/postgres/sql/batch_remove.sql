-- Remove a batch's own row. Primary key of batches.
DELETE FROM batches WHERE id = %(batch)s::bytea
