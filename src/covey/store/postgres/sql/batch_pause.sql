-- A batch is paused. Primary key of batches.
UPDATE batches SET paused_at = %(now)s::bigint, pause_reason = %(reason)s::text WHERE id = %(batch)s::bytea
