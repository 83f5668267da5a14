-- Batches that have ended and whose time to be deleted has come. Index batches_retiring.
SELECT id FROM batches WHERE deletes_at <= :now AND completed_at IS NOT NULL AND erased_at IS NULL LIMIT :limit
