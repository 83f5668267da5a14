-- An item waits for a later start. Primary key of live.
UPDATE live SET state = 0, worker = NULL, started_at = NULL, dropped = 0, done = NULL, whole = NULL,
    tries = :tries, returns = :returns, losses = :losses, due_at = :due_at, reason = :reason, returned_at = coalesce(:returned_at, returned_at)
WHERE batch = :batch AND seq = :seq
