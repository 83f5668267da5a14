-- Things that happened are told to every endpoint that wants them: those of this batch, and those of its workspace (of
-- a batch of one only what is about items, unless they ask for more). Primary keys of batches and counts, index
-- endpoints_workspace.
INSERT INTO deliveries (id, endpoint, workspace, batch, seq, type, at, data, next_at)
SELECT decode(new.stem, 'hex') || substring(uuid_send(gen_random_uuid()) FROM 10), e.id, b.workspace, b.id, new.seq,
    new.type, new.at,
    json_build_object('name', b.name, 'kind', b.kind, 'lane', b.lane, 'origin', b.origin, 'createdAt', b.created_at,
        'expiresAt', b.expires_at, 'mode', b.notes ->> 'analysis_mode',
        'data', new.data::json, 'counts', json_build_object('total', c.total, 'active', c.active,
            'succeeded', c.succeeded, 'failed', c.failed, 'canceled', c.canceled,
            'waiting', c.total - c.active - c.succeeded - c.failed - c.canceled)), new.at
FROM unnest(
    %(stem)s::text[], %(seq)s::integer[], %(type)s::text[], %(at)s::bigint[], %(data)s::text[], %(batch)s::bytea[]
) AS new (stem, seq, type, at, data, batch)
CROSS JOIN LATERAL (SELECT * FROM batches WHERE batches.id = new.batch LIMIT 1) b
CROSS JOIN LATERAL (SELECT * FROM counts WHERE counts.batch = new.batch LIMIT 1) c
CROSS JOIN LATERAL (
    SELECT * FROM endpoints WHERE endpoints.workspace = b.workspace AND endpoints.batch = ANY(ARRAY[b.id, ''::bytea])
    OFFSET 0
) e
WHERE e.off_at IS NULL AND e.erased_at IS NULL AND strpos(e.events, ' ' || new.type || ' ') > 0
    AND (e.kind IS NULL OR e.kind = b.kind)
    AND (e.batch = b.id OR b.origin = 'batch' OR e.singles = 1 OR new.seq IS NOT NULL)
