-- Whether an item about a ref has not ended, or its far side may still be busy with it. Index items_ref.
SELECT 1 FROM items i
JOIN batches b ON b.id = i.batch AND b.workspace = %(workspace)s::text
LEFT JOIN live l ON l.batch = i.batch AND l.seq = i.seq AND l.state = 1
LEFT JOIN runs r ON r.batch = i.batch AND r.seq = i.seq AND r.last = 1
LEFT JOIN held h ON h.batch = i.batch AND h.seq = i.seq
WHERE i.ref = %(ref)s::text AND b.erased_at IS NULL
    AND (l.seq IS NOT NULL OR h.seq IS NOT NULL OR (r.seq IS NULL AND b.stopped_at IS NULL))
LIMIT 1
