-- A deferred item becomes active. Primary key of live.
UPDATE live SET state = 1, attempt = ?, worker = ?, started_at = ?, reason = NULL, dropped = 0
WHERE batch = ? AND seq = ?
