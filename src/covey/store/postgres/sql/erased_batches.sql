-- Batches that are hidden and wait to be removed. Index batches_erased.
SELECT id FROM batches WHERE erased_at IS NOT NULL ORDER BY erased_at LIMIT 10
