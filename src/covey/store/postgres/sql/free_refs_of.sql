-- The refs of items that are active no more are free again. Primary keys of items, batches and busy_refs.
DELETE FROM busy_refs
USING unnest(%(batch)s::bytea[], %(seq)s::integer[]) AS gone (batch, seq)
    CROSS JOIN LATERAL (SELECT ref FROM items WHERE items.batch = gone.batch AND items.seq = gone.seq LIMIT 1) i
    CROSS JOIN LATERAL (SELECT workspace FROM batches WHERE batches.id = gone.batch LIMIT 1) b
WHERE busy_refs.workspace = b.workspace AND busy_refs.ref = i.ref AND busy_refs.batch = gone.batch
    AND busy_refs.seq = gone.seq
