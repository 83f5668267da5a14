-- A draft becomes a batch. Primary key of batches.
UPDATE batches SET accepted_at = %(now)s::bigint WHERE id = %(batch)s::bytea
