-- A lane's breaker has opened: told of every batch that has begun on it and could start something now. Index
-- counts_due, primary key of batches, index endpoints_workspace.
INSERT INTO deliveries (id, endpoint, workspace, batch, type, at, data, next_at)
SELECT unhex(:stem || hex(randomblob(7))), e.id, b.workspace, b.id, 'batch.holding', :at,
    json_object('name', b.name, 'kind', b.kind, 'lane', b.lane, 'origin', b.origin, 'createdAt', b.created_at,
        'expiresAt', b.expires_at, 'mode', b.notes ->> 'analysis_mode',
        'data', json(:data), 'counts', json_object('total', c.total, 'active', c.active,
            'succeeded', c.succeeded, 'failed', c.failed, 'canceled', c.canceled,
            'waiting', c.total - c.active - c.succeeded - c.failed - c.canceled)), :at
FROM counts c CROSS JOIN batches b ON b.id = c.batch
CROSS JOIN endpoints e ON e.workspace = b.workspace AND e.batch IN (b.id, x'')
WHERE c.lane = :lane AND c.next_at IS NOT NULL AND c.cursor > 0
    AND b.started_at IS NOT NULL AND b.paused_at IS NULL AND b.stopped_at IS NULL AND b.erased_at IS NULL
    AND e.off_at IS NULL AND e.erased_at IS NULL AND instr(e.events, ' batch.holding ') > 0
    AND (e.kind IS NULL OR e.kind = b.kind) AND (e.batch = b.id OR b.origin = 'batch' OR e.singles = 1)
