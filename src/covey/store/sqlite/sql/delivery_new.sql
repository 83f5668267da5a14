-- Something that happened is told to every endpoint that wants it: those of this batch, and those of its workspace (of
-- a batch of one only what is about items, unless they ask for more). Primary keys of batches and counts, index
-- endpoints_workspace.
INSERT INTO deliveries (id, endpoint, workspace, batch, seq, type, at, data, next_at)
SELECT unhex(:stem || hex(randomblob(7))), e.id, b.workspace, b.id, :seq, :type, :at,
    json_object('name', b.name, 'kind', b.kind, 'lane', b.lane, 'origin', b.origin, 'createdAt', b.created_at,
        'expiresAt', b.expires_at, 'mode', b.notes ->> 'analysis_mode',
        'data', json(:data), 'counts', json_object('total', c.total, 'active', c.active,
            'succeeded', c.succeeded, 'failed', c.failed, 'canceled', c.canceled,
            'waiting', c.total - c.active - c.succeeded - c.failed - c.canceled)), :at
FROM batches b CROSS JOIN counts c ON c.batch = b.id
CROSS JOIN endpoints e ON e.workspace = b.workspace AND e.batch IN (b.id, x'')
WHERE b.id = :batch AND e.off_at IS NULL AND e.erased_at IS NULL AND instr(e.events, ' ' || :type || ' ') > 0
    AND (e.kind IS NULL OR e.kind = b.kind)
    AND (e.batch = b.id OR b.origin = 'batch' OR e.singles = 1 OR :seq IS NOT NULL)
