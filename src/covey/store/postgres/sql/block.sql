-- A workspace never wants some refs touched again; nothing for those it said so of before. In the order of the refs, so
-- that two such never wait for each other.
INSERT INTO blocked (workspace, ref, reason, created_at)
SELECT %(workspace)s::text, new.ref, %(reason)s::text, %(now)s::bigint
FROM unnest(%(refs)s::text[]) AS new (ref)
ORDER BY new.ref COLLATE "C"
ON CONFLICT (workspace, ref) DO NOTHING
