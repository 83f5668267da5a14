-- Refs are free again. Primary key of busy_refs.
DELETE FROM busy_refs
USING unnest(%(workspace)s::text[], %(ref)s::text[], %(batch)s::bytea[], %(seq)s::integer[])
    AS gone (workspace, ref, batch, seq)
WHERE busy_refs.workspace = gone.workspace AND busy_refs.ref = gone.ref AND busy_refs.batch = gone.batch
    AND busy_refs.seq = gone.seq
