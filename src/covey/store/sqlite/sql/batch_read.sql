-- A batch as its readers see it. Primary keys of batches and counts.
SELECT b.id, b.workspace, b.kind, b.lane, b.config, b.origin, b.name, b.notes, b.max_tries, b.hours, b.created_at, b.start_at,
    b.started_at, b.paused_at, b.pause_reason, b.stopped_at, b.stop_reason, b.stop_message, b.aborted_at,
    b.completed_at, b.expires_at, c.total, c.active, c.succeeded, c.failed, c.canceled, c.succeeded_seconds,
    c.last_succeeded_at, c.last_ended_at, c.cap, c.pace, c.next_at
FROM batches b JOIN counts c ON c.batch = b.id
WHERE b.id = :batch AND b.erased_at IS NULL
