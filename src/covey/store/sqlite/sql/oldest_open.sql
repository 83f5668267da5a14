-- The oldest batch of a workspace on a lane that has not ended. Index batches_open.
SELECT min(id) FROM batches
WHERE workspace = :workspace AND lane = :lane AND completed_at IS NULL AND accepted_at IS NOT NULL
