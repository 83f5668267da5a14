-- The oldest batch of a workspace on a lane that has not ended. Index batches_open; without the OFFSET a plan might go
-- through all batches by their id, in the hope that one of the first is it.
SELECT id FROM (
    SELECT id FROM batches
    WHERE workspace = %(workspace)s::text AND lane = %(lane)s::text AND completed_at IS NULL AND accepted_at IS NOT NULL
    OFFSET 0
) AS unended
ORDER BY id LIMIT 1
