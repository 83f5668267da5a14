-- Remove a piece of the deliveries about a batch. Index deliveries_batch.
DELETE FROM deliveries WHERE id = ANY(ARRAY(
    SELECT id FROM deliveries WHERE batch = %(batch)s::bytea ORDER BY id LIMIT %(limit)s::bigint
))
