-- Open batches that are due on a lane that is none of these. Index batches_open.
SELECT id FROM batches
WHERE completed_at IS NULL AND accepted_at IS NOT NULL AND stopped_at IS NULL AND erased_at IS NULL
    AND greatest(accepted_at, coalesce(start_at, 0)) < %(before)s::bigint AND lane <> ALL(%(lanes)s::text[])
LIMIT %(limit)s::bigint
