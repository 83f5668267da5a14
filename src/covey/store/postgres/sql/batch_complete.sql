-- The last items of batches ended: from now on they are kept for as long as was asked. Primary key of batches.
UPDATE batches SET completed_at = done.at, deletes_at = coalesce(deletes_at, done.at + keep_for)
FROM unnest(%(now)s::bigint[], %(batch)s::bytea[]) AS done (at, batch)
WHERE batches.id = done.batch
