-- How many such a list has: a workspace's batches of one origin. Index batches_workspace.
SELECT count(*) FROM batches b
WHERE b.workspace = :workspace AND b.origin = :origin AND b.accepted_at IS NOT NULL AND b.erased_at IS NULL
    AND (:kind IS NULL OR b.kind = :kind)
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
