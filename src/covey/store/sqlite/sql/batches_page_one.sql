-- A page of a workspace's batches of one origin. Index batches_workspace, newest first; the states are derived as in covey.domain.batch.
SELECT b.id, b.workspace, b.kind, b.lane, b.config, b.origin, b.name, b.notes, b.max_tries, b.hours, b.created_at, b.start_at,
    b.started_at, b.paused_at, b.pause_reason, b.stopped_at, b.stop_reason, b.stop_message, b.aborted_at,
    b.completed_at, b.expires_at, c.total, c.active, c.succeeded, c.failed, c.canceled, c.succeeded_seconds,
    c.last_succeeded_at, c.last_ended_at, c.cap, c.pace, c.next_at
FROM batches b JOIN counts c ON c.batch = b.id
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
    AND (:before IS NULL OR b.id < :before)
ORDER BY b.id DESC
LIMIT :limit OFFSET :offset
