-- How many such a list has: batches that have not ended. Index batches_open.
SELECT count(*) FROM batches b
WHERE b.completed_at IS NULL AND b.accepted_at IS NOT NULL AND b.erased_at IS NULL
    AND (:workspace IS NULL OR b.workspace = :workspace) AND (:kind IS NULL OR b.kind = :kind)
    AND (:origin IS NULL OR b.origin = :origin)
    AND (:states IS NULL OR CASE
        WHEN b.stop_reason IS NOT NULL AND b.completed_at IS NULL THEN 'stopping'
        WHEN b.stop_reason = 'expire' THEN 'expired'
        WHEN b.stop_reason = 'fail' THEN 'failed'
        WHEN b.stop_reason IS NOT NULL THEN 'canceled'
        WHEN b.completed_at IS NOT NULL THEN 'completed'
        WHEN b.paused_at IS NOT NULL THEN 'paused'
        WHEN b.started_at IS NOT NULL THEN 'running'
        WHEN b.start_at > :now THEN 'scheduled'
        ELSE 'queued' END IN (SELECT value FROM json_each(:states)))
