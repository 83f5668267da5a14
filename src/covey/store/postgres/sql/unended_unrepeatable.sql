-- Open batches whose runs may not be repeated. Index batches_open.
SELECT id FROM batches WHERE completed_at IS NULL AND accepted_at IS NOT NULL AND stopped_at IS NULL
    AND erased_at IS NULL AND repeatable = 0
