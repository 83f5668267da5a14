-- A workspace's items about one ref, newest batch first. Index items_ref.
SELECT i.batch, b.stopped_at, i.seq, i.custom_id, i.ref, CASE WHEN :inputs = 1 THEN i.input END AS input,
    l.state AS live_state, l.tries AS live_tries, l.due_at, l.reason,
    l.started_at AS live_started_at, l.done, l.whole, r.attempt AS run_attempt, r.state AS run_state, r.tries AS run_tries, r.code,
    r.message, r.started_at AS run_started_at, r.ended_at, r.seconds, r.result
FROM items i
JOIN batches b ON b.id = i.batch AND b.workspace = :workspace AND b.accepted_at IS NOT NULL AND b.erased_at IS NULL
LEFT JOIN live l ON l.batch = i.batch AND l.seq = i.seq
LEFT JOIN runs r ON r.batch = i.batch AND r.seq = i.seq AND r.last = 1
WHERE i.ref = :ref AND (:kind IS NULL OR b.kind = :kind)
    AND (:states IS NULL OR CASE WHEN l.state = 1 THEN 'active' WHEN r.state IS NOT NULL THEN r.state
        WHEN b.stopped_at IS NOT NULL THEN 'canceled' ELSE 'waiting' END IN (SELECT value FROM json_each(:states)))
ORDER BY i.batch DESC, i.seq
LIMIT :limit OFFSET :offset
