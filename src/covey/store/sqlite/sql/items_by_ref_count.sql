-- How many of a workspace's items are about one ref. Index items_ref.
SELECT count(*)
FROM items i
JOIN batches b ON b.id = i.batch AND b.workspace = :workspace AND b.accepted_at IS NOT NULL AND b.erased_at IS NULL
LEFT JOIN live l ON l.batch = i.batch AND l.seq = i.seq
LEFT JOIN runs r ON r.batch = i.batch AND r.seq = i.seq AND r.last = 1
WHERE i.ref = :ref AND (:kind IS NULL OR b.kind = :kind)
    AND (:states IS NULL OR CASE WHEN l.state = 1 THEN 'active' WHEN r.state IS NOT NULL THEN r.state
        WHEN b.stopped_at IS NOT NULL THEN 'canceled' ELSE 'waiting' END IN (SELECT value FROM json_each(:states)))
