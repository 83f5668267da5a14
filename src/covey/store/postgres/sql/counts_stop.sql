-- All that waits in a batch is canceled, however much it is. Primary key of counts.
UPDATE counts SET stopped = 1, deferred = 0, canceled = %(canceled)s::integer, next_at = NULL
WHERE batch = %(batch)s::bytea
