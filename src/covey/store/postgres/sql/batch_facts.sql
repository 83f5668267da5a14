-- A batch as its readers see it, without its config. Primary keys of batches and counts.
SELECT * FROM batch_rows WHERE id = %(batch)s::bytea AND erased_at IS NULL
