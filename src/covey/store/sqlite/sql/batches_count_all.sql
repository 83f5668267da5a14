-- How many there are of all batches, of all workspaces or of one. Primary key of batches.
SELECT count(*) FROM batch_rows
WHERE accepted_at IS NOT NULL AND erased_at IS NULL
    AND (:workspace IS NULL OR workspace = :workspace) AND (:kind IS NULL OR kind = :kind)
    AND (:origin IS NULL OR origin = :origin)
    AND (:states IS NULL OR iif(state = 'queued' AND start_at > :now, 'scheduled', state)
        IN (SELECT value FROM json_each(:states)))
