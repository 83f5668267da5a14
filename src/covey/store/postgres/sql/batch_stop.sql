-- A batch is stopped; the first reason stays. Primary key of batches.
UPDATE batches SET stopped_at = %(now)s::bigint, stop_reason = %(reason)s::text, stop_message = %(message)s::text,
    leftovers = %(leftovers)s::smallint
WHERE id = %(batch)s::bytea AND stopped_at IS NULL
