-- Batches of a kind that ended before a time and are still shown. Index batches_workspace is of no use here: rare.
SELECT id FROM batches WHERE kind = :kind AND completed_at < :before AND erased_at IS NULL LIMIT :limit
