-- How many there are of a workspace's batches of one origin. Index batches_workspace.
SELECT count(*) FROM batch_rows
WHERE workspace = :workspace AND origin = :origin AND accepted_at IS NOT NULL AND erased_at IS NULL
    AND (:kind IS NULL OR kind = :kind)
    AND (:states IS NULL OR iif(state = 'queued' AND start_at > :now, 'scheduled', state)
        IN (SELECT value FROM json_each(:states)))
