-- A batch as its readers see it, with its config. Primary keys of batches and counts.
SELECT f.*, c.config FROM batch_rows f JOIN batches c ON c.id = f.id WHERE f.id = %(batch)s::bytea AND f.erased_at IS NULL
