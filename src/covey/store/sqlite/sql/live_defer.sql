-- An item waits for a later start. Primary key of live.
UPDATE live SET state = 0, worker = NULL, started_at = NULL, dropped = 0,
    tries = ?, returns = ?, losses = ?, due_at = ?, reason = ?, returned_at = coalesce(?, returned_at)
WHERE batch = ? AND seq = ?
