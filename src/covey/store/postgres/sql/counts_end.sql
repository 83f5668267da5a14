-- A batch has ended and is due no more. Primary key of counts.
UPDATE counts SET open = 0, next_at = NULL WHERE batch = ANY(%(batch)s::bytea[])
