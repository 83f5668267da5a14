-- The fence: what the store knows of an item that may be in a worker's hands. Primary key of live.
SELECT attempt, tries, returns, losses, state, worker, started_at, returned_at FROM live WHERE batch = ? AND seq = ?
