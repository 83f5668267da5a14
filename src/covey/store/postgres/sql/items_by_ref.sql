-- A workspace's items about one ref, newest batch first. Index items_ref.
SELECT i.batch, b.stopped_at, i.seq, i.custom_id, i.ref, CASE WHEN %(inputs)s::integer = 1 THEN i.input END AS input,
    l.state AS live_state, l.tries AS live_tries, l.due_at,
    l.reason, l.started_at AS live_started_at, l.done, l.whole, r.attempt AS run_attempt, r.state AS run_state, r.tries AS run_tries,
    r.code, r.message, r.started_at AS run_started_at, r.ended_at, r.seconds, r.result
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
ORDER BY i.batch DESC, i.seq
LIMIT %(limit)s::bigint OFFSET %(offset)s::bigint
