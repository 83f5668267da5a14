-- A batch's facts and counts as claim and finish need them. `told`: an endpoint wants
-- to hear of it (1), or of its items too (2). Primary keys of batches and counts, index endpoints_workspace.
SELECT b.id, b.workspace, b.kind, b.lane, b.max_tries, b.repeatable, b.exclusive, b.self_pausing, b.hours, b.start_at, b.started_at,
    b.paused_at, b.stopped_at, b.stop_reason, b.aborted_at, b.completed_at, b.expires_at, b.erased_at, b.prices,
    b.actor,
    c.total, c.cursor, c.deferred, c.active, c.succeeded, c.failed, c.canceled, c.succeeded_seconds,
    c.last_succeeded_at, c.last_ended_at, c.cap, c.pace, c.next_start, c.next_at, c.served_at, c.streak, c.streak_code,
    c.stopped, c.spent, c.max_cost, c.run_cost, (
        SELECT max(1 + e.items) FROM endpoints e
        WHERE e.workspace = b.workspace AND e.batch IN (b.id, x'') AND e.off_at IS NULL AND e.erased_at IS NULL
    ) AS told
FROM batches b JOIN counts c ON c.batch = b.id
WHERE b.id = :batch
