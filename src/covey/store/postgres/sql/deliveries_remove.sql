-- Remove a piece of the ended deliveries about a batch. Index deliveries_batch.
DELETE FROM deliveries WHERE id = ANY(ARRAY(
    SELECT id FROM deliveries WHERE batch = %(batch)s::bytea AND state <> 'waiting'
    ORDER BY batch, id DESC NULLS LAST LIMIT %(limit)s::bigint
))
