-- Batches that are hidden and wait to be removed: those that were erased first, or one of them. Index batches_erased.
SELECT id FROM batches WHERE erased_at IS NOT NULL AND (:batch IS NULL OR id = :batch) ORDER BY erased_at LIMIT 10
