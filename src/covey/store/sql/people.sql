-- name: block (postgres)
-- A workspace never wants some refs touched again; nothing for those it said so of before. In the order of the refs, so
-- that two such never wait for each other.
INSERT INTO blocked (workspace, ref, reason, created_at)
SELECT %(workspace)s::text, new.ref, %(reason)s::text, %(now)s::bigint
FROM unnest(%(refs)s::text[]) AS new (ref)
ORDER BY new.ref COLLATE "C"
ON CONFLICT (workspace, ref) DO NOTHING

-- name: block (sqlite)
-- A workspace never wants these refs touched again; nothing for those of which it said so before.
-- Differs: arrays are unnested; SQLite reads them from JSON.
INSERT INTO blocked (workspace, ref, reason, created_at)
SELECT :workspace, value, :reason, :now FROM json_each(:refs) WHERE true
ON CONFLICT (workspace, ref) DO NOTHING

-- name: unblock
-- A ref may be touched again. Primary key of blocked.
DELETE FROM blocked WHERE workspace = %(workspace)s::text AND ref = %(ref)s::text

-- name: blocked_page
-- A page of a workspace's blocked refs. Primary key of blocked.
SELECT ref, reason, created_at FROM blocked WHERE workspace = %(workspace)s::text AND ref > %(after)s::text
ORDER BY ref LIMIT %(limit)s::bigint

-- name: ref_erase_items
-- A person's rows are overwritten. Index items_ref.
UPDATE items SET ref = %(replacement)s::text, custom_id = NULL, input = '{}'::json
WHERE ref = %(ref)s::text AND batch IN (SELECT id FROM batches WHERE workspace = %(workspace)s::text)

-- name: ref_erase_runs
-- What was said in a person's runs is removed; states, codes and times stay. Index items_ref.
UPDATE runs SET result = '{}'::json, message = ''
WHERE (batch, seq) IN (
    SELECT i.batch, i.seq FROM items i JOIN batches b ON b.id = i.batch AND b.workspace = %(workspace)s::text
    WHERE i.ref = %(ref)s::text
)

-- name: ref_unended
-- Whether an item about a ref has not ended, or its far side may still be busy with it. Index items_ref.
SELECT 1 FROM items i
JOIN batches b ON b.id = i.batch AND b.workspace = %(workspace)s::text
LEFT JOIN live l ON l.batch = i.batch AND l.seq = i.seq AND l.state = 1
LEFT JOIN runs r ON r.batch = i.batch AND r.seq = i.seq AND r.last = 1
LEFT JOIN held h ON h.batch = i.batch AND h.seq = i.seq
WHERE i.ref = %(ref)s::text AND b.erased_at IS NULL
    AND (l.seq IS NOT NULL OR h.seq IS NOT NULL OR (r.seq IS NULL AND b.stopped_at IS NULL))
LIMIT 1
