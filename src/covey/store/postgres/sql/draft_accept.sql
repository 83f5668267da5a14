-- A draft becomes a batch. Primary key of batches.
UPDATE batches SET accepted_at = %(now)s::bigint, actor = %(actor)s::text WHERE id = %(batch)s::bytea
