-- A batch's last item ended. Primary key of batches.
UPDATE batches SET completed_at = done.at
FROM unnest(%(now)s::bigint[], %(batch)s::bytea[]) AS done (at, batch)
WHERE batches.id = done.batch
