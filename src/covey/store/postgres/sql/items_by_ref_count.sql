-- How many of a workspace's items are about one ref. Index items_ref.
SELECT count(*)
FROM items i
JOIN batches b ON b.id = i.batch AND b.workspace = %(workspace)s::text AND b.accepted_at IS NOT NULL
    AND b.erased_at IS NULL
LEFT JOIN LATERAL (SELECT * FROM live WHERE live.batch = i.batch AND live.seq = i.seq LIMIT 1) l ON true
LEFT JOIN LATERAL (
    SELECT * FROM runs WHERE runs.batch = i.batch AND runs.seq = i.seq AND runs.last = 1 LIMIT 1
) r ON true
WHERE i.ref = %(ref)s::text AND (%(kind)s::text IS NULL OR b.kind = %(kind)s::text)
    AND (%(states)s::text[] IS NULL OR CASE WHEN l.state = 1 THEN 'active' WHEN r.state IS NOT NULL THEN r.state
        WHEN b.stopped_at IS NOT NULL THEN 'canceled' ELSE 'waiting' END = ANY(%(states)s::text[]))
