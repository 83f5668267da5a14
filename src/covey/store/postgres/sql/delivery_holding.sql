-- A lane's breaker has opened: told of every batch that has begun on it and could start something now. Index
-- counts_open, primary key of batches, index endpoints_workspace.
INSERT INTO deliveries (id, endpoint, workspace, batch, type, at, data, next_at)
SELECT decode(%(stem)s::text, 'hex') || substring(uuid_send(gen_random_uuid()) FROM 10), e.id, b.workspace, b.id,
    'batch.holding', %(at)s::bigint,
    json_build_object('name', b.name, 'kind', b.kind, 'lane', b.lane, 'origin', b.origin, 'createdAt', b.created_at,
        'expiresAt', b.expires_at, 'mode', b.notes ->> 'analysis_mode',
        'data', %(data)s::json, 'counts', json_build_object('total', c.total, 'active', c.active,
            'succeeded', c.succeeded, 'failed', c.failed, 'canceled', c.canceled,
            'waiting', c.total - c.active - c.succeeded - c.failed - c.canceled)), %(at)s::bigint
FROM (SELECT * FROM counts WHERE lane = %(lane)s::text AND open = 1 AND next_at IS NOT NULL AND cursor > 0) c
CROSS JOIN LATERAL (SELECT * FROM batches WHERE batches.id = c.batch LIMIT 1) b
CROSS JOIN LATERAL (
    SELECT * FROM endpoints WHERE endpoints.workspace = b.workspace AND endpoints.batch = ANY(ARRAY[b.id, ''::bytea])
    OFFSET 0
) e
WHERE b.started_at IS NOT NULL AND b.paused_at IS NULL AND b.stopped_at IS NULL AND b.erased_at IS NULL
    AND e.off_at IS NULL AND e.erased_at IS NULL AND strpos(e.events, ' batch.holding ') > 0
    AND (e.kind IS NULL OR e.kind = b.kind) AND (e.batch = b.id OR b.origin = 'batch' OR e.singles = 1)
