-- Mark refs as active; their primary key refuses a second one: those that were marked. In the order of the refs, so
-- that two claims never wait for each other.
INSERT INTO busy_refs (workspace, ref, batch, seq)
SELECT %(workspace)s::text, new.ref, %(batch)s::bytea, new.seq
FROM unnest(%(refs)s::text[], %(seqs)s::integer[]) AS new (ref, seq)
ORDER BY new.ref COLLATE "C"
ON CONFLICT (workspace, ref) DO NOTHING
RETURNING ref
