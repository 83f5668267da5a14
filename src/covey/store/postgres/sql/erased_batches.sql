-- Batches that are hidden and wait to be removed: those that were erased first, or one of them. Index batches_erased.
SELECT id FROM batches WHERE erased_at IS NOT NULL AND (%(batch)s::bytea IS NULL OR id = %(batch)s::bytea) ORDER BY erased_at LIMIT 10
