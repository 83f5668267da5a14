-- A deferred item becomes active. Primary key of live.
UPDATE live SET state = 1, attempt = :attempt, worker = :worker, started_at = :at, reason = NULL, dropped = 0, done = NULL, whole = NULL
WHERE batch = :batch AND seq = :seq
